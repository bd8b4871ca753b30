"""The policies that are loaded, by merchant and version."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType

from shared.policy.model import Policy


class PolicyBook:
    """An immutable set of policies. That versions do not overlap is checked by `load`; the book only looks up."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        versions: dict[str, tuple[Policy, ...]] = {}
        for policy in sorted(policies, key=lambda one: (one.merchant, one.in_force_from)):
            versions[policy.merchant] = (*versions.get(policy.merchant, ()), policy)
        self._versions: Mapping[str, tuple[Policy, ...]] = MappingProxyType(versions)
        self._numbered = {(one.merchant, one.version): one for one in reversed(self.all())}

    def in_force(self, merchant: str, placed_at: datetime) -> Policy | None:
        """The version that governs an order placed at that instant, to the end of all its claims; None for a merchant
        without a policy and for an order older than the first version."""
        for policy in reversed(self._versions.get(merchant, ())):
            if policy.covers(placed_at):
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
