"""What the pipeline says in English, in the reader's language: sentence by sentence, from `messages/phrases.yaml`.

An event carries its reasons as English sentences, and a dead letter its own. Each is one of a closed set with values in
it. The English of the set is what is looked for: where a sentence fits, its values are taken out, written as the
language writes them, and set into the language's own sentence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, Literal
from zoneinfo import ZoneInfo

import yaml
from markupsafe import Markup, escape

from services.console.web import formats
from services.console.web.wording import Wording
from shared.money import MoneyError

Section = Literal["reasons", "told", "wanted", "letters", "contract"]

_PLACE: Final = re.compile(r"\{([a-z]+)\d*\}")
_KIND: Final = re.compile(r"[a-z]+")
_CODE: Final = re.compile(r"`([^`]+)`")
_PATH: Final = r"\$(?:\.\w+|\[[^\]]*\])*"
_BETWEEN: Final = re.compile(rf"; (?={_PATH}: )")
_LOCATED: Final = re.compile(rf"({_PATH}): (.*)", re.DOTALL)
_NUMBER: Final = r"\d+"
_WORD: Final = r"[a-z_]+"
_PATTERNS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("n", "most", "hours", "back", "quantity"), _NUMBER),
    **dict.fromkeys(("fact", "answer", "outcome", "reason"), _WORD),
    "span": r"\d+ h \d+ min \d+ s",
    "values": r"[a-z_]+(?:, [a-z_]+)*",
    "money": r"-?[0-9.]+ [A-Z]{3}",
    "decimal": r"[0-9.]+",
    "currency": "[A-Z]{3}",
    "wanted": r"an? [A-Za-z0-9 ]+",
}
"""What may stand in the place of a name; anything, for a name that is not here (`id`, `text`, `who` …)."""
_LONGEST: Final = 2_000
"""No sentence of ours is longer, nor are many together twice that; what strangers write is not searched for ever."""
_GROUPS: Final = {"answer": "answer", "outcome": "outcome", "reason": "reason", "fact": "policy_word"}
"""Names whose values are codes: the group of the page's words that they are in."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence in each language, and what finds it."""

    words: Mapping[str, str]
    pattern: re.Pattern[str]
    places: tuple[str, ...]

    @property
    def fixed(self) -> int:
        """How much of it never changes: of two that fit, the one that says more is meant."""
        return len(_PLACE.sub("", self.words["en"]))


@cache
def catalog() -> Mapping[str, tuple[Phrase, ...]]:
    """All sentences by section, those that say most first."""
    text = (files("services.console.web") / "messages" / "phrases.yaml").read_text("utf-8")
    tree: dict[str, list[dict[str, str]]] = yaml.safe_load(text)
    return {
        section: tuple(sorted((_phrase(words) for words in phrases), key=lambda one: -one.fixed))
        for section, phrases in tree.items()
    }


def _phrase(words: Mapping[str, str]) -> Phrase:
    places = tuple(found[0][1:-1] for found in _PLACE.finditer(words["en"]))
    pattern, end = "", 0
    for found in _PLACE.finditer(words["en"]):
        pattern += re.escape(words["en"][end : found.start()])
        pattern += f"(?P<{found[0][1:-1]}>{_PATTERNS.get(found[1], '.+?')})"
        end = found.end()
    return Phrase(words, re.compile(pattern + re.escape(words["en"][end:]), re.DOTALL), places)


@lru_cache(maxsize=8192)
def find(section: Section, text: str) -> tuple[Phrase, Mapping[str, str]] | None:
    """The sentence that a text is, with its values; None for a text of nobody's."""
    if len(text) > _LONGEST:
        return None
    for phrase in catalog()[section]:
        if found := phrase.pattern.fullmatch(text):
            return phrase, found.groupdict()
    return None


