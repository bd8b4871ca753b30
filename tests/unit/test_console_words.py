"""The console speaks three languages: the same keys, the same places for values, a name for every code it may meet."""

import re
from collections.abc import Iterator
from importlib.resources import files
from string import Formatter
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from services.console.facts import STAGES, State
from services.console.web.audit import ACTIONS
from services.console.web.contract import described
from services.console.web.formats import LANGUAGES
from services.console.web.phrases import Section, Speaker, catalog, find
from services.console.web.policies import shown
from services.console.web.policy_words import Spoken, words_for
from services.console.web.wording import choose, wording
from services.console.web.worked import worked
from shared.events import TYPES, BadEvent
from shared.events import parts as p
from shared.policy.book import PolicyBook
from shared.policy.load import POLICIES, load_book
from shared.policy.readings import judge_claim
from shared.policy.shelf import Shelf
from shared.policy.trial import example_case
from shared.policy.words import NONE
from tests.contract.test_bad_input import CASES, in_binary, spoilt
from tests.scenarios.play import scenarios
from tests.scenarios.pure import Pipeline
from tests.scenarios.seen import Assessed, Decided
from tests.untranslated import foreign

TEMPLATES = {
    f.name: f.read_text("utf-8") for f in (files("services.console.web") / "templates").iterdir() if "html" in f.name
}


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_the_same_keys_and_places(language: str) -> None:
    english, other = wording("en").words, wording(language).words
    assert other.keys() == english.keys()
    assert {k: places(v) for k, v in other.items()} == {k: places(v) for k, v in english.items()}
    assert all(v.strip() or k.startswith("act.") for k, v in other.items())


@pytest.mark.parametrize("language", ["vi", "fa"])
def test_nothing_is_left_in_english(language: str) -> None:
    same = {"letters.dead", "claim.email", "channel.email", "channel.whatsapp", "role.-", "act.and", "act.end"}
    english = wording("en").words
    assert {k for k, v in wording(language).words.items() if v == english[k]} <= same


def test_the_words_that_templates_ask_for_are_there() -> None:
    asked = {m for t in TEMPLATES.values() for m in re.findall(r'\bt\(["\']([a-z0-9_.]+)["\']\s*[,)]', t)}
    assert len(asked) > 150
    assert asked <= wording("en").words.keys()


CODES = {
    "state": get_args(State),
    "stage": STAGES,
    "reason": get_args(p.ClaimReason),
    "wants": get_args(p.Wants),
    "channel": get_args(p.Channel),
    "outcome": get_args(p.Outcome),
    "awaiting": get_args(p.Awaiting),
    "answer": get_args(p.SellerAnswer),
    "fault": get_args(p.Fault),
    "fact.fault": get_args(p.Fault),
    "fact.carton": get_args(p.Carton),
    "fact.seal": get_args(p.Seal),
    "payer": get_args(p.Payer),
    "effect": get_args(p.Effect),
    "verdict_of_line": get_args(p.Verdict),
    "item": get_args(p.BreakdownKind),
    "why": get_args(p.RefusalCode),
    "event": tuple(TYPES),
    "action": ACTIONS,
    "factname": tuple(p.Inspection.model_fields),
    "result": ("refund", "replacement", "rejected", "review"),
}


@pytest.mark.parametrize("group", CODES)
def test_every_code_has_a_name(group: str) -> None:
    assert {f"{group}.{code}" for code in CODES[group]} <= wording("en").words.keys()


def test_what_the_rules_of_our_policies_say_has_names() -> None:
    names = wording("en").words
    for rule in (rule for policy in Shelf().book().all() for rule in shown(policy).rules):
        for path, value in rule.says.items():
            member, _, rest = path.partition(".")
            assert f"member.{member}" in names, (rule.id, path)
            if member in ("under", "below_zero"):  # names of open points and of their readings, as in the register
                continue
            assert not rest or f"member.{rest}" in names, (rule.id, path)
            for word in value.split(", "):
                # `tipax` is a carrier's name
                assert word[0].isdigit() or word == "tipax" or f"policy_word.{word}" in names, (rule.id, value)


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [("fa", "en", "fa"), (None, "vi-VN,vi;q=0.9", "vi"), ("xx", "de, fa;q=0.5", "fa"), (None, "de", "en")],
)
def test_the_language_is_as_chosen_then_as_the_browser_says(cookie: str | None, accepted: str, language: str) -> None:
    assert choose(cookie, accepted) == language


