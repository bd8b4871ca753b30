"""Open points under a policy made up for them: which lines they part, what is shown of them, what a claim comes to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shared.events.parts import Wants
from shared.policy.case import ClaimCase, LineCase
from shared.policy.judge import Step
from shared.policy.model import Policy
from shared.policy.readings import JudgedClaim, JudgedLine, judge_claim
from shared.policy.rules import Value
from tests.policy_samples import Rule, made_up

T0 = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
REGISTER = {
    "window": {"clause": "C1", "readings": {"short": "one hour", "long": "two hours"}, "on_difference": "review",
               "when": "at_once"},
    "box": {"clause": "C2", "readings": {"strict": "the box counts", "lax": "it does not"}, "on_difference": "review",
            "when": "after_inspection"},
    "seal": {"readings": {"strict": "the seal counts", "lax": "it does not"}, "on_difference": "review",
             "when": "after_inspection"},
    "heading": {"readings": {"first": "as it says", "second": "as it means"}, "chosen": "second",
                "on_difference": "decide"},
}  # fmt: skip

SHORT: Rule = {"kind": "window", "clause": "C1", "hours": 1, "under": {"window": "short"}}
LONG: Rule = {"kind": "window", "clause": "C1", "hours": 2, "under": {"window": "long"}}
BOX: Rule = {"kind": "exclusion", "clause": "C2", "fact": "carton", "is": ["torn"], "under": {"box": "strict"}}
SEAL: Rule = {"kind": "condition", "clause": "C3", "fact": "seal", "is": ["unopened"], "under": {"seal": "strict"}}
MISUSE: Rule = {"kind": "exclusion", "clause": "C3", "fact": "misuse", "is": [True]}
BACK: Rule = {"kind": "wait", "clause": "C2", "for": "return"}
REFUND: Rule = {"kind": "remedy", "clause": "C3", "gives": "refund"}


def policy(**rules: Rule) -> Policy:
    return made_up("technical_fault", rules, REGISTER)


def line(line_id: str = "1", category: str | None = None, back: int = 1, **stated: Value) -> LineCase:
    return LineCase(line_id, 1, stated, back=back, category=category)


def judged(
    made: Policy,
    *lines: LineCase,
    minutes: int = 30,
    wants: Wants = "refund",
    asked: list[Sequence[str]] | None = None,
    received: bool = True,
    reason: str = "technical_fault",
) -> JudgedClaim:
    """The claim of these lines, reported so long after receipt; a refund is 1.00 for each of its lines."""
    receipt = T0 if received else None
    case = ClaimCase(reason, wants, T0 + timedelta(minutes=minutes), receipt, "post", lines)

    def amount(line_ids: tuple[str, ...]) -> str:
        if asked is not None:
            asked.append(line_ids)
        return f"{len(line_ids)}.00"

    return judge_claim(made, case, amount)


def named(of: JudgedLine) -> dict[str, str]:
    return {finding.rule: finding.effect for finding in of.findings}


def shown(claim: JudgedClaim) -> dict[str, dict[str, tuple[str, str | None]]]:
    return {one.entry: {reading: (what, amount) for reading, what, amount in one.alternatives} for one in claim.shown}


def test_readings_that_agree_decide_and_are_named_with_what_they_give() -> None:
    made = policy(short=SHORT, long=LONG, remedy=REFUND)
    claim = judged(made, line())
    assert (claim.step, claim.remedy) == (Step.GO, "refund")
    assert named(claim.lines[0]) == {"short": "allow", "long": "allow", "remedy": "allow"}
    assert shown(claim) == {"window": {"short": ("refund", "1.00"), "long": ("refund", "1.00")}}
    assert claim.lines[0].differs == ()


def test_readings_that_differ_where_no_inspection_helps_go_to_a_person_at_once() -> None:
    made = policy(short=SHORT, long=LONG, back=BACK, remedy=REFUND)
    claim = judged(made, line(back=0), minutes=90)
    assert claim.step is Step.REVIEW_NOW
    assert claim.lines[0].differs == ("window",)
    assert named(claim.lines[0]) == {"back": "info", "remedy": "allow", "window": "refer"}
    refer = claim.lines[0].findings[-1]
    assert (refer.clause, refer.step) == ("C1", Step.REVIEW_NOW)
    assert refer.text.endswith("they differ here: one hour; two hours")
    assert shown(claim) == {"window": {"short": ("rejected", None), "long": ("refund", "1.00")}}


def test_readings_that_differ_where_one_may_help_wait_for_it_first() -> None:
    made = policy(box=BOX, back=BACK, remedy=REFUND)
    waiting = judged(made, line(back=0, carton="torn"))
    assert waiting.step is Step.RETURN
    assert named(waiting.lines[0]) == {"back": "info", "remedy": "allow", "box": "info"}
    assert waiting.shown == ()
    after = judged(made, line(carton="torn"))
    assert after.step is Step.REVIEW_AFTER
    assert named(after.lines[0]) == {"back": "info", "remedy": "allow", "box": "refer"}
    assert shown(after) == {"box": {"strict": ("rejected", None), "lax": ("refund", "1.00")}}
    assert (after.remedy, after.lines[0].remedy) == ("refund", "refund")


def test_of_two_that_differ_the_one_at_once_counts() -> None:
    made = policy(short=SHORT, long=LONG, box=BOX, back=BACK, remedy=REFUND)
    claim = judged(made, line(back=0, carton="torn"), minutes=90)
    assert claim.lines[0].differs == ("window", "box")
    assert claim.step is Step.REVIEW_NOW
    assert shown(claim) == {
        "window": {"short": ("rejected", None), "long": ("review", None)},
        "box": {"strict": ("rejected", None), "lax": ("review", None)},
    }


def test_an_open_point_that_is_beside_the_point_does_not_part() -> None:
    made = policy(box=BOX, seal=SEAL, back=BACK, remedy=REFUND)
    claim = judged(made, line(carton="torn", seal="unopened"))
    assert claim.lines[0].differs == ("box",)
    assert shown(claim)["seal"] == {"strict": ("review", None), "lax": ("review", None)}


def test_what_is_held_against_a_line_under_every_reading_stands_without_what_some_hold_against_it() -> None:
    made = policy(short=SHORT, box=BOX, seal=SEAL, misuse=MISUSE, remedy=REFUND)
    claim = judged(made, line(carton="torn", seal="unopened", misuse=True))
    assert claim.step is Step.REJECT
    assert named(claim.lines[0]) == {"short": "allow", "seal": "allow", "misuse": "deny", "remedy": "allow"}
    assert shown(claim)["box"] == {"strict": ("rejected", None), "lax": ("rejected", None)}


def test_where_each_reading_holds_something_else_against_it_all_is_named() -> None:
    made = policy(short=SHORT, long=LONG, remedy=REFUND)
    claim = judged(made, line(), minutes=121)
    assert claim.step is Step.REJECT
    assert named(claim.lines[0]) == {"short": "deny", "long": "deny", "remedy": "allow"}


def test_a_decided_entry_is_named_without_alternatives_and_only_its_chosen_reading_holds() -> None:
    first: Rule = {**MISUSE, "under": {"heading": "first"}}
    second: Rule = {**BOX, "under": {"heading": "second"}}
    made = policy(first=first, second=second, remedy=REFUND)
    claim = judged(made, line(misuse=True, carton="intact"))
    assert claim.step is Step.GO
    assert named(claim.lines[0]) == {"second": "allow", "remedy": "allow"}
    assert [(one.entry, one.chosen, one.alternatives) for one in claim.shown] == [("heading", "second", ())]


def test_entries_are_shown_in_the_order_of_the_register_and_only_those_met() -> None:
    heading: Rule = {**MISUSE, "under": {"heading": "second"}}
    sealed: Rule = {**SEAL, "when": {"category": ["digital"]}}
    made = policy(heading=heading, sealed=sealed, box=BOX, remedy=REFUND)
    assert [one.entry for one in judged(made, line(misuse=False, carton="intact")).shown] == ["box", "heading"]
    digital = judged(made, line(category="digital", seal="unopened", misuse=False, carton="intact"))
    assert [one.entry for one in digital.shown] == ["box", "seal", "heading"]


DIGITAL_REPLACED: Rule = {"kind": "remedy", "clause": "C3", "gives": "replacement", "when": {"category": ["digital"]}}
OTHERS_REFUNDED: Rule = {**REFUND, "when": {"category": ["book"]}}


def test_a_rejected_line_has_no_say_in_what_the_claim_gives() -> None:
    made = policy(box=BOX, misuse=MISUSE, replaced=DIGITAL_REPLACED, refunded=OTHERS_REFUNDED)
    bad = line("1", "digital", misuse=True, carton="intact")
    good = line("2", "book", misuse=False, carton="intact")
    claim = judged(made, bad, good)
    assert (claim.step, claim.remedy) == (Step.GO, "refund")
    assert [one.step for one in claim.lines] == [Step.REJECT, Step.GO]
    assert shown(claim) == {"box": {"strict": ("refund", "1.00"), "lax": ("refund", "1.00")}}


def test_a_line_that_a_person_must_settle_has_no_say_in_it_either() -> None:
    asked: Rule = {"kind": "remedy", "clause": "C3", "gives": "review", "when": {"category": ["digital"]}}
    claim = judged(policy(asked=asked, refunded=OTHERS_REFUNDED), line("1", "digital"), line("2", "book"))
    assert (claim.step, claim.remedy) == (Step.REVIEW_NOW, "refund")


def test_a_claim_of_which_one_line_is_parted_shows_what_each_reading_gives_of_the_whole() -> None:
    asked: list[Sequence[str]] = []
    made = policy(box=BOX, remedy=REFUND)
    claim = judged(made, line("1", carton="torn"), line("2", carton="intact"), asked=asked)
    assert [one.step for one in claim.lines] == [Step.REVIEW_AFTER, Step.GO]
    assert claim.step is Step.REVIEW_AFTER
    assert shown(claim) == {"box": {"strict": ("refund", "1.00"), "lax": ("refund", "2.00")}}
    assert asked == [("2",), ("1", "2")], "each once, and only for refunds"


def test_what_is_asked_once_is_not_asked_again() -> None:
    asked: list[Sequence[str]] = []
    judged(policy(short=SHORT, long=LONG, box=BOX, remedy=REFUND), line(carton="intact"), asked=asked)
    assert asked == [("1",)]


@pytest.mark.parametrize(("wants", "amount"), [("refund", "1.00"), ("replacement", None)])
def test_only_a_refund_has_an_amount(wants: Wants, amount: str | None) -> None:
    made = policy(box=BOX, remedy={"kind": "remedy", "clause": "C3", "gives": "as_wanted"})
    claim = judged(made, line(carton="intact"), wants=wants)
    assert claim.remedy == wants
    assert shown(claim) == {"box": {"strict": (wants, amount), "lax": (wants, amount)}}


def test_a_reading_under_which_a_person_must_decide_says_so() -> None:
    unknown: Rule = {**SEAL, "otherwise": "review"}
    claim = judged(policy(seal=unknown, remedy=REFUND), line(seal="opened"))
    assert claim.step is Step.REVIEW_AFTER
    assert shown(claim) == {"seal": {"strict": ("review", None), "lax": ("refund", "1.00")}}


def test_remedies_that_readings_part_are_for_a_person() -> None:
    lax: Rule = {**REFUND, "under": {"box": "lax"}}
    strict: Rule = {"kind": "remedy", "clause": "C3", "gives": "replacement", "under": {"box": "strict"}}
    claim = judged(policy(strict=strict, lax=lax), line())
    assert claim.step is Step.REVIEW_AFTER
    assert claim.lines[0].differs == ("box",)
    assert shown(claim) == {"box": {"strict": ("replacement", None), "lax": ("refund", "1.00")}}


def test_a_remedy_that_one_reading_leaves_to_a_person_is_the_other_s_meanwhile() -> None:
    strict: Rule = {"kind": "remedy", "clause": "C3", "gives": "review", "under": {"box": "strict"}}
    lax: Rule = {**REFUND, "under": {"box": "lax"}}
    claim = judged(policy(strict=strict, lax=lax), line())
    assert (claim.step, claim.lines[0].remedy) == (Step.REVIEW_AFTER, "refund")
    assert shown(claim) == {"box": {"strict": ("review", None), "lax": ("refund", "1.00")}}


def test_of_two_waits_that_readings_ask_for_the_first_comes_first() -> None:
    windowed: Rule = {**SHORT, "under": {"box": "lax"}}
    made = policy(windowed=windowed, back=BACK, remedy=REFUND)
    assert judged(made, line(back=0), received=False).step is Step.DELIVERY
    assert judged(made, line(back=0)).step is Step.RETURN


@pytest.mark.parametrize(("clause", "says"), [(None, "No clause covers the reason late."), ("C2", "C2.")])
def test_a_reason_without_rules_is_for_a_person_in_the_words_of_its_clause(clause: str | None, says: str) -> None:
    made = policy(remedy=REFUND)
    other = made.other_reasons.model_copy(update={"clause": clause})
    claim = judged(made.model_copy(update={"other_reasons": other}), line(), reason="late")
    (finding,) = claim.lines[0].findings
    assert (claim.step, finding.clause, finding.text) == (Step.REVIEW_NOW, clause, says)


def test_a_reading_under_which_nobody_knows_yet_what_it_leads_to_is_for_a_person() -> None:
    seller: Rule = {"kind": "wait", "clause": "C2", "for": "seller"}
    answered: Rule = {**REFUND, "when": {"answer": ["refund_full"]}}
    claim = judged(policy(short=SHORT, long=LONG, seller=seller, answered=answered), line(), minutes=90)
    assert claim.step is Step.REVIEW_NOW
    assert shown(claim) == {"window": {"short": ("rejected", None), "long": ("review", None)}}


def test_a_gift_is_named_as_one() -> None:
    gift: Rule = {"kind": "condition", "clause": "C3", "fact": "gift", "is": [False], "otherwise": "review"}
    made = policy(gift=gift, remedy=REFUND)
    for line_, says in ((LineCase("1", 1, gift=True), "a gift invoiced at 0"), (LineCase("1", 1), "no gift")):
        assert judged(made, line_).lines[0].findings[0].text == f"C3. ({says})"


def test_a_claim_all_of_whose_lines_are_rejected_is_rejected() -> None:
    claim = judged(policy(misuse=MISUSE, remedy=REFUND), line("1", misuse=True), line("2", misuse=True))
    assert (claim.step, claim.remedy) == (Step.REJECT, None)