@dataclass(frozen=True, slots=True)
class Speaker:
    """Says them in one language."""

    wording: Wording
    zone: ZoneInfo

    @property
    def language(self) -> str:
        """The language's tag."""
        return self.wording.language

    def say(self, section: Section, text: str, **given: Markup) -> Markup | None:
        """The sentence in this language; None for one that is not known. `given`: what is said in some places."""
        known = find(section, text)
        if known is None:
            return None
        phrase, values = known
        shown = {name: given.get(name) or self._shown(name, value, values) for name, value in values.items()}
        said = _markup(phrase.words[self.language])
        return Markup(str.format(said, **shown)) if shown else said  # noqa: S704 - values are markup by now

    def documented(self, text: str) -> Markup:
        """What the contract says of a type or member; as it is where a sentence is newer than its translation."""
        plain = " ".join(text.split())
        return self.say("contract", plain) or original(plain)

    def faults(self, text: str) -> list[tuple[str, Markup | None]]:
        """A dead letter's reason, fault by fault: the path where one is named, and the sentence where it is known."""
        if len(text) > 2 * _LONGEST:
            return [("", None)]
        said = []
        for fault in _BETWEEN.split(text):
            located = _LOCATED.fullmatch(fault)
            path, sentence = located.groups() if located else ("", fault)
            said.append((path, self.say("letters", sentence)))
        return said

    def problem(self, key: str, values: Mapping[str, str]) -> Markup:
        """Words of the page with what was wrong with an input set in as `why`."""
        said: dict[str, str] = dict(values)
        if "why" in values:
            said["why"] = self.say("letters", values["why"]) or original(values["why"])
        if "path" in values:
            said["path"] = Markup('<code dir="ltr">{}</code>').format(values["path"])
        return self.wording(key, **said)

    def _shown(self, name: str, value: str, values: Mapping[str, str]) -> Markup:  # noqa: PLR0911 - an arm for each kind
        found = _KIND.match(name)
        kind = found[0] if found else name
        language = self.language
        if kind in _GROUPS:
            return escape(self.wording.code(_GROUPS[kind], value))
        match kind:
            case "n" | "most" | "hours" | "back" | "quantity":
                return _bdi(formats.number(int(value), language))
            case "span":
                return _bdi(formats.in_full(value, language))
            case "values":
                return self._facts(values.get("fact", ""), value)
            case "money":
                return _bdi(self._money(value))
            case "wanted":
                return self.say("wanted", value) or original(value)
            case "at":
                return _bdi(self._instant(value))
            case "text" | "readings":
                return original(value)
            case _:
                return _bdi(formats.visible(value))

    def _facts(self, fact: str, values: str) -> Markup:
        said = [
            self.wording.code("yesno", {"true": "yes", "false": "no"}[one])
            if one in ("true", "false")
            else self.wording.code(f"fact.{fact}", one)
            for one in values.split(", ")
        ]
        return self.wording("act.and").join(said)

    def _instant(self, value: str) -> str:
        try:
            return formats.moment(datetime.fromisoformat(value), self.zone, self.language)
        except ValueError:  # a dead letter may be anybody's
            return value

    def _money(self, value: str) -> str:
        amount, _, currency = value.partition(" ")
        try:
            return formats.amount_of(amount, currency, self.language)
        except MoneyError:
            return value


@lru_cache(maxsize=2048)
def _markup(words: str) -> Markup:
    """Our own words, with `code` in them as such."""
    return Markup(_CODE.sub(r'<code dir="ltr">\1</code>', str(escape(words))))  # noqa: S704 - escaped


def original(text: str) -> Markup:
    """Foreign or technical text, marked as what it is: not to be translated."""
    shown = escape(formats.visible(text))
    return Markup(f'<bdi class="original break" lang="en" dir="ltr">{shown}</bdi>')  # noqa: S704 - escaped


def _bdi(text: str) -> Markup:
    return Markup(f"<bdi>{escape(text)}</bdi>")  # noqa: S704 - escaped
