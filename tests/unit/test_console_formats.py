"""How the console writes numbers, amounts, times and foreign text."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.console.web import formats, oidc
from services.console.web.audit import tree_of, typed
from services.console.web.sessions import Attempts
from services.console.web.signing import local_path
from services.console.web.users import UsersUnfit, load, open_users, password_file, put, users_file

AT = datetime(2026, 11, 22, 13, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("units", "currency", "language", "text"),
    [
        (11_700_000, "IRR", "en", "IRR\u00a011,700,000"),
        (11_700_000, "IRR", "fa", "۱۱٬۷۰۰٬۰۰۰\u00a0ریال"),
        (-1_170_000, "VND", "vi", "−1.170.000\u00a0₫"),
        (-5, "USD", "vi", "−0,05\u00a0USD"),
        (123_456, "USD", "fa", "۱٬۲۳۴٫۵۶\u00a0دلار"),
        (0, "IRR", "en", "IRR\u00a00"),
    ],
)
def test_amounts(units: int, currency: str, language: str, text: str) -> None:
    assert formats.amount(units, currency, language) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "2026-11-22 16:35:09"),
        ("vi", "22/11/2026 16:35:09"),
        ("fa", "\u200f۱۴۰۵/۰۹/۰۱، ۱۶:۳۵:۰۹"),
    ],
)
def test_times_in_a_zone_and_calendar(language: str, text: str) -> None:
    assert formats.moment(AT, ZoneInfo("Asia/Tehran"), language) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0\u00a0ms"),
        (999, "999\u00a0ms"),
        (61_000, "1\u00a0min 1\u00a0s"),
        (3_600_000, "1\u00a0h"),
        (90_061_000, "1\u00a0d 1\u00a0h"),
        (-3_661_000, "−1\u00a0h 1\u00a0min"),
    ],
)
def test_durations(milliseconds: int, text: str) -> None:
    assert formats.duration(milliseconds, "en") == text


def test_foreign_text_hides_nothing() -> None:
    assert formats.visible(b"a\x00\xff\n") == "a\\u{0}\\xff\n"
    assert formats.visible("evil\u202egpj.exe") == "evil\\u{202e}gpj.exe"
    assert formats.visible("می‌خواهد") == "می‌خواهد"


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/todo?x=1", "/todo?x=1"),
        ("//evil.example", "/now"),
        ("/\\evil.example", "/now"),
        ("https://evil.example", "/now"),
        ("/sign-in/oidc", "/now"),
        ("/a\r\nSet-Cookie: x", "/now"),
    ],
)
def test_after_signing_in_one_stays_on_this_site(path: str, safe: str) -> None:
    assert local_path(path) == safe


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ({"roles": ["x", "makegood-viewer", "makegood-staff"]}, "staff"),
        ({"roles": "makegood-admin other"}, "admin"),
        ({"roles": ["admin"]}, None),
        ({"roles": {"makegood-admin": True}}, None),
        ({}, None),
    ],
)
def test_a_role_comes_from_the_claim_alone(said: dict[str, object], role: str | None) -> None:
    assert oidc.role_of(said, "roles") == role


def test_attempts_run_out_and_come_back() -> None:
    attempts, now = Attempts(most=2, window=timedelta(minutes=5), keys=2), AT
    for _ in range(2):
        assert attempts.wait("a", now) is None
        attempts.fail("a", now)
    assert attempts.wait("a", now) == timedelta(minutes=5)
    assert attempts.wait("b", now) is None
    assert attempts.wait("a", now + timedelta(minutes=5, seconds=1)) is None
    attempts.forget("a")
    assert attempts.wait("a", now) is None
    for key in "bcd":
        attempts.fail(key, now)
        attempts.fail(key, now)
    assert attempts.wait("b", now) is None
    assert attempts.wait("d", now) is not None


def test_the_first_admin_gets_a_random_password_that_only_the_owner_can_read(tmp_path: Path) -> None:
    users, made = open_users(tmp_path, None)
    assert made is not None
    assert len(made) >= 20
    assert password_file(tmp_path).read_text().strip() == made
    assert made not in users_file(tmp_path).read_text()
    assert {oct(f.stat().st_mode & 0o777) for f in (users_file(tmp_path), password_file(tmp_path))} == {"0o600"}
    found = users.verify("admin", made)
    assert found is not None
    assert found.role == "admin"
    assert users.verify("admin", made + "x") is None
    assert users.verify("root", made) is None
    assert open_users(tmp_path, None)[1] is None
    put(tmp_path, "admin", "another that is long", "admin")
    assert not password_file(tmp_path).exists(), "the one in it is no longer the admin's"


def test_a_user_file_that_is_not_one_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(UsersUnfit, match="fewer than 12"):
        put(tmp_path, "mai", "short", "staff")
    users_file(tmp_path).write_text('{"mai": {"role": "root", "argon2": "x"}}')
    with pytest.raises(UsersUnfit, match="not a role"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("amount", "currency", "language", "shown"),
    [
        ("۳۰۶۵۰۰۰۰", "IRR", "en", "IRR\N{NO-BREAK SPACE}30,650,000"),
        ("1290000", "VND", "vi", "1.290.000\N{NO-BREAK SPACE}₫"),
        ("much", "IRR", "en", "much IRR"),
        ("1", "gold", "en", "1 gold"),
    ],
)
def test_an_amount_in_the_audit_is_shown_as_one_where_it_is_one(
    amount: str, currency: str, language: str, shown: str
) -> None:
    assert typed(amount, currency, language) == shown


def test_a_detail_of_the_audit_is_json_or_text() -> None:
    assert tree_of('[{"line_id": "1", "quantity": 2}]') == [{"line_id": "1", "quantity": 2}]
    assert tree_of('{"cut": "short…') is None
    assert tree_of("as agreed") is None
