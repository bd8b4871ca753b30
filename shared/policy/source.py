"""A policy file as text: YAML read into plain data, with the line that every value stands on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

import yaml

from shared.policy.problem import Problem

Plain: TypeAlias = "bool | int | str | list[Plain] | dict[str, Plain] | None"
Where: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys and indexes from the top of the file."""

MOST_BYTES: Final = 1_048_576
_DEEPEST: Final = 32


@dataclass(slots=True)
class Source:
    """The data of one file. `lines`: way → line (from 1)."""

    file: str
    data: Plain
    lines: dict[Where, int] = field(default_factory=dict)

    def line(self, where: Sequence[str | int]) -> int:
        """The line of the value at `where`. Steps that the file does not have are passed over, so that the tag of a
        union, or a key that is missing, leads to the value that it belongs to."""
        way: Where = ()
        for step in where:
            if (*way, step) in self.lines:
                way = (*way, step)
        return self.lines.get(way, 1)

    def problem(self, where: Sequence[str | int], message: str) -> Problem:
        return Problem(self.file, self.line(where), message)


def read(path: Path) -> tuple[Source, list[Problem]]:
    """Reads a file. Problems: not there, too large, not UTF-8, not YAML, a key twice, nested too deep."""
    source = Source(str(path), None)
    problems: list[Problem] = []
    try:
        if path.stat().st_size > MOST_BYTES:
            problems.append(source.problem((), f"is larger than {MOST_BYTES} bytes. No policy needs that much."))
        elif (node := yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)) is None:
            problems.append(source.problem((), "is empty. Write a policy, see docs/policy-guide.md."))
        else:
            source.data = _plain(node, (), source, problems)
    except OSError as error:
        problems.append(source.problem((), f"cannot be read: {error.strerror}. Check the path and its permissions."))
    except UnicodeDecodeError:
        problems.append(source.problem((), "is not UTF-8. Save it as UTF-8."))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problems.append(Problem(source.file, line, f"is not YAML: {error.problem}. Correct the syntax there."))
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(source.problem((), f"is not YAML: {error}. Correct the syntax."))
    return source, problems


def _plain(node: yaml.Node, way: Where, source: Source, problems: list[Problem]) -> Plain:
    source.lines[way] = node.start_mark.line + 1
    if len(way) > _DEEPEST:
        problems.append(source.problem(way, "is nested too deep. Anchors that contain themselves are not supported."))
        return None
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, way, source, problems)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*way, index), source, problems) for index, child in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, way: Where, source: Source, problems: list[Problem]) -> Plain:
    found: dict[str, Plain] = {}
    for key_node, value_node in node.value:
        # Keys stay as they are written: a clause `1.10` is no number, a reading `off` no truth value.
        key = str(key_node.value)
        if key in found:
            line = key_node.start_mark.line + 1
            problems.append(Problem(source.file, line, f"the key {key!r} is there twice. Keep one of them."))
            continue
        found[key] = _plain(value_node, (*way, key), source, problems)
        source.lines[(*way, key)] = key_node.start_mark.line + 1
    return found


def _scalar(node: yaml.Node) -> Plain:
    value = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            # YAML 1.1 also reads yes, no, on and off as truth values; here they are words.
            return {"true": True, "false": False}.get(value.lower(), value)
        case "int":
            return int(value) if value.lstrip("+-").isdecimal() else value
        case _:
            return value


def rules_of(data: Mapping[str, Plain]) -> Iterator[tuple[str, dict[str, Plain]]]:
    """The rules of a file as far as they are mappings, by name."""
    rules = data.get("rules")
    if isinstance(rules, dict):
        for name, rule in rules.items():
            if isinstance(rule, dict):
                yield name, rule
