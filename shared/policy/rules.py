"""The closed set of rule kinds a policy is made of. There is no other way to say anything in a policy.

| kind | says | read by |
|---|---|---|
| `window` | reported at most so many hours after receipt | eligibility |
| `condition` | a fact must be one of these values | eligibility |
| `exclusion` | a fact with one of these values ends it | eligibility |
| `wait` | the seller's answer, or the goods, must come first | eligibility |
| `remedy` | what the claimant gets | eligibility |
| `share` | an item that the refund is made of | refund-calculation |
| `fee` | a percentage that is kept | refund-calculation |
| `cap` | the most that an item can come to | refund-calculation |
| `cost` | who pays for carrying goods | refund-calculation; eligibility for return postage |

Whoever reads rules matches all kinds of its side and ends with `assert_never`, so that a kind added here and forgotten
there does not pass the type check. Every rule cites a clause. `under` ties a rule to readings of open points: it holds
only where each entry named is read so. `when` limits a rule to some situations: every member given must hold.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias, assert_never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.events.parts import ClaimReason, Fault, SellerAnswer, Wants
from shared.policy.example import Example

Reason: TypeAlias = ClaimReason
Answer: TypeAlias = SellerAnswer

Inspectable = Literal["carton", "packaging_opened", "seal", "misuse", "regional_variant", "fault_confirmed"]
"""Facts that the customer may state (all but `fault_confirmed`) and the inspection of the returned goods finds."""
Trait = Literal["gift", "carrier"]
"""What the order itself says: `gift` is true for a line flagged gift whose unit price is 0; `carrier` in lower case."""
Fact = Literal["carton", "packaging_opened", "seal", "misuse", "regional_variant", "fault_confirmed", "gift", "carrier"]
Value: TypeAlias = bool | str

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Clause = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.]*$", max_length=32)]


class Part(BaseModel):
    """A piece of a policy file: immutable, and a key that is not listed is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Situation:
    """What `when` is compared with. A member that is not known matches no `when` that names it."""

    answer: Answer | None = None
    carrier: str | None = None
    wants: Wants | None = None
    category: str | None = None
    sealed: bool | None = None
    fault: Fault | None = None


class When(Part):
    """Where a rule applies: all members given must hold, each by being one of the values listed.

    Example: `when: {category: [digital], sealed: true}` · `when: {answer: [refund_full]}` · `when: {carrier: [tipax]}`
    """

    answer: tuple[Answer, ...] | None = None
    carrier: tuple[str, ...] | None = None
    wants: tuple[Wants, ...] | None = None
    category: tuple[str, ...] | None = None
    sealed: bool | None = None
    fault: tuple[Fault, ...] | None = None

    def holds(self, situation: Situation) -> bool:
        return (
            (self.answer is None or situation.answer in self.answer)
            and (self.carrier is None or situation.carrier in self.carrier)
            and (self.wants is None or situation.wants in self.wants)
            and (self.category is None or situation.category in self.category)
            and (self.sealed is None or situation.sealed is self.sealed)
            and (self.fault is None or situation.fault in self.fault)
        )


class _Rule(Part):
    id: Name
    """The rule's key in the file; what `reasons[].rule` of an assessment says."""
    clause: Clause
    under: dict[Name, Name] = Field(default_factory=dict)
    """Entry of the register → reading under which this rule holds. For an entry that is decided: the chosen one."""
    when: When = When()
    examples: tuple[Example, ...] = ()


class Window(_Rule):
    """Reported at most `hours` after receipt, both ends included. Without a known receipt: awaiting the delivery.

    Example: `fault-window: {kind: window, clause: G1.1, hours: 48}`
    """

    kind: Literal["window"]
    hours: int = Field(ge=1, le=24 * 3660)


class Condition(_Rule):
    """A fact must be one of `is`. One of `review` refers it to a person; any other value does what `otherwise` says.

    Example: `carton-intact: {kind: condition, clause: G1.3, fact: carton, is: [intact]}`
    Example: `fault-found: {kind: condition, clause: G1.1, fact: fault_confirmed, is: [true], otherwise: review}`
    """

    kind: Literal["condition"]
    fact: Fact
    is_: tuple[Value, ...] = Field(alias="is", min_length=1)
    review: tuple[Value, ...] = ()
    otherwise: Literal["reject", "review"] = "reject"


class Exclusion(_Rule):
    """A fact that is one of `is` ends it, unless the fault was confirmed by inspection and `if_confirmed` says review.

    Example: `no-misuse: {kind: exclusion, clause: G1.5, fact: misuse, is: [true]}`
    """

    kind: Literal["exclusion"]
    fact: Fact
    is_: tuple[Value, ...] = Field(alias="is", min_length=1)
    if_confirmed: Literal["reject", "review"] = "reject"


