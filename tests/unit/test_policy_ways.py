"""Gaps, conflicts and dead rules of a reason, under policies made up for them: what is said, and what is not."""

import pytest

from shared.policy.ways import ways
from tests.policy_samples import Rule, made_up

REGISTER = {
    "base": {"readings": {"one": "the one", "other": "the other"}, "chosen": "one", "on_difference": "decide"},
    **{
        f"e{number}": {"readings": {"a": "a", "b": "b"}, "on_difference": "review", "when": "at_once"}
        for number in range(7)
    },
}
CLAUSE = {"clause": "C1"}


def when(rule: Rule, **members: object) -> Rule:
    return {**rule, "when": members}


def under(rule: Rule, **entries: str) -> Rule:
    return {**rule, "under": entries}


REFUND: Rule = {**CLAUSE, "kind": "remedy", "gives": "refund"}
REPLACEMENT: Rule = {**CLAUSE, "kind": "remedy", "gives": "replacement"}
AS_WANTED: Rule = {**CLAUSE, "kind": "remedy", "gives": "as_wanted"}
PERSON: Rule = {**CLAUSE, "kind": "remedy", "gives": "review"}
GOODS: Rule = {**CLAUSE, "kind": "share", "item": "goods", "of": "units"}
NAMED: Rule = {**CLAUSE, "kind": "share", "item": "compensation", "of": "answer"}
SHIPPED: Rule = {**CLAUSE, "kind": "cost", "item": "replacement_shipping", "payer": "merchant"}
POSTAGE: Rule = {**CLAUSE, "kind": "cost", "item": "return_postage", "payer": "merchant"}
WINDOW: Rule = {**CLAUSE, "kind": "window", "hours": 24}
SELLER: Rule = {**CLAUSE, "kind": "wait", "for": "seller"}
BACK: Rule = {**CLAUSE, "kind": "wait", "for": "return"}
ASKED_BACK = when(BACK, answer=["require_return"])
UNOPENED: Rule = {**CLAUSE, "kind": "condition", "fact": "packaging_opened", "is": [False]}
OPENED_ENDS: Rule = {**CLAUSE, "kind": "exclusion", "fact": "packaging_opened", "is": [True]}
GIFT: Rule = {**CLAUSE, "kind": "exclusion", "fact": "gift", "is": [True]}
FEE: Rule = {**CLAUSE, "kind": "fee", "item": "withdrawal_fee", "percent": "2", "of": "deposit", "payer": "customer",
             "below_zero": "base"}  # fmt: skip
CARTON: Rule = {**CLAUSE, "kind": "condition", "fact": "carton", "is": ["intact", "marked"]}
CAP: Rule = {**CLAUSE, "kind": "cap", "item": "compensation", "at": "units_value"}

ANSWERED = {"answer": ["refund_full", "refund_partial", "resend", "refuse"]}
PARTIAL = {"answer": ["refund_partial"]}


def said(**rules: Rule) -> list[str]:
    """What is wrong with a reason that has these rules, by its first words."""
    named = {name.replace("_", "-"): rule for name, rule in rules.items()}
    return list(ways(made_up("late", named, REGISTER, clauses=["C1"]), "late"))


