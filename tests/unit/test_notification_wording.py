"""The three catalogs hold the same texts, and one that does not is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from services.notification import wording
from services.notification.formats import LANGUAGES
from services.notification.wording import BadCatalog, load_catalogs, load_merchants, placeholders, unnamed_merchant
from shared.events.parts import BreakdownKind, Payer, RefusalCode

catalogs = load_catalogs()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_text_with_the_same_values(language: str) -> None:
    english = {key: placeholders(text) for key, text in catalogs["en"].texts.items()}
    assert {key: placeholders(text) for key, text in catalogs[language].texts.items()} == english


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_contract_has_its_text(language: str) -> None:
    wanted = {
        *(f"refused.{code}" for code in get_args(RefusalCode)),
        *(f"breakdown.{item}" for item in get_args(BreakdownKind)),
        *(f"decided.ship_{payer}" for payer in get_args(Payer)),
    }
    assert wanted <= set(catalogs[language].texts)


def test_no_text_is_left_in_english() -> None:
    for language in ("vi", "fa"):
        same = {key for key, text in catalogs[language].texts.items() if text == catalogs["en"].texts[key]}
        assert same <= {"item.titled", "decided.plus"}


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (
            lambda text: text.replace("  named:", "  nomed:"),
            "vi.yaml differs from .* in greeting.named, greeting.nomed",
        ),
        (lambda text: text.replace("{name}", "{nome}"), "vi.yaml differs from .* in greeting.named"),
        (lambda text: text.replace("language: vi", "language: fa"), "vi.yaml says it is 'fa'"),
        (lambda text: text.replace('"Kính gửi quý khách,"', '""'), "greeting.unnamed is not a text"),
    ],
)
def test_a_spoiled_catalog_is_refused(
    spoil: Callable[[str], str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    for language in LANGUAGES:
        text = (Path(wording.__file__).parent / "messages" / f"{language}.yaml").read_text("utf-8")
        (folder / f"{language}.yaml").write_text(spoil(text) if language == "vi" else text, "utf-8")
    monkeypatch.setattr(wording, "files", lambda package: tmp_path)
    with pytest.raises(BadCatalog, match=complaint):
        load_catalogs()


def test_a_value_cannot_break_out_of_its_place() -> None:
    said = catalogs["en"].say("closing.sign", merchant="Shop\nBuy {now} \u202egnp")
    assert said == "Kind regards,\nShop Buy {now} gnp"


def test_merchants_and_one_that_nobody_described() -> None:
    merchants = load_merchants()
    assert merchants["gejet-mall"].name("fa") == "گجت مال"
    assert merchants["hakago"].locale == "vi-VN"
    assert unnamed_merchant("third", "vi-VN").locale == "vi-VN"
    unknown = unnamed_merchant("third", "de-DE")
    assert (unknown.locale, unknown.name("fa"), unknown.zone.key) == ("en", "third", "UTC")
