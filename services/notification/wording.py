"""What is said to customers, as data: the texts of each language, and the merchants who speak."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Final, cast
from zoneinfo import ZoneInfo

import yaml

from services.notification.formats import LANGUAGES, directed, isolate, language_of, plain

_SHORT: Final = 200


class BadCatalog(Exception):  # noqa: N818 - read as a sentence: the catalog is bad
    """A language file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """The texts of one language by key (`decided.refund`)."""

    language: str
    texts: Mapping[str, str]

    def say(self, key: str, **values: str) -> str:
        """A text with its values set in, each kept to one line and to itself. Raises `KeyError` for an unknown key."""
        text = self.texts[key]
        if not values and "{" not in text and "}" not in text:
            return text
        language = self.language
        for name, value in values.items():
            values[name] = _short_set_in(value, language) if len(value) <= _SHORT else _set_in(value, language)
        return text.format_map(values)

    def has(self, key: str) -> bool:
        return key in self.texts

    def direct(self, text: str) -> str:
        """A finished text with the marks that its direction needs."""
        return directed(text, self.language)


@dataclass(frozen=True, slots=True)
class Merchant:
    """Who speaks: the name by language, the locale for customers who named none, the zone in which times are told."""

    names: Mapping[str, str]
    locale: str
    zone: ZoneInfo

    def name(self, language: str) -> str:
        return self.names.get(language) or self.names["en"]


def load_catalogs() -> dict[str, Catalog]:
    """The catalogs of all languages. Raises `BadCatalog` where a key or a placeholder is missing in one of them."""
    catalogs = {language: _load_catalog(language) for language in LANGUAGES}
    wanted = {key: placeholders(text) for key, text in catalogs["en"].texts.items()}
    for language, catalog in catalogs.items():
        found = {key: placeholders(text) for key, text in catalog.texts.items()}
        if found != wanted:
            wrong = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
            raise BadCatalog(f"messages/{language}.yaml differs from messages/en.yaml in {', '.join(wrong)}")
    return catalogs


def load_merchants() -> dict[str, Merchant]:
    """The merchants that have a name of their own."""
    found = cast(
        "dict[str, dict[str, object]]", yaml.safe_load((files(__package__) / "merchants.yaml").read_text("utf-8"))
    )
    return {
        merchant: Merchant(
            names=cast("dict[str, str]", profile["name"]),
            locale=str(profile["locale"]),
            zone=ZoneInfo(str(profile["time_zone"])),
        )
        for merchant, profile in found.items()
    }


def unnamed_merchant(merchant: str, locale: str | None) -> Merchant:
    """A merchant that nobody has described: called by its id, times in UTC."""
    spoken = locale if locale and language_of(locale) else "en"
    return Merchant(names={"en": merchant}, locale=spoken, zone=ZoneInfo("UTC"))


def _set_in(value: str, language: str) -> str:
    return isolate(plain(value), language)


# A letter says its claim's id and its merchant's name several times.
_short_set_in: Final = lru_cache(maxsize=4096)(_set_in)


def placeholders(text: str) -> frozenset[str]:
    """The names of the values that a text needs."""
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def _load_catalog(language: str) -> Catalog:
    loaded = yaml.safe_load((files(__package__) / "messages" / f"{language}.yaml").read_text("utf-8"))
    texts: dict[str, str] = {}
    for section, entries in loaded.items():
        if section == "language":
            if entries != language:
                raise BadCatalog(f"messages/{language}.yaml says it is {entries!r}")
            continue
        for key, text in entries.items():
            if not isinstance(text, str) or not text.strip():
                raise BadCatalog(f"messages/{language}.yaml: {section}.{key} is not a text")
            texts[f"{section}.{key}"] = text
    return Catalog(language, texts)
