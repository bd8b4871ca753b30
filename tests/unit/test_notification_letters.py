"""Every letter in three languages, compared with texts that a reader can judge: `notification_letters/<name>.txt`.

The marks that one does not see are shown there: ⟦ ⟧ isolates, ⇠ a right-to-left mark, ⍽ a no-break space. After a
wanted change of wording, `python -m tests.unit.test_notification_letters` writes the files anew: read the difference.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from services.notification.domain import compose
from services.notification.formats import LANGUAGES
from services.notification.letters import Desk, Letter, Sheet
from services.notification.reading import Occasion, read
from services.notification.wording import load_catalogs, load_merchants

FOLDER = Path(__file__).parent / "notification_letters"
CASES: dict[str, Any] = yaml.safe_load((FOLDER / "occasions.yaml").read_text("utf-8"))
NAMES = {"gejet-mall": "علی رضایی", "hakago": "Nguyễn Thị Hoa"}
SHOWN = str.maketrans({"\u2068": "⟦", "\u2069": "⟧", "\u200f": "⇠", "\u00a0": "⍽"})

catalogs = load_catalogs()
merchants = load_merchants()


def occasion(case: dict[str, Any]) -> Occasion:
    merchant = case.get("merchant", "gejet-mall")
    data = CASES["common"] | {"merchant": merchant} | case["about"]
    event = read(case["type"], json.dumps(data).encode())
    assert isinstance(event, Occasion)
    return event


def letter(case: dict[str, Any], language: str) -> Letter:
    known = CASES["sheet"] | ({"reason": case["reason"]} if "reason" in case else {})
    merchant = case.get("merchant", "gejet-mall")
    return compose(
        occasion(case),
        Desk(
            catalog=catalogs[language],
            merchant=merchants[merchant],
            customer=NAMES[merchant] if "sheet" not in case else None,
            sheet=None if "sheet" in case else msgspec.convert(known, Sheet),
            clauses=CASES["clauses"],
        ),
    )


def written(case: dict[str, Any]) -> str:
    """All three letters of an occasion as they lie in its file."""
    letters = [(language, letter(case, language)) for language in LANGUAGES]
    return "\n".join(f"=== {language}: {text.subject}\n\n{text.body}" for language, text in letters).translate(SHOWN)


@pytest.mark.parametrize("name", CASES["occasions"])
def test_letters_read_as_they_should(name: str) -> None:
    assert written(CASES["occasions"][name]) == (FOLDER / f"{name}.txt").read_text("utf-8")


def test_no_file_without_an_occasion() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(CASES["occasions"])


def test_every_text_of_the_catalogs_is_used_by_some_letter() -> None:
    """A text that no letter uses is one that nobody reads and everybody has to translate."""
    said: set[str] = set()

    class Listening(type(catalogs["en"])):  # type: ignore[misc]  # a subclass of the instance's own class
        def say(self, key: str, **values: str) -> str:
            said.add(key)
            return str(super().say(key, **values))

    heard = Listening("en", catalogs["en"].texts)
    original = catalogs["en"]
    catalogs["en"] = heard
    try:
        for case in CASES["occasions"].values():
            letter(case, "en")
    finally:
        catalogs["en"] = original
    assert set(heard.texts) - said == {"refused.other"}


if __name__ == "__main__":
    for name, case in CASES["occasions"].items():
        (FOLDER / f"{name}.txt").write_text(written(case), "utf-8")
