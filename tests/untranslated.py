"""What a page in Vietnamese or Persian still says in English.

Looked at is all that a reader sees or hears. Left out is what is marked as not to be translated: code and raw data, a
technical original (class `original`), people's own words (`lang=""`, and what they typed), another language that is
named (`lang="fa"` on a Vietnamese page). An identifier stands alone in its `<bdi>`; English prose in one is found.
"""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser
from typing import Final

NAMES: Final = frozenset(
    """
    makegood gejet mall hakago tipax whatsapp email mail web utc api openapi asyncapi json csv http base utf rfc iso
    irr vnd usd irt toman rial nul unicode byte alt ms
    """.split()  # noqa: SIM905 - names read better as text
)
"""The same in every language: names of products, standards, units and currencies."""

_UNREAD: Final = frozenset({"script", "style", "pre", "code", "textarea"})
_VOID: Final = frozenset("area base br col embed hr img input link meta source track wbr rect line".split())  # noqa: SIM905
_HEARD: Final = frozenset({"aria-label", "title", "placeholder", "alt", "data-label", "data-labels"})
_ID: Final = re.compile(r"\S*[0-9@/_.:=+•-]\S*")
_LATIN: Final = re.compile(r"[^\W\d_]+")
_TONES: Final = {"\u0300": "f", "\u0301": "s", "\u0309": "r", "\u0303": "x", "\u0323": "j"}
_SYLLABLE: Final = re.compile(
    r"(?:ngh|ng|nh|gh|gi|kh|ph|qu|th|tr|ch|[bcdđghklmnprstvx])?"
    r"(?:oai|oay|oeo|uây|uôi|ươi|ươu|iêu|yêu|uya|uyê|uyu|oao|oă|oa|oe|uâ|uê|uô|uơ|uy|ua|ưa|ươ|ưu|ưi|ui|ia|iê|yê|iu|ai|ao|au"
    r"|ay|âu|ây|eo|êu|oi|ôi|ơi|[aăâeêioôơuưy])"
    r"(ch|nh|ng|[cmnpt])?"
)
_LOOK_ALIKE: Final = frozenset({"the", "then", "them", "him"})


def left_in_english(page: str, language: str) -> list[str]:
    """The pieces of an HTML page that are not in its language, in order."""
    reader = _Reader(language)
    reader.feed(page)
    reader.close()
    return reader.found


def foreign(text: str, language: str, *, ids: bool = False) -> list[str]:
    """The words of a text that the language does not have; `ids`: an identifier may stand among them."""
    words = [word for piece in text.split() if not (ids and _ID.fullmatch(piece)) for word in _LATIN.findall(piece)]
    strange = _not_persian if language == "fa" else _not_vietnamese
    return [word for word in words if word.lower() not in NAMES and strange(word)]


def _not_persian(word: str) -> bool:
    return any("LATIN" in unicodedata.name(letter, "") for letter in word)


def _not_vietnamese(word: str) -> bool:
    if not _not_persian(word):
        return False
    if word.lower() in _LOOK_ALIKE:
        return True
    spelt = unicodedata.normalize("NFD", word.lower())
    tones = [_TONES[letter] for letter in spelt if letter in _TONES]
    bare = unicodedata.normalize("NFC", "".join(letter for letter in spelt if letter not in _TONES))
    found = _SYLLABLE.fullmatch(bare)
    if found is None or len(tones) > 1:
        return True
    # A syllable that ends in a stop has one of two tones: so `not`, `what` and `back` are none.
    return found[1] in ("c", "ch", "p", "t") and tones not in (["s"], ["j"])


class _Reader(HTMLParser):
    """Collects what is foreign, with what it stands in."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._language = language
        self._open: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        how = self._how(tag, given)
        if how != "unread":
            for name in _HEARD & given.keys():
                self._judge(given[name], f"{tag} {name}", ids=True)
        if tag not in _VOID:
            self._open.append((tag, how))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, how = self._open[-1] if self._open else ("", "words")
        text = data.strip()
        if how == "unread" or not text:
            return
        if how == "id" and len(text.split()) == 1:
            return
        self._judge(text, tag, ids=how == "id")

    def _how(self, tag: str, given: dict[str, str]) -> str:
        around = self._open[-1][1] if self._open else "words"
        language = given.get("lang", self._language)
        if around == "unread" or tag in _UNREAD or "original" in given.get("class", "").split():
            return "unread"
        if tag != "html" and language not in (self._language, "en"):  # people's own words, or a language that is named
            return "unread"
        if tag == "button" and given.get("name") == "language":
            return "unread"
        return "id" if tag in ("bdi", "title") or (tag == "option" and language == "en") else around

    def _judge(self, text: str, where: str, *, ids: bool) -> None:
        if foreign(text, self._language, ids=ids):
            self.found.append(f"<{where}> {text[:200]}")