SECTIONS = get_args(Section)


@pytest.fixture(scope="module")
def book() -> PolicyBook:
    return load_book()


@pytest.fixture(scope="module")
def pipelines(book: PolicyBook) -> list[Pipeline]:
    """The whole table of scenarios, played: what the pipeline said is in them."""
    played = []
    for scenario in scenarios():
        pipeline = Pipeline(book)
        pipeline.play(scenario)
        played.append(pipeline)
    return played


def test_every_sentence_has_its_values_in_every_language() -> None:
    assert set(catalog()) == set(SECTIONS)
    for phrases in catalog().values():
        for phrase in phrases:
            assert phrase.words.keys() == set(LANGUAGES), phrase.words["en"]
            assert {tuple(sorted(places(text))) for text in phrase.words.values()} == {tuple(sorted(phrase.places))}


@pytest.mark.parametrize("language", ["vi", "fa"])
def test_no_sentence_is_left_in_english(language: str) -> None:
    said = [phrase.words[language] for phrases in catalog().values() for phrase in phrases]
    said += wording(language).words.values()
    plain = [re.sub(r"\{\w+\}|`[^`]*`", "", text) for text in said]
    assert len(plain) > 800
    assert {text: words for text in plain if (words := foreign(text, language))} == {}


def reasons_given(pipelines: list[Pipeline], book: PolicyBook) -> Iterator[tuple[str, p.Reason]]:
    """Every reason that a scenario or a worked example leads to, with the merchant whose policy it stands on."""
    for pipeline in pipelines:
        for (merchant, _), heard in pipeline.heard.items():
            told: list[Assessed | Decided] = [*heard.assessed, *heard.decided]
            for one in told:
                for reason in (reason for line in one.lines for reason in line.reasons):
                    yield merchant if one.policy else "", p.Reason.model_validate(reason.model_dump())
    for policy in book.all():
        for example in (one for rule in policy.rules.values() for one in rule.examples):
            for line in judge_claim(policy, example_case(example), lambda _: None).lines:
                for found in line.findings:
                    reason_ = (found.rule, found.clause, found.effect, found.text)
                    said = dict(zip(p.Reason.model_fields, reason_, strict=True))
                    yield policy.merchant, p.Reason.model_validate(said)


@pytest.mark.parametrize("language", ["vi", "fa"])
def test_every_reason_that_the_pipeline_gives_is_said(
    pipelines: list[Pipeline], book: PolicyBook, language: str
) -> None:
    speaker = Speaker(wording(language), ZoneInfo("UTC"))
    given = {(merchant, reason.text): (merchant, reason) for merchant, reason in reasons_given(pipelines, book)}
    assert len(given) > 150
    for merchant, reason in given.values():
        if reason.rule == "review":  # a person's own words
            continue
        policy = book.version(merchant, 1)
        words = NONE if policy is None else words_for(POLICIES, policy, language)
        clause, seen = Spoken(policy, words, language).reason(reason, speaker)
        said = [f"{one}" for one in (clause, seen) if one is not None]
        assert said, reason
        bare = [re.sub(r"<bdi>[^<]*</bdi>|<[^>]*>", " ", one) for one in said]
        assert [words for one in bare for words in foreign(one, language)] == [], (reason.text, said)


def test_what_a_reason_saw_is_worded_from_its_values(book: PolicyBook) -> None:
    policy = book.version("gejet-mall", 1)
    assert policy is not None
    late = "reported 48 h 00 min 01 s after receipt, 48 h are allowed"
    reason = p.Reason(rule="fault-window", clause="G1.1", effect="deny", text=f"{policy.clauses['G1.1'].en} ({late})")
    said = {}
    for language in LANGUAGES:
        speaker = Speaker(wording(language), ZoneInfo("UTC"))
        clause, seen = Spoken(policy, words_for(POLICIES, policy, language), language).reason(reason, speaker)
        said[language] = (re.sub(r"<[^>]*>", "", str(clause)), re.sub(r"<[^>]*>", "", str(seen)).replace("\xa0", " "))
    assert said["en"] == (policy.clauses["G1.1"].en, "reported 48 h 1 s after receipt, 48 h are allowed")
    assert said["vi"][1] == "báo sau khi nhận hàng 48 giờ 1 giây, hạn là 48 giờ"
    assert said["fa"] == (policy.clauses["G1.1"].local, "۴۸ ساعت ۱ ثانیه پس از دریافت اعلام شد، مهلت ۴۸ ساعت است")


