"""The policies that are loaded, by merchant and version."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from shared.policy.model import Policy


class PolicyBook:
    """An immutable set of policies. That versions do not overlap is checked by `load`; the book only looks up."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        versions: dict[str, tuple[Policy, ...]] = {}
        for policy in sorted(policies, key=lambda one: (one.merchant, one.in_force_from)):
            versions[policy.merchant] = (*versions.get(policy.merchant, ()), policy)
        self._versions: Mapping[str, tuple[Policy, ...]] = MappingProxyType(versions)
        self._spans = {merchant: [_span(one) for one in reversed(every)] for merchant, every in versions.items()}
        self._numbered = {(one.merchant, one.version): one for one in reversed(self.all())}

    def in_force(self, merchant: str, placed_at: datetime) -> Policy | None:
        """The version that governs an order placed at that instant, to the end of all its claims; None for a merchant
        without a policy and for an order older than the first version."""
        for since, until, policy in self._spans.get(merchant, ()):
            if since <= placed_at and (until is None or placed_at < until):
                return policy
        return None

    def version(self, merchant: str, version: int) -> Policy | None:
        """One version by number."""
        return self._numbered.get((merchant, version))

    def currency(self, merchant: str) -> str | None:
        """The currency of a merchant's policy (the same in all its versions); None for an unknown merchant."""
        versions = self._versions.get(merchant, ())
        return versions[0].currency if versions else None

    def merchants(self) -> tuple[str, ...]:
        return tuple(self._versions)

    def all(self) -> tuple[Policy, ...]:
        return tuple(policy for versions in self._versions.values() for policy in versions)


def _span(policy: Policy) -> tuple[datetime, datetime | None, Policy]:
    """From when, and until when a version is in force, in UTC: comparing with the time zones that pydantic makes costs
    several times as much, and every claim asks."""
    until = policy.in_force_until
    return policy.in_force_from.astimezone(UTC), None if until is None else until.astimezone(UTC), policy