FINE = {
    "a refund and what it is made of": {"remedy": REFUND, "goods": GOODS},
    "a replacement and who sends it": {"remedy": REPLACEMENT, "shipped": SHIPPED},
    "as wanted, both ways": {"remedy": AS_WANTED, "goods": GOODS, "shipped": SHIPPED},
    "a person": {"remedy": PERSON},
    "what the order says needs no inspection": {"gift": GIFT, "remedy": PERSON},
    "what the goods say is waited for": {"unopened": UNOPENED, "back": BACK, "remedy": PERSON},
    "every answer leads somewhere": {"seller": SELLER, "back": ASKED_BACK, "remedy": when(PERSON, **ANSWERED)},
    "behind a seller, facts are not waited for": {
        "seller": SELLER,
        "ends": OPENED_ENDS,
        "back": ASKED_BACK,
        "remedy": when(PERSON, **ANSWERED),
    },
    "the seller's amount": {
        "seller": SELLER,
        "back": ASKED_BACK,
        "refund": when(REFUND, **PARTIAL),
        "named": when(NAMED, **PARTIAL),
        "other": when(PERSON, answer=["refund_full", "resend", "refuse"]),
    },
    "answers that a rule names are tried without a wait": {
        "remedy": REFUND,
        "goods": GOODS,
        "named": when(NAMED, **PARTIAL),
    },
    "of costs the first counts": {"post": when(SHIPPED, carrier=["post"]), "other": SHIPPED, "remedy": REPLACEMENT},
    "costs of two items": {"remedy": PERSON, "sent": SHIPPED, "postage": POSTAGE},
    "a fault that a cost names": {"remedy": PERSON, "postage": when(POSTAGE, fault=["transport"])},
    "a category that a rule names": {"remedy": PERSON, "digital": when(GIFT, category=["digital"])},
    "sold sealed and not": {"sealed": when(PERSON, sealed=True), "open": when(REFUND, sealed=False), "goods": GOODS},
    "parted by readings": {"remedy": PERSON, "one": under(FEE, base="one"), "two": under(FEE, base="other")},
    "two exclusions of one fact": {"remedy": PERSON, "one": GIFT, "two": GIFT},
    "conditions of two facts": {"remedy": PERSON, "back": BACK, "unopened": UNOPENED, "carton": CARTON},
    "a condition and an exclusion of which something passes both": {
        "remedy": PERSON,
        "back": BACK,
        "carton": CARTON,
        "marked": {**CLAUSE, "kind": "exclusion", "fact": "carton", "is": ["marked"]},
    },
    "an exclusion of another fact with the same value": {
        "remedy": PERSON,
        "back": BACK,
        "misuse": {**CLAUSE, "kind": "exclusion", "fact": "misuse", "is": [False]},
        "unopened": UNOPENED,
    },
    "shares of two items": {"remedy": REFUND, "goods": GOODS, "shipping": {**GOODS, "item": "shipping"}},
    "caps of two items": {"remedy": PERSON, "one": CAP, "two": {**CAP, "item": "withdrawal_fee"}},
    "64 combinations of readings": {"remedy": PERSON, **{f"g{n}": under(GIFT, **{f"e{n}": "a"}) for n in range(6)}},
}


@pytest.mark.parametrize("rules", FINE.values(), ids=FINE)
def test_nothing_is_wrong(rules: dict[str, Rule]) -> None:
    assert said(**rules) == []


BOTH = ("late (wants refund)", "late (wants replacement)")


def gaps(what: str, *where: str) -> list[str]:
    return [f"{one}: gap: {what}" for one in where or BOTH]


@pytest.mark.parametrize(
    ("rules", "problems"),
    [
        pytest.param({"goods": GOODS}, gaps("no remedy"), id="no remedy"),
        pytest.param({"remedy": REFUND}, gaps("remedy gives a refund"), id="a refund made of nothing"),
        pytest.param({"remedy": REFUND, "sent": SHIPPED}, gaps("remedy gives a refund"), id="a cost is no share"),
        pytest.param(
            {"remedy": AS_WANTED},
            [*gaps("remedy gives a refund", BOTH[0]), *gaps("remedy gives a replacement", BOTH[1])],
            id="as wanted, neither way",
        ),
        pytest.param(
            {"remedy": REPLACEMENT, "postage": POSTAGE}, gaps("remedy gives a replacement"), id="nobody sends it"
        ),
        pytest.param(
            {"unopened": UNOPENED, "carton": CARTON, "remedy": PERSON},
            gaps("nothing would ever tell what unopened, carton asks for"),
            id="nothing would tell",
        ),
        pytest.param(
            {"unopened": UNOPENED, "seller": SELLER, "back": ASKED_BACK, "remedy": when(PERSON, **ANSWERED)},
            [],
            id="behind a seller nobody asks for facts",
        ),
        pytest.param(
            {"seller": SELLER, "remedy": when(PERSON, **ANSWERED)},
            gaps("the seller wants the goods back", *(f"{one[:-1]}, answer require_return)" for one in BOTH)),
            id="goods that the seller wants and nobody waits for",
        ),
        pytest.param(
            {"seller": SELLER, "remedy": PERSON},
            gaps("the seller wants the goods back", *(f"{one[:-1]}, answer require_return)" for one in BOTH)),
            id="the same though no rule names an answer",
        ),
        pytest.param(
            {
                "seller": SELLER,
                "back": ASKED_BACK,
                "refund": when(REFUND, answer=["refund_full", "refund_partial"]),
                "named": when(NAMED, answer=["refund_full", "refund_partial"]),
                "other": when(PERSON, answer=["resend", "refuse"]),
            },
            gaps("named takes the seller's amount", *(f"{one[:-1]}, answer refund_full)" for one in BOTH)),
            id="the amount of an answer that has none",
        ),
        pytest.param({"remedy": when(PERSON, carrier=["post"])}, gaps("no remedy"), id="a carrier that no rule names"),
        pytest.param(
            {"remedy": when(PERSON, carrier=["post"]), "other": when(PERSON, carrier=["bike"]), "gift": GIFT},
            gaps("no remedy"),
            id="two carriers and neither",
        ),
        pytest.param(
            {"remedy": when(PERSON, carrier=["post"]), "bike": when(GIFT, carrier=["bike"])},
            gaps("no remedy", *BOTH, *(f"{one[:-1]}, carrier bike)" for one in BOTH)),
            id="a carrier that another rule names",
        ),
        pytest.param({"remedy": when(PERSON, category=["digital"])}, gaps("no remedy"), id="another category"),
        pytest.param({"remedy": when(PERSON, sealed=True)}, gaps("no remedy"), id="not sold sealed"),
        pytest.param({"remedy": when(PERSON, sealed=False)}, gaps("no remedy"), id="sold sealed"),
        pytest.param({"remedy": when(PERSON, wants=["refund"])}, gaps("no remedy", BOTH[1]), id="the other wish"),
        pytest.param({"remedy": under(PERSON, base="one")}, gaps("no remedy"), id="a reading that is not chosen"),
        pytest.param(
            {"remedy": PERSON, **{f"g{n}": under(GIFT, **{f"e{n}": "a"}) for n in range(7)}},
            ["late depends on 128 combinations of readings; the most is 64."],
            id="too many combinations",
        ),
    ],
)
def test_a_gap_is_said_once_for_each_situation(rules: dict[str, Rule], problems: list[str]) -> None:
    found = said(**rules)
    assert [one[: len(problem)] for one, problem in zip(found, problems, strict=False)] == problems
    assert len(found) == len(problems), found


