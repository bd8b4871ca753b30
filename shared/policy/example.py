"""Worked examples: a claim in a few words and what must come of it. They stand beside the rule that they show and run
when the policy is loaded; one that comes out otherwise keeps the policy from being loaded."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Digits = Annotated[str, StringConstraints(pattern=r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$")]
Span = Annotated[str, StringConstraints(pattern=r"^-?[0-9]+[smhd]( [0-9]+[smhd])*$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ExampleFacts(_Part):
    carton: Literal["intact", "marked", "torn", "missing"] | None = None
    packaging_opened: bool | None = None
    seal: Literal["unopened", "opened", "none"] | None = None
    misuse: bool | None = None
    regional_variant: bool | None = None


class ExampleInspection(ExampleFacts):
    fault_confirmed: bool | None = None


class ExampleOrder(_Part):
    """An order of one line. Amounts are in the policy's currency; the one payment is what they add up to."""

    quantity: int = Field(default=1, ge=1, le=10_000)
    unit_price: Digits = "1000000"
    discount: Digits = "0"
    shipping: Digits = "0"
    collect: bool = False
    transaction_fee: Digits = "0"
    carrier: str = "post"
    gift: bool = False
    category: str | None = None
    sealed: bool = False


class ExampleAnswer(_Part):
    answer: Literal["refund_full", "refund_partial", "resend", "require_return", "refuse"]
    amount: Digits | None = None


class ExampleReturn(_Part):
    quantity: int | None = Field(default=None, ge=1)
    """Left out: all that was claimed."""
    inspection: ExampleInspection = ExampleInspection()
    fault: Literal["transport", "seller", "customer", "none"] | None = None
    postage: Digits | None = None
    """Laid out by the customer."""


class Expected(_Part):
    """What must come of it: every member given is compared, the others are not.

    `clause` must be among the clauses that the reasons cite; `breakdown` is item → amount, complete.
    """

    status: Literal["awaiting", "eligible", "rejected"]
    awaiting: Literal["delivery", "seller", "return", "review"] | None = None
    remedy: Literal["refund", "replacement"] | None = None
    clause: str | None = None
    entry: str | None = None
    """An open point that must be among the readings shown."""
    breakdown: dict[str, Digits] | None = None
    refers: str | None = None
    """The entry under which the money part refers it to a person."""
    ship_payer: Literal["merchant", "customer"] | None = None


class Example(_Part):
    """`reported` is the time from receipt to reporting, such as `48h` or `48h 1s`; left out: nothing was received."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    reason: str
    reported: Span | None = None
    wants: Literal["refund", "replacement"] | None = None
    quantity: int | None = Field(default=None, ge=1)
    """Units claimed; left out: all of the order's."""
    order: ExampleOrder = ExampleOrder()
    facts: ExampleFacts = ExampleFacts()
    answers: tuple[ExampleAnswer, ...] = ()
    """In the order in which they came; a return, where given, comes after the first `require_return`."""
    returned: ExampleReturn | None = None
    expect: Expected