def test_a_reason_of_a_policy_that_is_not_at_hand_is_said_beside_the_english_clause() -> None:
    reason = p.Reason(rule="w", clause="Z1", effect="info", text="Bring it back soon. (the goods are back)")
    clause, seen = Spoken(None, NONE, "vi").reason(reason, Speaker(wording("vi"), ZoneInfo("UTC")))
    assert "original" in str(clause)
    assert "Bring it back soon." in str(clause)
    assert str(seen) == "hàng đã về"


def test_every_complaint_about_an_input_is_said(pipelines: list[Pipeline]) -> None:
    speaker = Speaker(wording("vi"), ZoneInfo("UTC"))
    told = {dead.reason for pipeline in pipelines for dead in pipeline.dead}
    for case in CASES:
        try:
            in_binary(case["type"], spoilt(case))
        except BadEvent as bad:
            told |= {f"{path}: {message}" for path, message in bad.flaws}
    assert len(told) > 150
    assert [text for text in told if any(said is None for _, said in speaker.faults(text))] == []


def test_faults_are_told_one_by_one_with_their_paths() -> None:
    text = "$.lines[0].quantity: must be 1 or more; $['a b']: is missing; and so on"
    faults = Speaker(wording("vi"), ZoneInfo("UTC")).faults(text)
    assert [(path, said is not None) for path, said in faults] == [("$.lines[0].quantity", True), ("$['a b']", False)]


@pytest.mark.parametrize(
    ("language", "rule", "number", "given", "expected"),
    [
        (
            "vi",
            "fault-window",
            1,
            "Lý do: lỗi kỹ thuật · báo sau khi nhận: 2 ngày 1 giây · thùng hàng, khách khai: nguyên vẹn",
            "Trạng thái: bị bác · Điều khoản: G1.1 · điểm chưa rõ: thời hạn báo lỗi kỹ thuật fault-window",
        ),
        (
            "fa",
            "fault-window",
            3,
            "دلیل: ایراد فنی · اعلام پیش از دریافت: ۱ ثانیه",
            "در انتظار: تصمیم کارمند · بند: G1.1",
        ),
        (
            "en",
            "withdrawn-goods",
            0,
            "Reason: change of mind · reported after receipt: 1 h · Units: 2 · Unit price: IRR 6,000,000",
            "State: eligible · Clause: G4.1 · Goods: IRR 12,000,000 · Fee kept back: −IRR 312,500",
        ),
        ("en", "out-of-stock-remedy", 0, "Reason: out of stock", "State: eligible · Outcome: refund · Clause: GN4b"),
    ],
)
def test_a_worked_example_is_worded_from_its_data(
    book: PolicyBook, language: str, rule: str, number: int, given: str, expected: str
) -> None:
    policy = book.version("gejet-mall", 1)
    assert policy is not None
    speaker = Speaker(wording(language), ZoneInfo("UTC"))
    spoken = Spoken(policy, words_for(POLICIES, policy, language), language)
    example = next(one for one in shown(policy).rules if one.id == rule).examples[number]
    told = []
    for pairs in (example.given, example.expected):
        words = [f"{what}: {value}" for what, value in worked(pairs, speaker, spoken, policy.currency)]
        told.append(re.sub(r"<[^>]*>", "", " · ".join(words)).replace("\xa0", " "))
    assert told[0].startswith(given)
    assert told[1] == expected


@pytest.mark.parametrize("type_", TYPES)
def test_all_that_the_contract_says_of_a_type_is_said(type_: str) -> None:
    page = described(type_)
    for text in (page.says, *(member.says for member in page.members if member.says)):
        assert find("contract", " ".join(text.split())) is not None, text
