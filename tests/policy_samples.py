"""Policies made up for a test: whose shop, clauses and deadlines do not matter, only the rules and the register."""

import json
from collections.abc import Mapping, Sequence

from shared.policy.model import Policy

Rule = Mapping[str, object]


def made_up(
    reason: str, rules: Mapping[str, Rule], register: Mapping[str, object], clauses: Sequence[str] = ("C1", "C2", "C3")
) -> Policy:
    """A policy in which the one reason has these rules, by their ids, in their order."""
    return Policy.model_validate_json(
        json.dumps(
            {
                "merchant": "shop",
                "version": 1,
                "in_force_from": "2020-01-01T00:00:00Z",
                "currency": "EUR",
                "locale": "de-DE",
                "rounding": "half_up",
                "deadlines": {"seller_days": 7, "return_days": 14},
                "clauses": {name: {"en": f"{name}.", "local": f"{name}."} for name in clauses},
                "register": register,
                "rules": {name: {"id": name, **rule} for name, rule in rules.items()},
                "reasons": {reason: list(rules)},
            }
        )
    )
