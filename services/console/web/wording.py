"""The page's words in each language: one YAML file a language, the same keys in all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml
from markupsafe import Markup, escape

from services.console.web.formats import LANGUAGES, RTL


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language."""

    language: str
    words: Mapping[str, str]
    _escaped: dict[str, Markup] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        # Once here, not at each of the hundreds of places of each page.
        self._escaped.update({key: escape(text) for key, text in self.words.items()})

    @property
    def direction(self) -> str:
        """Value of the `dir` attribute."""
        return "rtl" if self.language in RTL else "ltr"

    def __call__(self, key: str, **values: str) -> Markup:
        """The words for a key, with values set in (escaped unless they are markup). Raises `KeyError` for a key that is
        not there."""
        text = self._escaped[key]
        if not values:
            return text
        return Markup(str.format(text, **{name: escape(value) for name, value in values.items()}))  # noqa: S704 - escaped

    def code(self, group: str, code: str) -> str:
        """The name of a code of the contract; a code from the future is shown as it is."""
        return self._escaped.get(f"{group}.{code}", code)


@cache
def wording(language: str) -> Wording:
    """The words of a language of `LANGUAGES`."""
    text = (files("services.console.web") / "messages" / f"{language}.yaml").read_text("utf-8")
    return Wording(language, flatten(yaml.safe_load(text)))


def flatten(tree: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Nested mappings → dotted keys."""
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def choose(cookie: str | None, accepted: str) -> str:
    """The language: as chosen, else the first acceptable one that we speak, else English."""
    if cookie in LANGUAGES:
        return str(cookie)
    for part in accepted.split(",")[:10]:
        tag = part.partition(";")[0].strip().lower()[:2]
        if tag in LANGUAGES:
            return tag
    return "en"
