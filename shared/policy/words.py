"""A policy in a language of staff: a sheet of words beside the policy file.

The policy file says its clauses in English and in the merchant's language. What else a person reads of it (the titles
of open points, their readings, the names of worked examples), and the clauses in further languages, stands in
`<folder>/<merchant>/words/v<version>.<language>.yaml`. A sheet decides nothing: it is no part of the policy's digest,
may be corrected at any time, and what it leaves out is shown in English.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError

from shared.policy.model import Policy, Text
from shared.policy.problem import PolicyError
from shared.policy.rules import Clause, Name, Part
from shared.policy.source import Where, read


class PointWords(Part):
    """An open point: what it is about, in a few words, and its readings."""

    title: Text
    readings: dict[Name, Text] = Field(default_factory=dict)


class Words(Part):
    """One sheet. `examples`: the name of a worked example as the policy file has it → in this language."""

    clauses: dict[Clause, Text] = Field(default_factory=dict)
    open_points: dict[Name, PointWords] = Field(default_factory=dict)
    examples: dict[Text, Text] = Field(default_factory=dict)


NONE: Final = Words()
FOLDER: Final = "words"


def sheet(folder: Path, merchant: str, version: int, language: str) -> Path:
    """Where the sheet of a version is, if there is one."""
    return folder / merchant / FOLDER / f"v{version}.{language}.yaml"


def sheets(policy_file: Path) -> list[tuple[str, Path]]:
    """The sheets beside a policy file: (language, path)."""
    found = sorted(policy_file.parent.glob(f"{FOLDER}/{policy_file.stem}.*.yaml"))
    return [(path.name.split(".")[1], path) for path in found]


def load_words(path: Path, policy: Policy) -> Words:
    """Reads the sheet of a policy. Raises `PolicyError` with everything that is wrong with it; a name that the policy
    does not know is."""
    source, problems = read(path)
    if problems:
        raise PolicyError(problems)
    try:
        words = Words.model_validate({} if source.data is None else source.data)
    except ValidationError as error:
        raise PolicyError(source.problem(one["loc"], f"{one['msg']}. Correct it.") for one in error.errors()) from None
    unknown = [
        source.problem(where, f"{where[-1]!r} is not in the policy. Correct it.") for where in _unknown(words, policy)
    ]
    if unknown:
        raise PolicyError(unknown)
    return words


def left_out(words: Words, policy: Policy, language: str) -> list[str]:
    """What the sheet does not say and the page will show in English."""
    clauses = () if policy.locale[:2] == language else policy.clauses
    points = words.open_points
    return [
        *(number for number in clauses if number not in words.clauses),
        *(name for name in policy.register_ if name not in points),
        *(
            f"{name}: {reading}"
            for name, entry in policy.register_.items()
            for reading in entry.readings
            if name in points and reading not in points[name].readings
        ),
        *(name for name in example_names(policy) if name not in words.examples),
    ]


def example_names(policy: Policy) -> list[str]:
    """The names of the worked examples, each once, in the order of the file."""
    return list(dict.fromkeys(one.name for rule in policy.rules.values() for one in rule.examples))


def _unknown(words: Words, policy: Policy) -> Iterator[Where]:
    names = set(example_names(policy))
    yield from (("clauses", number) for number in words.clauses if number not in policy.clauses)
    yield from (("examples", name) for name in words.examples if name not in names)
    for name, point in words.open_points.items():
        entry = policy.register_.get(name)
        if entry is None:
            yield ("open_points", name)
        else:
            yield from (("open_points", name, "readings", one) for one in point.readings if one not in entry.readings)
