"""What `claims policy diff` says: what one version of a policy changes against another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from shared.policy.model import Policy

_WHOLE = ("merchant", "version", "in_force_from", "in_force_until", "currency", "locale", "rounding", "deadlines",
          "other_reasons")  # fmt: skip
_NAMED = ("clauses", "register", "rules", "reasons")


@dataclass(frozen=True, slots=True)
class Difference:
    """One change. `where` is such as `rules.fault-window.hours`; `before` or `after` is null where there is nothing."""

    where: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def differences(before: Policy, after: Policy) -> list[Difference]:
    """All that differs, in the order of the files. Worked examples are compared rule by rule, as a whole."""
    first, second = (policy.model_dump(mode="json", by_alias=True) for policy in (before, after))
    found = [one for name in _WHOLE for one in _between(name, first[name], second[name])]
    for group in _NAMED:
        for name in dict.fromkeys([*first[group], *second[group]]):
            found += _member(f"{group}.{name}", first[group].get(name), second[group].get(name))
    return found


def _member(where: str, before: Any, after: Any) -> Iterator[Difference]:
    if before is None or after is None:
        yield Difference(where, "added" if before is None else "removed", before, after)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            yield from _between(f"{where}.{name}", before.get(name), after.get(name))
    else:
        yield from _between(where, before, after)


def _between(where: str, before: Any, after: Any) -> Iterator[Difference]:
    if before != after:
        yield Difference(where, "changed", before, after)


def show_differences(before: Policy, after: Policy, found: list[Difference]) -> None:
    """Print them as a table."""
    console = Console()
    title = f"{before.merchant} version {before.version} → {after.merchant} version {after.version}"
    if not found:
        console.print(f"{title}: nothing differs")
        return
    table = Table(title=title, title_justify="left")
    for column in ("where", "change", "before", "after"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(one.where, one.change, _short(one.before), _short(one.after))
    console.print(table)


def _short(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return (text if len(text) <= 200 else text[:199] + "…").replace("[", r"\[")
