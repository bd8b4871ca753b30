"""Loading policies: from files to a `PolicyBook`, or to everything that is wrong with them, with file and line.

A policy loads whole or not at all. Checked are, in this order and as far as the one before allows: the YAML, the shape
(unknown keys, kinds, values), what the parts say of each other (`shared.policy.check`), the worked examples
(`shared.policy.trial`), and the versions of a merchant against each other.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.policy.book import PolicyBook
from shared.policy.check import check
from shared.policy.model import Policy
from shared.policy.problem import PolicyError, Problem
from shared.policy.source import Source, read, rules_of
from shared.policy.trial import try_examples

POLICIES: Final = Path(__file__).resolve().parent.parent / "policies"
"""The policies that come with the package: one folder per merchant, one file per version."""


def load_book(folder: Path = POLICIES) -> PolicyBook:
    """Loads `<folder>/<merchant>/v<n>.yaml`. Raises `PolicyError` with every problem of every file."""
    paths = sorted(folder.glob("*/*.yaml"))
    if not paths:
        raise PolicyError([Problem(str(folder), 1, "holds no policy. Expected <merchant>/v<version>.yaml.")])
    return PolicyBook(load_files(paths))


def load_files(paths: Iterable[Path]) -> tuple[Policy, ...]:
    """Loads files as one set. Raises `PolicyError` with every problem of every file."""
    loaded: list[tuple[Source, Policy]] = []
    problems: list[Problem] = []
    for path in paths:
        source, policy, found = _load(path)
        problems += found
        if policy is not None:
            loaded.append((source, policy))
    problems += _versions(loaded)
    if problems:
        raise PolicyError(problems)
    return tuple(policy for _, policy in loaded)


def _load(path: Path) -> tuple[Source, Policy | None, list[Problem]]:
    source, problems = read(path)
    if problems:
        return source, None, problems
    if not isinstance(source.data, dict):
        return source, None, [source.problem((), "is not a policy: expected keys such as merchant and version.")]
    for name, rule in rules_of(source.data):
        if "id" in rule:
            problems.append(source.problem(("rules", name, "id"), "a rule is named by its key. Remove `id`."))
        rule["id"] = name
    try:
        policy = Policy.model_validate_json(json.dumps(source.data))
    except ValidationError as error:
        return source, None, problems + [_explain(source, one) for one in error.errors(include_url=False)]
    problems += [source.problem(where, message) for where, message in (*_place(path, policy), *check(policy))]
    if not problems:
        problems = [source.problem(where, message) for where, message in try_examples(policy)]
    return source, policy, problems


def _place(path: Path, policy: Policy) -> Iterable[tuple[Sequence[str | int], str]]:
    if path.stem != f"v{policy.version}":
        yield (
            ("version",),
            f"the file of version {policy.version} is named {path.name}. Name it v{policy.version}.yaml.",
        )
    if path.resolve().parent.name != policy.merchant:
        folder = path.resolve().parent.name
        yield (
            ("merchant",),
            f"the policy of {policy.merchant} is in the folder {folder}. Put it into {policy.merchant}/.",
        )


def _versions(loaded: Sequence[tuple[Source, Policy]]) -> Iterable[Problem]:
    """Versions of a merchant: each number once, in force one after the other, in one currency."""
    ordered = sorted(loaded, key=lambda one: (one[1].merchant, one[1].version))
    for (_, before), (source, policy) in pairwise(ordered):
        if before.merchant != policy.merchant:
            continue
        if before.version == policy.version:
            yield source.problem(("version",), f"version {policy.version} is there twice. Give the newer one the next.")
        elif policy.in_force_from <= before.in_force_from:
            text = f"overlaps version {before.version}, in force from {before.in_force_from.isoformat()}"
            yield source.problem(("in_force_from",), f"{text}. A later version has to begin later.")
        elif before.in_force_until is not None and policy.in_force_from < before.in_force_until:
            text = f"overlaps version {before.version}, in force until {before.in_force_until.isoformat()}"
            yield source.problem(("in_force_from",), f"{text}. Begin then or later.")
        if before.currency != policy.currency:
            text = f"version {before.version} is in {before.currency}"
            yield source.problem(("currency",), f"{text}. All versions of a merchant have one currency.")


_SAYINGS: Final[dict[str, Callable[[ErrorDetails], str]]] = {
    "extra_forbidden": lambda error: f"unknown key {error['loc'][-1]!r}. Remove it or correct its spelling.",
    "missing": lambda error: f"the key {error['loc'][-1]!r} is missing. Add it.",
    "union_tag_invalid": lambda error: f"{error['msg']}. Use one of the rule kinds of docs/policy-guide.md.",
    "union_tag_not_found": lambda error: "the key 'kind' is missing. Say which kind of rule it is.",
    "timezone_aware": lambda error: "an instant without an offset. Write it with Z or +03:30.",
}


def _explain(source: Source, error: ErrorDetails) -> Problem:
    where = [step for step in error["loc"] if step != "[key]"]
    saying = _SAYINGS.get(error["type"])
    if saying is not None:
        return source.problem(where, saying(error))
    name = next((step for step in reversed(where) if isinstance(step, str)), "the file")
    given = error.get("input")
    shown = f" (it is {given!r})" if isinstance(given, bool | int | float | str) else ""
    return source.problem(where, f"{name}: {error['msg']}{shown}. Correct it.")
