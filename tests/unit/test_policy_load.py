"""What is wrong with a policy file is said with file, line and what to do; nothing that is wrong is loaded."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.policy.load import POLICIES, load_book, load_files
from shared.policy.problem import PolicyError

GEJET = (POLICIES / "gejet-mall" / "v1.yaml").read_text(encoding="utf-8")
HAKAGO = (POLICIES / "hakago" / "v1.yaml").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Fault:
    """`old` is replaced by `new` (once); the problem is to be on the line of `at` (left out: of `new`'s first line)."""

    says: str
    old: str
    new: str
    message: str
    at: str | None = None
    of: str = "gejet-mall"

    def text(self) -> str:
        whole = GEJET if self.of == "gejet-mall" else HAKAGO
        assert whole.count(self.old) >= 1, self.old
        return whole.replace(self.old, self.new, 1)

    def line(self) -> int:
        text = self.text()
        sought = self.at or self.new.strip("\n").splitlines()[0]
        assert sought in text
        return text[: text.index(sought)].count("\n") + 1


SHAPE = [
    Fault("unknown key at the top", "locale: fa-IR", "colour: red\nlocale: fa-IR", "unknown key 'colour'"),
    Fault(
        "unknown key in a rule",
        "    hours: 48\n    under: {fault",
        "    hours: 48\n    days: 2\n    under: {fault",
        "unknown key 'days'",
        at="    days: 2",
    ),
    Fault(
        "unknown key in an example",
        "        reported: 48h\n        facts: {carton: intact, misuse: false}",
        "        told: 48h\n        facts: {carton: intact, misuse: false}",
        "unknown key 'told'",
    ),
    Fault("missing key", "locale: fa-IR\n", "", "'locale' is missing", at="merchant: gejet-mall"),
    Fault(
        "unknown kind",
        "    kind: window\n    clause: G1.1",
        "    kind: timeframe\n    clause: G1.1",
        "rule kinds",
        at="  fault-window:\n    kind: timeframe",
    ),
    Fault(
        "no kind",
        "    kind: window\n    clause: G1.1",
        "    clause: G1.1",
        "'kind' is missing",
        at="  fault-window:\n    clause: G1.1\n    hours",
    ),
    Fault(
        "a number that is none",
        "    hours: 48\n    under: {fault",
        "    hours: many\n    under: {fault",
        "hours:",
        at="    hours: many",
    ),
    Fault(
        "a window of no time",
        "    hours: 48\n    under: {fault",
        "    hours: 0\n    under: {fault",
        "greater than or equal to 1",
        at="    hours: 0",
    ),
    Fault(
        "a float as a percentage",
        '    percent: "2.5"\n    of: deposit',
        "    percent: 2.5%\n    of: deposit",
        "percent",
        at="    percent: 2.5%",
    ),
    Fault(
        "an instant without an offset",
        "2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00",
        "offset",
        at="in_force_from: 2020-01-01T00:00:00",
    ),
    Fault("an unknown reason", "  out_of_stock: [", "  out_of_fashion: [", "out_of_fashion", at="  out_of_fashion: ["),
    Fault("a key twice", "locale: fa-IR", "locale: fa-IR\nlocale: fa-IR ", "twice", at="locale: fa-IR "),
    Fault(
        "a rule twice",
        "  await-parcel:\n",
        "  await-return:\n",
        "twice",
        at="  await-return:\n    kind: wait\n    clause: G3.1",
    ),
    Fault(
        "a rule with an id",
        "    kind: window\n    clause: G1.1",
        "    id: x\n    kind: window\n    clause: G1.1",
        "Remove `id`",
        at="    id: x",
    ),
    Fault("not YAML", "clauses:\n", "clauses: [\n", "not YAML", at="    en: A gift that the shop adds"),
    Fault("a currency that is none", "currency: IRR", "currency: IRT", "ISO 4217"),
    Fault("no deadline", "seller_days: 7", "seller_days: 0", "greater than or equal to 1", at="deadlines:"),
    Fault(
        "yes is a word, not a truth value",
        "    fact: misuse\n    is: [true]",
        "    fact: misuse\n    is: [yes]",
        "misuse is never 'yes'",
        at="    is: [yes]",
    ),
]

CITATIONS = [
    Fault("a clause that is not listed", "    clause: G1.5\n", "    clause: G1.9\n", "cites the clause G1.9"),
    Fault(
        "in the register", "    clause: GN3\n    readings", "    clause: GN33\n    readings", "cites the clause GN33"
    ),
    Fault(
        "in an example",
        "expect: {status: rejected, clause: G1.5}",
        "expect: {status: rejected, clause: G9.9}",
        "cites the clause G9.9",
        at="expect: {status: rejected, clause: G9.9}",
    ),
    Fault("for other reasons", "other_reasons: {rules", "other_reasons: {clause: GX, rules", "cites the clause GX"),
    Fault("an entry in an example", "entry: gift-scope}", "entry: present-scope}", "'present-scope'"),
    Fault(
        "an unknown entry under a rule",
        "under: {gift-scope: no-guarantee}",
        "under: {gift: no-guarantee}",
        "'gift' is not in the register",
    ),
    Fault(
        "an unknown reading",
        "under: {gift-scope: no-guarantee}",
        "under: {gift-scope: some}",
        "none of the readings of gift-scope",
    ),
    Fault(
        "a rule that is not there", "  out_of_stock: [gift, ", "  out_of_stock: [present, ", "names the rule 'present'"
    ),
    Fault("a rule twice in a reason", "  out_of_stock: [gift, ", "  out_of_stock: [gift, gift, ", "twice"),
    Fault(
        "a rule in no reason",
        "[gift, await-parcel, ",
        "[gift, ",
        "no reason names the rule await-parcel",
        at="  await-parcel:",
    ),
    Fault("below zero under no entry", "below_zero: fee-above-goods", "below_zero: fee-over-all", "'fee-over-all'"),
]

REGISTER = [
    Fault(
        "decided without a choice",
        "    chosen: clause-48h\n",
        "",
        "has to say which reading is chosen",
        at="  fault-window:\n    clause: G1.1\n    readings",
    ),
    Fault(
        "a choice that is no reading", "    chosen: clause-48h\n", "    chosen: clause-50h\n", "none of its readings"
    ),
    Fault(
        "review without a time",
        "    on_difference: review\n    when: at_once\n",
        "    on_difference: review\n",
        "at_once",
        at="  mismatch-window:",
    ),
    Fault(
        "decided with a time",
        "    chosen: clause-48h\n    on_difference: decide\n",
        "    chosen: clause-48h\n    on_difference: decide\n    when: at_once\n",
        "Remove it",
        at="    when: at_once\n  withdrawal",
    ),
    Fault(
        "nothing that can differ",
        ", 48h: reported within 48 hours of receipt}",
        "}",
        "one reading",
        at="  mismatch-window:",
    ),
    Fault(
        "an entry that no rule follows",
        "    under: {always-return: every-case}\n",
        "",
        "no rule depends on the entry always-return",
        at="  always-return:",
    ),
]

VALUES = [
    Fault(
        "a carton that is never so",
        "    is: [marked, torn]\n    examples",
        "    is: [marked, worn]\n    examples",
        "carton is never 'worn'",
    ),
    Fault(
        "a truth value for a seal",
        "    is: [unopened]\n    review: [none]\n    when: {category: [digital], sealed: true}\n    under",
        "    is: [true] \n    review: [none]\n    when: {category: [digital], sealed: true}\n    under",
        "seal is never True",
        at="    is: [true] ",
    ),
    Fault("a value both ways", "    review: [none]\n", "    review: [unopened]\n", "Keep it in one"),
    Fault("a fee capped by value", "    at: once_per_order", "    at: units_value", "`once_per_order`"),
    Fault(
        "goods by the answer",
        "    item: goods\n    of: units\n    under: {discount-share: by-amount, shipping",
        "    item: goods\n    of: answer\n    under: {discount-share: by-amount, shipping",
        "a compensation is `of: answer`",
        at="    of: answer",
    ),
    Fault(
        "goods by units",
        "    item: goods\n    of: units\n    under: {discount-share: by-amount, shipping",
        "    item: goods\n    of: units\n    by: units\n    under: {discount-share: by-amount, shipping",
        "Remove it",
        at="    by: units",
    ),
    Fault(
        "a window for any reason",
        "other_reasons: {rules: [gift]}",
        "other_reasons: {rules: [gift, fault-window]}",
        "'fault-window' is no exclusion of what the order says",
    ),
]

GAPS = [
    Fault(
        "no remedy",
        "out_of_stock: [gift, out-of-stock-remedy, ",
        "out_of_stock: [gift, ",
        "no remedy",
        at="  out_of_stock:",
    ),
    Fault(
        "a remedy for one wish alone",
        "refused-sent-again, refused-money, ",
        "refused-sent-again, ",
        "wants refund",
        at="  refused_damaged:",
    ),
    Fault(
        "a refund made of nothing",
        "withdrawal-remedy, withdrawn-goods,",
        "withdrawal-remedy,",
        "no share",
        at="  withdrawal:",
    ),
    Fault(
        "a replacement that nobody sends",
        "wrong-address-money, sent-again-shipping]",
        "wrong-address-money]",
        "who pays for sending",
        at="  undelivered_wrong_address:",
    ),
    Fault(
        "nothing that would tell",
        "packaging-unopened, seal-unopened, await-return,",
        "packaging-unopened, seal-unopened,",
        "nothing would ever tell",
        at="  withdrawal:",
    ),
    Fault(
        "an answer that leads nowhere",
        "item-refund, item-partial,",
        "item-refund,",
        "answer refund_partial",
        at="  wrong_item:",
        of="hakago",
    ),
    Fault(
        "a return that nobody waits for",
        "[gift, item-return, ",
        "[gift, ",
        "no rule waits for them",
        at="  wrong_item:",
        of="hakago",
    ),
    Fault(
        "the amount of an answer that has none",
        "    when: {answer: [refund_partial]}\n    under: {exchange-rate: rate-on-order, part",
        "    when: {answer: [refund_partial, refund_full]}\n    under: {exchange-rate: rate-on-order, part",
        "which only refund_partial has",
        at="  missing_part:",
        of="hakago",
    ),
    Fault(
        "a reading that leads nowhere",
        "    under: {withdrawal-window: guarantee-24h}\n",
        "    under: {fault-window: heading-24h}\n",
        "no rule depends on the entry withdrawal-window",
        at="  withdrawal-window:",
    ),
]

CONFLICTS = [
    Fault(
        "two windows",
        "    under: {mismatch-window: 48h}\n",
        "",
        "mismatch-window-24 and mismatch-window-48",
        at="  not_as_described:",
    ),
    Fault(
        "two remedies",
        "    clause: HW.2\n    gives: review\n    when: {answer: [refuse]}",
        "    clause: HW.2\n    gives: review\n    when: {answer: [refuse, resend]}",
        "item-resend and item-refused",
        at="  wrong_item:\n    [gift",
        of="hakago",
    ),
    Fault(
        "a cost that never counts",
        "fault-goods, tipax-shipping, merchant-shipping]\n  not",
        "fault-goods, merchant-shipping, tipax-shipping]\n  not",
        "tipax-shipping can never apply",
        at="  technical_fault:",
    ),
    Fault(
        "a situation that does not come up",
        "    when: {wants: [replacement]}\n    examples:\n      - name: the parcel",
        "    when: {wants: [replacement], answer: []}\n    examples:\n      - name: the parcel",
        "can never apply",
        at="  refused_damaged:",
    ),
]


def problems(folder: Path, merchant: str, text: str) -> list[str]:
    path = folder / merchant / "v1.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_book(folder)
    return [str(problem).removeprefix(str(path)) for problem in caught.value.problems]


@pytest.mark.parametrize(
    "fault", [*SHAPE, *CITATIONS, *REGISTER, *VALUES, *GAPS, *CONFLICTS], ids=lambda fault: fault.says
)
def test_a_fault_is_said_with_its_line(fault: Fault, tmp_path: Path) -> None:
    found = problems(tmp_path, fault.of, fault.text())
    here = [text for text in found if text.startswith(f":{fault.line()}: ")]
    assert any(fault.message in text for text in here), (fault.line(), found)
    assert all(re.fullmatch(r":\d+: .*[.)]", text, re.DOTALL) for text in found), "each says what to do"


def test_nothing_can_be_asked_for_and_ruled_out(tmp_path: Path) -> None:
    text = GEJET.replace(
        "    fact: packaging_opened\n    is: [false]",
        "    fact: misuse\n    is: [true]",
    ).replace(
        "[gift, withdrawal-window, packaging-unopened,", "[gift, withdrawal-window, packaging-unopened, no-misuse,"
    )
    found = problems(tmp_path, "gejet-mall", text)
    assert any("packaging-unopened asks for what no-misuse rules out" in one for one in found), found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hours: 48\n    under: {fault", "hours: 47\n    under: {fault"),
        ("is: [marked, torn]", "is: [marked]"),
        ('percent: "2.5"\n    of: deposit', 'percent: "2.6"\n    of: deposit'),
        ("payer: customer\n    when: {carrier: [tipax]}", "payer: merchant\n    when: {carrier: [tipax]}"),
        (
            "otherwise: review\n    examples:\n      - name: a fault",
            "otherwise: reject\n    examples:\n      - name: a fault",
        ),
        ("if_confirmed: review", "if_confirmed: reject"),
        ("    chosen: clause-48h", "    chosen: heading-24h"),
    ],
)
def test_a_policy_whose_example_fails_is_not_loaded(old: str, new: str, tmp_path: Path) -> None:
    found = problems(tmp_path, "gejet-mall", GEJET.replace(old, new, 1))
    assert found
    assert all("expects" in one and "Correct the rule or the example." in one for one in found), found


def test_an_example_of_a_reason_that_lacks_the_rule(tmp_path: Path) -> None:
    text = GEJET.replace("      - name: misuse found by the inspection\n        reason: technical_fault",
                         "      - name: misuse found by the inspection\n        reason: withdrawal")  # fmt: skip
    (found,) = problems(tmp_path, "gejet-mall", text)
    assert "does not have the rule no-misuse" in found


def test_a_rule_without_an_example(tmp_path: Path) -> None:
    start = GEJET.index("    examples:\n      - name: misuse found")
    end = GEJET.index("  regional-variant:\n    kind")
    (found,) = problems(tmp_path, "gejet-mall", GEJET[:start] + GEJET[end:])
    assert "no worked example" in found


def test_all_problems_are_said_and_not_only_the_first(tmp_path: Path) -> None:
    text = GEJET.replace("clause: G1.5\n", "clause: G8.8\n", 1).replace("chosen: clause-48h", "chosen: none-such", 1)
    found = problems(tmp_path, "gejet-mall", text.replace("  out_of_stock: [gift, ", "  out_of_stock: [gone, ", 1))
    assert {"G8.8", "'none-such'", "'gone'"} <= {word.rstrip(",") for one in found for word in one.split()}
    lines = [int(one.split(":")[1]) for one in found]
    assert lines == sorted(lines)


def test_all_files_are_judged(tmp_path: Path) -> None:
    (tmp_path / "hakago").mkdir()
    (tmp_path / "hakago" / "v1.yaml").write_text(HAKAGO.replace("locale: vi-VN\n", ""), encoding="utf-8")
    (tmp_path / "gejet-mall").mkdir()
    (tmp_path / "gejet-mall" / "v1.yaml").write_text(GEJET.replace("locale: fa-IR\n", ""), encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_book(tmp_path)
    assert len({problem.file for problem in caught.value.problems}) == 2


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ("in_force_from: 2020-01-01T00:00:00Z", "overlaps version 1, in force from"),
        ("in_force_from: 2019-01-01T00:00:00Z", "overlaps version 1, in force from"),
        ("in_force_from: 2020-01-01T03:30:00+03:30", "overlaps version 1, in force from"),
    ],
)
def test_versions_that_overlap(second: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "gejet-mall"
    folder.mkdir()
    (folder / "v1.yaml").write_text(GEJET, encoding="utf-8")
    newer = GEJET.replace("version: 1", "version: 2", 1).replace("in_force_from: 2020-01-01T00:00:00Z", second, 1)
    (folder / "v2.yaml").write_text(newer, encoding="utf-8")
    with pytest.raises(PolicyError) as caught:
        load_book(tmp_path)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert (problem.file, problem.line) == (str(folder / "v2.yaml"), 4)


def test_versions_one_after_the_other(tmp_path: Path) -> None:
    folder = tmp_path / "gejet-mall"
    folder.mkdir()
    first = GEJET.replace("version: 1", "version: 1\nin_force_until: 2021-01-01T00:00:00Z", 1)
    (folder / "v1.yaml").write_text(first, encoding="utf-8")
    newer = GEJET.replace("version: 1", "version: 2", 1)
    for begins, fits in (("2020-12-31T23:59:59Z", False), ("2021-01-01T00:00:00Z", True)):
        (folder / "v2.yaml").write_text(newer.replace("2020-01-01T00:00:00Z", begins, 1), encoding="utf-8")
        if fits:
            assert [one.version for one in load_book(tmp_path).all()] == [1, 2]
        else:
            with pytest.raises(PolicyError, match="in force until"):
                load_book(tmp_path)


def test_a_version_that_ends_before_it_begins(tmp_path: Path) -> None:
    text = GEJET.replace("version: 1", "version: 1\nin_force_until: 2020-01-01T00:00:00Z", 1)
    (found,) = problems(tmp_path, "gejet-mall", text)
    assert found.startswith(":4: ends before it begins")


def test_one_currency_for_all_versions(tmp_path: Path) -> None:
    folder = tmp_path / "gejet-mall"
    folder.mkdir()
    (folder / "v1.yaml").write_text(GEJET, encoding="utf-8")
    newer = GEJET.replace("version: 1", "version: 2", 1).replace("currency: IRR", "currency: VND", 1)
    (folder / "v2.yaml").write_text(newer.replace("2020-01-01", "2021-01-01", 1), encoding="utf-8")
    with pytest.raises(PolicyError, match="version 1 is in IRR"):
        load_book(tmp_path)


def test_a_version_is_there_once(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        path = tmp_path / name / "gejet-mall" / "v1.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(GEJET, encoding="utf-8")
        paths.append(path)
    with pytest.raises(PolicyError, match="version 1 is there twice"):
        load_files(paths)


@pytest.mark.parametrize(
    ("folder", "name", "message"), [("gejet-mall", "v2.yaml", "v1.yaml"), ("shop", "v1.yaml", "gejet-mall/")]
)
def test_a_file_stands_where_it_belongs(folder: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_text(GEJET, encoding="utf-8")
    with pytest.raises(PolicyError, match=message):
        load_book(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"- a\n- b\n", "is not a policy"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"a: &x [*x]\n", "nested too deep"),
        (b"#" * 1_048_577, "is larger than"),
        (b"a: b: c", "is not YAML"),
        (b"\x00", "is not YAML"),
    ],
)
def test_what_is_no_policy_at_all(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "v1.yaml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        load_files([path])
    assert any(message in problem.message for problem in caught.value.problems), caught.value


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.yaml:1: cannot be read"):
        load_files([tmp_path / "none.yaml"])


def test_a_folder_without_policies(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="holds no policy"):
        load_book(tmp_path)