TWICE: dict[str, dict[str, Rule]] = {
    "window": {"one": WINDOW, "two": {**WINDOW, "hours": 48}, "remedy": PERSON},
    "remedy": {"one": PERSON, "two": PERSON},
    "wait": {"one": BACK, "two": BACK, "remedy": PERSON},
    "condition": {"one": UNOPENED, "two": {**UNOPENED, "is": [True]}, "back": BACK, "remedy": PERSON},
    "share": {"one": GOODS, "two": {**GOODS, "of": "order"}, "remedy": REFUND},
    "fee": {"one": FEE, "two": {**FEE, "percent": "3"}, "remedy": PERSON},
    "cap": {"one": CAP, "two": {**CAP, "at": "once_per_order"}, "remedy": PERSON},
}


@pytest.mark.parametrize("kind", TWICE)
def test_two_that_say_something_of_one_thing_are_in_conflict(kind: str) -> None:
    (found,) = said(**TWICE[kind])
    assert found.startswith(f"late: conflict: one and two hold together, and both are a {kind} of the same thing.")


@pytest.mark.parametrize("order", [("unopened", "ends"), ("ends", "unopened")])
@pytest.mark.parametrize("excluded", [[False], [False, True]])
def test_what_is_asked_for_must_not_be_ruled_out(order: tuple[str, str], excluded: list[bool]) -> None:
    both = {"unopened": UNOPENED, "ends": {**OPENED_ENDS, "is": excluded}}
    (found,) = said(**{name: both[name] for name in order}, back=BACK, remedy=PERSON)
    assert found.startswith("late: conflict: unopened asks for what ends rules out, so that nothing could pass both.")


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param({"remedy": REPLACEMENT, "first": SHIPPED, "dead": SHIPPED}, id="a cost behind one that counts"),
        pytest.param(
            {"remedy": REPLACEMENT, "first": SHIPPED, "dead": when(SHIPPED, carrier=["post"])}, id="in every situation"
        ),
        pytest.param({"remedy": PERSON, "dead": when(GIFT, carrier=[])}, id="a situation that does not come up"),
        pytest.param(
            {"remedy": PERSON, "first": POSTAGE, "sent": SHIPPED, "dead": when(POSTAGE, fault=["seller"])},
            id="of one item, not of another",
        ),
    ],
)
def test_a_rule_that_never_comes_to_anything_is_said_to_be_dead(rules: dict[str, Rule]) -> None:
    (found,) = said(**rules)
    assert found.startswith("late: conflict: dead can never apply")
