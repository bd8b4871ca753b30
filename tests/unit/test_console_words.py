"""The console speaks three languages: the same keys, the same places for values, a name for every code it may meet."""

import re
from importlib.resources import files
from string import Formatter
from typing import get_args

import pytest

from services.console.facts import STAGES, State
from services.console.web.audit import ACTIONS
from services.console.web.formats import LANGUAGES
from services.console.web.policies import shown
from services.console.web.wording import choose, wording
from shared.events import TYPES
from shared.events import parts as p
from shared.policy.shelf import Shelf

TEMPLATES = {
    f.name: f.read_text("utf-8") for f in (files("services.console.web") / "templates").iterdir() if "html" in f.name
}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_places(language: str) -> None:
    english, other = wording("en").words, wording(language).words
    assert other.keys() == english.keys()
    assert {k: places(v) for k, v in other.items()} == {k: places(v) for k, v in english.items()}
    assert all(v.strip() or k.startswith("act.") for k, v in other.items())


@pytest.mark.parametrize("language", ["vi", "fa"])
def test_nothing_is_left_in_english(language: str) -> None:
    same = {"letters.dead", "claim.email", "channel.email", "channel.whatsapp", "role.-", "act.and", "act.end"}
    english = wording("en").words
    assert {k for k, v in wording(language).words.items() if v == english[k]} <= same


def test_the_words_that_templates_ask_for_are_there() -> None:
    asked = {m for t in TEMPLATES.values() for m in re.findall(r'\bt\(["\']([a-z0-9_.]+)["\']\s*[,)]', t)}
    assert len(asked) > 150
    assert asked <= wording("en").words.keys()


CODES = {
    "state": get_args(State),
    "stage": STAGES,
    "reason": get_args(p.ClaimReason),
    "wants": get_args(p.Wants),
    "channel": get_args(p.Channel),
    "outcome": get_args(p.Outcome),
    "awaiting": get_args(p.Awaiting),
    "answer": get_args(p.SellerAnswer),
    "fault": get_args(p.Fault),
    "fact.fault": get_args(p.Fault),
    "fact.carton": get_args(p.Carton),
    "fact.seal": get_args(p.Seal),
    "payer": get_args(p.Payer),
    "effect": get_args(p.Effect),
    "verdict_of_line": get_args(p.Verdict),
    "item": get_args(p.BreakdownKind),
    "why": get_args(p.RefusalCode),
    "event": tuple(TYPES),
    "action": ACTIONS,
    "factname": tuple(p.Inspection.model_fields),
    "result": ("refund", "replacement", "rejected", "review"),
}


@pytest.mark.parametrize("group", CODES)
def test_every_code_has_a_name(group: str) -> None:
    assert {f"{group}.{code}" for code in CODES[group]} <= wording("en").words.keys()


def test_what_the_rules_of_our_policies_say_has_names() -> None:
    names = wording("en").words
    for rule in (rule for policy in Shelf().book().all() for rule in shown(policy).rules):
        for path, value in rule.says.items():
            member, _, rest = path.partition(".")
            assert f"member.{member}" in names, (rule.id, path)
            if member in ("under", "below_zero"):  # names of open points and of their readings, as in the register
                continue
            assert not rest or f"member.{rest}" in names, (rule.id, path)
            for word in value.split(", "):
                # `tipax` is a carrier's name
                assert word[0].isdigit() or word == "tipax" or f"policy_word.{word}" in names, (rule.id, value)


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [("fa", "en", "fa"), (None, "vi-VN,vi;q=0.9", "vi"), ("xx", "de, fa;q=0.5", "fa"), (None, "de", "en")],
)
def test_the_language_is_as_chosen_then_as_the_browser_says(cookie: str | None, accepted: str, language: str) -> None:
    assert choose(cookie, accepted) == language
