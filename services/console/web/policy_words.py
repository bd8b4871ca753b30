"""What a policy says, in the reader's language as far as it has been put into it (`shared/policy/words.py`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from markupsafe import Markup, escape

from services.console.web.phrases import Speaker, original
from shared.events.parts import Reason
from shared.policy.model import Policy
from shared.policy.problem import PolicyError
from shared.policy.words import NONE, Words, load_words, sheet

log = structlog.get_logger(__name__)

Stamp = tuple[int, int, str]

_kept: dict[Path, tuple[Stamp, Words]] = {}
"""The sheets as they were read last."""


def words_for(folder: Path, policy: Policy, language: str) -> Words:
    """The sheet of a policy as the file is now; nothing, where there is none or it cannot be read."""
    path = sheet(folder, policy.merchant, policy.version, language)
    try:
        stat = path.stat()
    except OSError:
        return NONE
    stamp = (stat.st_mtime_ns, stat.st_size, policy.digest)
    kept = _kept.get(path)
    if kept is None or kept[0] != stamp:
        try:
            words = load_words(path, policy)
        except PolicyError as error:
            log.error("policy_words_not_loaded", problems=[str(problem) for problem in error.problems])
            words = NONE
        kept = _kept[path] = (stamp, words)
    return kept[1]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A policy in one language; a policy that is not at hand says nothing, and names stand for themselves."""

    policy: Policy | None
    words: Words
    language: str

    def clause(self, number: str | None) -> Markup | None:
        """A clause; in English where nobody has put it into the language."""
        said = None if self.policy is None or number is None else self.policy.clauses.get(number)
        if said is None or self.policy is None or number is None:
            return None
        if self.policy.locale[:2] == self.language:
            return _in(self.language, said.local)
        here = self.words.clauses.get(number)
        return _in("en", said.en) if here is None else _in(self.language, here)

    @property
    def columns(self) -> tuple[Literal["in_words", "english", "local"], ...]:
        """How the clauses are shown beside each other: in this language first."""
        if self.language == "en":
            return ("english", "local")
        own = self.policy is not None and self.policy.locale[:2] == self.language
        return ("local", "english") if own else ("in_words", "english", "local")

    def point(self, name: str) -> Markup:
        """An open point by its title and its name; by its name alone where there is no title."""
        found = self.words.open_points.get(name)
        return _code(name) if found is None else _in(self.language, found.title) + " " + _code(name)

    def reading(self, point: str, name: str) -> Markup:
        """What a reading says, and its name."""
        said = self.reading_in_words(point, name)
        return _code(name) if said is None else said + " " + _code(name)

    def reading_in_words(self, point: str, name: str) -> Markup | None:
        """What a reading says; None for one that is not known."""
        found = self.words.open_points.get(point)
        if found is not None and name in found.readings:
            return _in(self.language, found.readings[name])
        entry = None if self.policy is None else self.policy.register_.get(point)
        return None if entry is None or name not in entry.readings else _in("en", entry.readings[name])

    def example(self, name: str) -> Markup:
        """The name of a worked example."""
        here = self.words.examples.get(name)
        return _in("en", name) if here is None else _in(self.language, here)

    def reason(self, reason: Reason, speaker: Speaker) -> tuple[Markup | None, Markup | None]:
        """Why a line is judged so: the clause, and what was seen; None where there is none of it.

        The event says both in one English text, `<clause> (<what was seen>)`.
        """
        clause = self.clause(reason.clause)
        known = None if self.policy is None or reason.clause is None else self.policy.clauses.get(reason.clause)
        seen = _seen(reason.text, None if known is None else known.en)
        if not seen:
            return clause, None
        readings = self._readings(reason.rule)
        given: Mapping[str, Markup] = {} if readings is None else {"readings": readings}
        said = speaker.say("reasons", seen, **given)
        if said is None and clause is None:  # a clause that we do not have, and what was seen
            head, _, tail = seen.removesuffix(")").rpartition(" (")
            said = speaker.say("reasons", tail) if head else None
            if said is not None:
                return original(head), said
        return clause, said or Markup('<bdi lang="">{}</bdi>').format(seen)

    def _readings(self, point: str) -> Markup | None:
        entry = None if self.policy is None else self.policy.register_.get(point)
        if entry is None:
            return None
        return Markup("; ").join(said for one in entry.readings if (said := self.reading_in_words(point, one)))


def _seen(text: str, clause: str | None) -> str:
    """What a reason's text says besides the clause."""
    if clause is None or not text.startswith(clause):
        return text
    rest = text[len(clause) :]
    return rest[2:-1] if rest.startswith(" (") and rest.endswith(")") else rest.strip()


def _in(language: str, text: str) -> Markup:
    return Markup(f'<bdi lang="{language}">{escape(text)}</bdi>')  # noqa: S704 - escaped; `format` takes ten times as long


def _code(name: str) -> Markup:
    return Markup(f'<code class="name break" dir="ltr">{escape(name)}</code>')  # noqa: S704 - escaped