class Wait(_Rule):
    """The claim waits for the seller's answer, or for the claimed units to come back; `deadlines` says how long.

    Example: `await-return: {kind: wait, clause: GN1, for: return}`
    Example: `seller-wants-it-back: {kind: wait, clause: HW.1, for: return, when: {answer: [require_return]}}`
    """

    kind: Literal["wait"]
    for_: Literal["seller", "return"] = Field(alias="for")


class Remedy(_Rule):
    """What the claimant gets. `as_wanted` is the claimant's choice (left out: refund); `review` a person's.

    Example: `send-again: {kind: remedy, clause: GA.1, gives: replacement, when: {wants: [replacement]}}`
    """

    kind: Literal["remedy"]
    gives: Literal["refund", "replacement", "as_wanted", "review"]


Item = Literal["goods", "shipping", "transaction_fee", "return_postage", "withdrawal_fee", "compensation"]


class Share(_Rule):
    """An item that the refund is made of.

        `of: units` is what the claimed units have of that item in the order's ledger (`goods`: their value, after all
        discounts). `of: order` is what is left of the whole item, and only when with this claim every unit that cost
        anything has been claimed for this reason. `of: answer` is the amount that the seller named. `by` says how
    shipping and fee are spread over the lines that cost something: by what was paid for them, or by their units.
    Example: `quantity-shipping: {kind: share, clause: HQ.2, item: shipping, of: units, when: {answer: [refund_full]}}`
    """

    kind: Literal["share"]
    item: Literal["goods", "shipping", "transaction_fee", "compensation"]
    of: Literal["units", "order", "answer"]
    by: Literal["value", "units"] = "value"
    """How the order's shipping and fee are spread over units, for `of: units`."""


class Fee(_Rule):
    """A percentage that is kept, as a negative item. `of: deposit`: of the sum of the order's payments, less what an
    earlier claim of the order has borne; `of: units_deposit`: of the claimed units' goods, shipping and fee shares.
    A refund that it would take below 0 is 0 and goes to review under the entry that `below_zero` names.

    Example: `fee-of-deposit: {kind: fee, clause: GN4, item: withdrawal_fee, percent: "2.5", of: deposit,
    payer: customer, below_zero: fee-above-goods}`
    """

    kind: Literal["fee"]
    item: Literal["withdrawal_fee"]
    percent: Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]?)(\.[0-9]{1,4})?$")]
    of: Literal["deposit", "units_deposit"]
    payer: Literal["customer"]
    below_zero: Name

    @property
    def ratio(self) -> tuple[int, int]:
        """The percentage as a fraction in lowest terms: "2.5" is (1, 40)."""
        return _ratio(self.percent)


@lru_cache(maxsize=256)
def _ratio(percent: str) -> tuple[int, int]:
    ratio = Fraction(Decimal(percent)) / 100
    return ratio.numerator, ratio.denominator


class Cap(_Rule):
    """The most that an item comes to. `units_value`: what was paid for the claimed units; `once_per_order`: the fee
    on the order's whole deposit, over all claims of the order. Where a cap cuts, the reasons name it.

    Example: `partial-cap: {kind: cap, clause: HW.2, item: compensation, at: units_value}`
    """

    kind: Literal["cap"]
    item: Literal["withdrawal_fee", "compensation"]
    at: Literal["units_value", "once_per_order"]


class Cost(_Rule):
    """Who pays for carrying goods; of several rules for one item the first whose `when` holds counts.

    `replacement_shipping`: the way of a replacement to the customer. `return_postage`: the way back, laid out by the
    customer; it is refunded where a rule that holds says `payer: merchant`, and not at all where none holds.
    Example: `tipax: {kind: cost, clause: GN5, item: replacement_shipping, payer: customer, when: {carrier: [tipax]}}`
    """

    kind: Literal["cost"]
    item: Literal["replacement_shipping", "return_postage"]
    payer: Literal["merchant", "customer"]


EligibilityRule: TypeAlias = Window | Condition | Exclusion | Wait | Remedy
MoneyRule: TypeAlias = Share | Fee | Cap | Cost
Rule: TypeAlias = Annotated[
    Window | Condition | Exclusion | Wait | Remedy | Share | Fee | Cap | Cost, Field(discriminator="kind")
]


def eligibility_rule(rule: Rule) -> EligibilityRule | None:
    """The rule when it is one that eligibility judges by, else None."""
    match rule:
        case Window() | Condition() | Exclusion() | Wait() | Remedy():
            return rule
        case Share() | Fee() | Cap() | Cost():
            return None
        case _:
            assert_never(rule)


def money_rule(rule: Rule) -> MoneyRule | None:
    """The rule when it is one that refund-calculation calculates by, else None."""
    match rule:
        case Share() | Fee() | Cap() | Cost():
            return rule
        case Window() | Condition() | Exclusion() | Wait() | Remedy():
            return None
        case _:
            assert_never(rule)
