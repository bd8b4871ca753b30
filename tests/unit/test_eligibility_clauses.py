"""Each clause of the two policies, one row each: what is claimed, and where the claim stands after the first look (and,
with `back`, after the goods are in)."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from tests.unit.eligibility_stage import GOOD, RECEIVED, Stage

H = timedelta(hours=1)
S = timedelta(seconds=1)
SEALED = {"category": "digital", "sealed": True}
FOUND = {**GOOD, "fault_confirmed": True}


@dataclass(frozen=True)
class Row:
    says: str
    reason: str
    end: str
    denied: set[str] = field(default_factory=set)
    refers: set[str] = field(default_factory=set)
    reported: timedelta = 10 * H
    received: bool = True
    facts: dict[str, object] = field(default_factory=lambda: dict(GOOD))
    line: dict[str, object] = field(default_factory=dict)
    wants: str | None = None
    carrier: str = "post"
    back: dict[str, object] | None = None
    remedy: str | None = None

    def stage(self) -> Stage:
        stage = Stage(
            self.reason,
            wants=self.wants,
            reported=self.reported,
            received_at=RECEIVED if self.received else None,
            facts=self.facts,
            lines=[self.line],
            carrier=self.carrier,
        )
        stage.admit()
        if self.back is not None:
            stage.give_back(None, **self.back)  # type: ignore[arg-type]
        return stage


def but(**facts: object) -> dict[str, object]:
    return {**GOOD, **facts}


def found(**facts: object) -> dict[str, object]:
    return {name: value for name, value in {**FOUND, **facts}.items() if value != "~"}


def unsaid(*names: str) -> dict[str, object]:
    return {name: value for name, value in GOOD.items() if name not in names}


FAULTS = [
    Row("G1.1 at 48 h", "technical_fault", "return", reported=48 * H),
    Row("G1.1 a second later", "technical_fault", "rejected", {"G1.1"}, reported=48 * H + S),
    Row("G1.1 at the instant of receipt", "technical_fault", "return", reported=0 * H),
    Row("a second before receipt", "technical_fault", "review", refers={"G1.1"}, reported=-S),
    Row("no receipt known", "technical_fault", "delivery", received=False),
    Row("G1.3 the carton is missing", "technical_fault", "rejected", {"G1.3"}, facts=but(carton="missing")),
    Row("G1.4 the carton is marked", "technical_fault", "rejected", {"G1.4"}, facts=but(carton="marked")),
    Row("G1.4 the carton is torn", "technical_fault", "rejected", {"G1.4"}, facts=but(carton="torn")),
    Row("G1.5 misuse", "technical_fault", "rejected", {"G1.5"}, facts=but(misuse=True)),
    Row("nothing stated: the inspection will tell", "technical_fault", "return", facts={}),
    Row("a known failing fact rejects before receipt is known", "technical_fault", "rejected", {"G1.4"},
        facts=but(carton="torn"), received=False),
    Row("and where reporting is before receipt", "technical_fault", "rejected", {"G1.5"}, facts=but(misuse=True),
        reported=-S),
    Row("too late and torn: both clauses", "technical_fault", "rejected", {"G1.1", "G1.4"}, facts=but(carton="torn"),
        reported=49 * H),
    Row("confirmed: refund", "technical_fault", "eligible", back=found(), remedy="refund"),
    Row("confirmed: replacement", "technical_fault", "eligible", back=found(), wants="replacement",
        remedy="replacement"),
    Row("not confirmed", "technical_fault", "review", refers={"G1.1"}, back=found(fault_confirmed=False)),
    Row("not said whether confirmed", "technical_fault", "review", refers={"G1.1"}, back=found(fault_confirmed="~")),
    Row("carton unknown after the inspection", "technical_fault", "review", refers={"G1.3", "G1.4"},
        facts=unsaid("carton"), back=found(carton="~")),
    Row("misuse unknown after the inspection", "technical_fault", "review", refers={"G1.5"}, facts=unsaid("misuse"),
        back=found(misuse="~")),
    Row("stated stands where the inspection is silent", "technical_fault", "eligible", back={"fault_confirmed": True},
        remedy="refund"),
    Row("found torn against the statement", "technical_fault", "rejected", {"G1.4"}, back=found(carton="torn")),
    Row("a regional variant is no matter of a fault", "technical_fault", "eligible", facts=but(regional_variant=True),
        back=found(regional_variant=True), remedy="refund"),
    Row("GN3 opened, sold sealed, digital", "technical_fault", "review", refers={"GN3"}, line=SEALED,
        facts=but(seal="opened"), back=found(seal="opened")),
    Row("GN3 unopened", "technical_fault", "eligible", line=SEALED, back=found(), remedy="refund"),
    Row("GN3 no seal on a line sold sealed", "technical_fault", "review", line=SEALED, refers={"GN3"},
        facts=but(seal="none"), back=found(seal="none")),
    Row("GN3 seal unknown after all", "technical_fault", "review", line=SEALED, refers={"GN3"}, facts=unsaid("seal"),
        back=found(seal="~")),
    Row("GN3 waits for the inspection first", "technical_fault", "return", line=SEALED, facts=but(seal="opened")),
    Row("GN3 not digital", "technical_fault", "eligible", line={"category": "audio", "sealed": True},
        back=found(seal="opened"), remedy="refund"),
    Row("GN3 category left out", "technical_fault", "eligible", line={"sealed": True}, back=found(seal="opened"),
        remedy="refund"),
    Row("GN3 not sold sealed", "technical_fault", "eligible", line={"category": "digital"}, back=found(seal="opened"),
        remedy="refund"),
    Row("GN3 the category in capitals", "technical_fault", "review", line={"category": " Digital", "sealed": True},
        refers={"GN3"}, back=found(seal="opened")),
]  # fmt: skip

MISMATCHES = [
    row
    for reason in ("not_as_described", "physical_damage")
    for row in (
        Row("G2.1 at 24 h", reason, "return", reported=24 * H),
        Row("G2.1 a second later", reason, "review", refers={"G2.1"}, reported=24 * H + S),
        Row("G2.1 at 48 h", reason, "review", refers={"G2.1"}, reported=48 * H),
        Row("G2.1 after 48 h", reason, "rejected", {"G2.1"}, reported=48 * H + S),
        Row("a failing fact rejects where the windows differ", reason, "rejected", {"G1.5"}, reported=30 * H,
            facts=but(misuse=True)),
        Row("windows differ, a bad carton changes nothing", reason, "review", refers={"G2.1", "G1.4"}, reported=30 * H,
            facts=but(carton="torn")),
        Row("carton-scope waits for the inspection", reason, "return", facts=but(carton="torn")),
        Row("carton-scope after it", reason, "review", refers={"G1.4"}, facts=but(carton="torn"),
            back=found(carton="torn")),
        Row("carton-scope, carton missing", reason, "review", refers={"G1.4"}, back=found(carton="missing")),
        Row("confirmed", reason, "eligible", back=found(), remedy="refund"),
        Row("confirmed, replacement", reason, "eligible", back=found(), wants="replacement", remedy="replacement"),
        Row("not confirmed", reason, "review", refers={"G2.1"}, back=found(fault_confirmed=False)),
        Row("no receipt known", reason, "delivery", received=False),
        Row("before receipt", reason, "review", refers={"G2.1"}, reported=-S),
        Row("GN3 opened", reason, "review", refers={"GN3"}, line=SEALED, back=found(seal="opened")),
    )
] + [
    Row("G2.2 a mere regional variant", "not_as_described", "rejected", {"G2.2"}, facts=but(regional_variant=True)),
    Row("G2.2 found by the inspection", "not_as_described", "rejected", {"G2.2"},
        back=found(regional_variant=True, fault_confirmed=False)),
    Row("G2.2 with a confirmed fault", "not_as_described", "review", refers={"G2.2"},
        back=found(regional_variant=True)),
    Row("G2.2 rejects where the windows differ", "not_as_described", "rejected", {"G2.2"}, reported=30 * H,
        facts=but(regional_variant=True)),
    Row("G2.2 says nothing of damage", "physical_damage", "eligible", facts=but(regional_variant=True),
        back=found(regional_variant=True), remedy="refund"),
    Row("variant unknown after all", "not_as_described", "review", refers={"G2.2"}, facts=unsaid("regional_variant"),
        back=found(regional_variant="~")),
]  # fmt: skip

WITHDRAWALS = [
    Row("G0.2 at 24 h", "withdrawal", "return", reported=24 * H),
    Row("G0.2 a second later", "withdrawal", "rejected", {"G0.2"}, reported=24 * H + S),
    Row("no receipt known", "withdrawal", "delivery", received=False),
    Row("before receipt", "withdrawal", "review", refers={"G0.2"}, reported=-S),
    Row("G4.1 opened", "withdrawal", "rejected", {"G4.1"}, facts=but(packaging_opened=True)),
    Row("G4.1 opened, receipt unknown", "withdrawal", "rejected", {"G4.1"}, facts=but(packaging_opened=True),
        received=False),
    Row("G4.1 found opened", "withdrawal", "rejected", {"G4.1"}, back={"packaging_opened": True}),
    Row("G4.1 unknown after all", "withdrawal", "review", refers={"G4.1"}, facts={}, back={}),
    Row("GN3 opened", "withdrawal", "rejected", {"GN3"}, line=SEALED, facts=but(seal="opened")),
    Row("GN3 found opened", "withdrawal", "rejected", {"GN3"}, line=SEALED, back={"seal": "opened"}),
    Row("GN3 none, before the inspection", "withdrawal", "return", line=SEALED, facts=but(seal="none")),
    Row("GN3 none, after it", "withdrawal", "review", refers={"GN3"}, line=SEALED, facts=but(seal="none"), back={}),
    Row("GN3 none stated, unopened found", "withdrawal", "eligible", line=SEALED, facts=but(seal="none"),
        back={"seal": "unopened"}, remedy="refund"),
    Row("back in order", "withdrawal", "eligible", back={}, remedy="refund"),
    Row("a carton is no matter of withdrawal", "withdrawal", "eligible", facts=but(carton="torn"), back={},
        remedy="refund"),
    Row("a replacement is not what withdrawal gives", "withdrawal", "eligible", wants="replacement", back={},
        remedy="refund"),
]  # fmt: skip

OTHERS = [
    Row("GN4b out of stock needs nothing", "out_of_stock", "eligible", received=False, facts={}, remedy="refund"),
    Row("GN4b whatever is wanted", "out_of_stock", "eligible", wants="replacement", remedy="refund"),
    Row("G3.1 the parcel is awaited", "refused_damaged", "return", received=False, wants="replacement"),
    Row("G3.1 it is back", "refused_damaged", "eligible", received=False, wants="replacement", back={},
        remedy="replacement"),
    Row("G3.1 wants money", "refused_damaged", "review", refers={"G3.1"}, received=False, wants="refund"),
    Row("G3.1 nothing said means money", "refused_damaged", "review", refers={"G3.1"}, received=False),
    Row("GA.1", "undelivered_wrong_address", "eligible", received=False, wants="replacement", remedy="replacement"),
    Row("GA.1 wants money", "undelivered_wrong_address", "review", refers={"GA.1"}, received=False),
    Row("GN5 Tipax", "undelivered_absent", "eligible", received=False, wants="replacement", carrier="Tipax",
        remedy="replacement"),
    Row("GN5 another carrier", "undelivered_absent", "review", refers={"GN5"}, wants="replacement", carrier="post"),
    Row("GN5 Tipax, wants money", "undelivered_absent", "review", refers={"GN5"}, wants="refund", carrier="tipax"),
    Row("any other", "late", "review", refers={"no-clause"}),
    Row("any other", "wrong_item", "review", refers={"no-clause"}),
    Row("any other", "other", "review", refers={"no-clause"}),
]  # fmt: skip

ROWS = [*FAULTS, *MISMATCHES, *WITHDRAWALS, *OTHERS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.reason}: {row.says}")
def test_gejet(row: Row) -> None:
    stage = row.stage()
    assert stage.end == row.end
    assert stage.last.remedy == row.remedy
    assert stage.cited("deny") == row.denied
    if row.end in ("review", "eligible"):
        assert stage.cited("refer") == row.refers
    verdict = {"eligible": "eligible", "rejected": "rejected"}.get(row.end, "undecided")
    assert {line.verdict for line in stage.last.lines} == {verdict}


HAKAGO = {
    ("wrong_item", "refund_full"): ("eligible", "refund", "HW.1"),
    ("wrong_item", "refund_partial"): ("eligible", "refund", "HW.2"),
    ("wrong_item", "resend"): ("eligible", "replacement", "HW.1"),
    ("wrong_item", "require_return"): ("return", None, "HW.1"),
    ("wrong_item", "refuse"): ("review", None, "HW.2"),
    ("missing_quantity", "refund_full"): ("eligible", "refund", "HQ.2"),
    ("missing_quantity", "refund_partial"): ("eligible", "refund", "HW.2"),
    ("missing_quantity", "resend"): ("eligible", "replacement", "HQ.3"),
    ("missing_quantity", "require_return"): ("return", None, "HP.4"),
    ("missing_quantity", "refuse"): ("review", None, "HQ.1"),
    ("missing_part", "refund_full"): ("eligible", "refund", "HP.3"),
    ("missing_part", "refund_partial"): ("eligible", "refund", "HP.2"),
    ("missing_part", "resend"): ("eligible", "replacement", "HP.1"),
    ("missing_part", "require_return"): ("return", None, "HP.3"),
    ("missing_part", "refuse"): ("review", None, "HP.2"),
}


@pytest.mark.parametrize(("reason", "answer"), HAKAGO)
def test_hakago(reason: str, answer: str) -> None:
    end, remedy, clause = HAKAGO[reason, answer]
    stage = Stage(reason, "hakago", received_at=None)
    stage.admit()
    assert stage.end == "seller"
    stage.answer(answer, amount="400000" if answer == "refund_partial" else None)
    assert stage.end == end
    assert stage.last.remedy == remedy
    assert clause in {reason.clause for line in stage.last.lines for reason in line.reasons}
    answered = stage.last.basis and stage.last.basis.answer
    assert (answered is None) == (answer == "require_return")


@pytest.mark.parametrize("reason", ["not_as_described", "physical_damage", "late", "withdrawal", "technical_fault"])
def test_hakago_has_no_clause_for(reason: str) -> None:
    stage = Stage(reason, "hakago")
    stage.admit()
    assert stage.end == "review"
    assert stage.cited("refer") == {"HX"}
