"""What a claim comes to under a policy's money rules, from the order's ledger alone.

Pure, and blind to what became of the order's other claims but for what `Past` says of them. Refund-calculation prices
every eligible claim with it; the policy loader runs the worked examples through it; whoever shows amounts asks it.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, assert_never

from msgspec import Struct

from shared import money
from shared.events.parts import BreakdownKind, Payer
from shared.ledger import Ledger, Units
from shared.policy.model import Policy
from shared.policy.rules import Cap, Fee, MoneyRule, Share, Situation

ITEMS: tuple[BreakdownKind, ...] = (
    "goods",
    "shipping",
    "transaction_fee",
    "return_postage",
    "withdrawal_fee",
    "compensation",
)
"""Every item that a refund can have, in the order in which breakdowns list them (CONTRACT, Outputs)."""


class PricingError(ValueError):
    """A claim that the policy's money rules cannot price: the seller's amount is missing or in a strange currency."""


class Named(Struct, frozen=True, gc=False):
    """The amount that a seller named: a decimal string of `currency`; `rate` is the order's `exchange.rate` when that
    is not the order's currency."""

    amount: str
    currency: str
    rate: str | None = None


class Past(Struct, frozen=True, gc=False):
    """What the order's other claims have left: the fee that they have borne, and what of an item was given already."""

    fee_borne: int = 0
    given: Mapping[BreakdownKind, int] = MappingProxyType({})


class Claimed(Struct, frozen=True, gc=False):
    """What is priced. `whole`: with it, every unit of the order that cost anything is claimed for this reason."""

    reason: str
    units: Units
    situation: Situation
    named: Named | None = None
    whole: bool = False


class Item(Struct, frozen=True, array_like=True, gc=False):
    """One entry of a breakdown in minor units, negative where it is kept; never 0."""

    amount: int
    payer: Payer
    clause: str | None


Items = Mapping[BreakdownKind, Item]


class Applied(Struct, frozen=True, gc=False):
    """A money rule that took part, and what it did beyond its wording (empty where nothing)."""

    rule: str
    clause: str
    note: str = ""


class Priced(Struct, frozen=True, gc=False):
    """A refund under one set of readings. `below_zero` names the entry under which a person must look at it: the fee
    would have taken more than there was, so that it takes all and the refund is 0."""

    items: Items
    applied: tuple[Applied, ...]
    below_zero: str | None = None

    @property
    def total(self) -> int:
        """The refund in minor units, 0 or above."""
        return total(self.items)


class Alternative(Struct, frozen=True, gc=False):
    """What one reading of an open point comes to, as `shared.events.Alternative` has it."""

    reading: str
    result: str
    amount: str | None


class ReadingShown(Struct, frozen=True, gc=False):
    """An open point with all its readings, as `shared.events.ReadingShown` has it."""

    entry: str
    chosen: str | None
    alternatives: tuple[Alternative, ...]


class Weighed(Struct, frozen=True, gc=False):
    """A refund under every reading of the open points that it depends on: `priced` as chosen, `shown` each reading with
    its amount, `refers` the entry under which a person must choose, or None where it is decided."""

    priced: Priced
    shown: tuple[ReadingShown, ...]
    refers: str | None


_NO_PAST = Past()


def total(items: Items) -> int:
    """What the items add up to."""
    amount = 0
    for item in items.values():
        amount += item.amount
    return amount


def percentage(ratio: tuple[int, int], amount: int) -> int:
    """`ratio` (numerator, denominator) of `amount`, rounded half up (register entry `fee-rounding`)."""
    return money.round_half_up(ratio[0] * amount, ratio[1])


def price(
    policy: Policy,
    ledger: Ledger,
    claimed: Claimed,
    past: Past | None = None,
    readings: Mapping[str, str] | None = None,
) -> Priced:
    """The refund for `claimed` under one set of readings (entry → reading; left out: as the register has chosen).

    Raises `PricingError` where a rule asks for a seller's amount that is missing or cannot be converted.
    """
    return _priced(policy.money_rules(claimed.reason, claimed.situation, readings), ledger, claimed, past)


def weigh(policy: Policy, ledger: Ledger, claimed: Claimed, past: Past | None = None) -> Weighed:
    """`price` under every reading of the entries that the claim's money rules depend on.

    Entries that the register leaves to review are evaluated in all combinations; where their amounts differ, or a fee
    takes a refund below 0, `refers` says under which entry.
    """
    scale = _Scale(policy, ledger, claimed, past)
    priced, refers, differ = scale.settle()
    shown = []
    for point in scale.tariff.points:
        # What a single reading gives is not known while another entry is for a person to choose.
        known = refers is None or len(point.readings) > 1
        alternatives = tuple(
            [Alternative(reading, "refund", scale.amount(way) if known else None) for reading, way in point.readings]
        )
        shown.append(ReadingShown(point.entry, None if point.entry in differ else point.base, alternatives))
    if refers is not None and all(refers != point.entry for point in scale.tariff.points):
        entry = policy.register_.get(refers)
        kept = entry.readings if entry is not None else ("nothing",)
        shown.insert(0, ReadingShown(refers, None, tuple(Alternative(reading, "refund", "0") for reading in kept)))
    return Weighed(priced, tuple(shown), refers)


def settle(policy: Policy, ledger: Ledger, claimed: Claimed, past: Past | None = None) -> tuple[Priced, str | None]:
    """What `weigh` comes to, without what it shows: the refund as chosen, and the entry under which a person must
    choose, or None."""
    priced, refers, _ = _Scale(policy, ledger, claimed, past).settle()
    return priced, refers


class _Scale:
    """A claim priced in the ways that its tariff has, each at most once."""

    def __init__(self, policy: Policy, ledger: Ledger, claimed: Claimed, past: Past | None) -> None:
        self.tariff = policy.plan(claimed.reason).tariff(claimed.situation)
        self._ledger = ledger
        self._claimed = claimed
        self._past = past
        self._done: dict[int, Priced] = {}
        self._amounts: dict[int, str] = {}

    def priced(self, way: int) -> Priced:
        """The refund in this way."""
        found = self._done.get(way)
        if found is None:
            found = self._done[way] = _priced(self.tariff.ways[way], self._ledger, self._claimed, self._past)
        return found

    def amount(self, way: int) -> str:
        """The refund in this way as it is written."""
        found = self._amounts.get(way)
        if found is None:
            found = self._amounts[way] = money.text(self.priced(way).total, self._ledger.currency)
        return found

    def settle(self) -> tuple[Priced, str | None, Sequence[str]]:
        """The refund as chosen, the entry under which a person must choose, and all entries on which it depends."""
        tariff = self.tariff
        base = self.priced(tariff.base)
        if not tariff.open:
            return base, base.below_zero, ()
        every = {readings: self.priced(way) for readings, way in tariff.combinations}
        below_zero = next((one.below_zero for one in every.values() if one.below_zero), None)
        differ = [name for place, name in enumerate(tariff.open) if _matters(place, every)]
        return base, below_zero or next(iter(differ), None), differ


def _matters(place: int, every: Mapping[tuple[str, ...], Priced]) -> bool:
    """Whether the entry at `place` changes the amount under some reading of the others."""
    amounts: dict[tuple[str, ...], set[int]] = {}
    for readings, priced in every.items():
        amounts.setdefault(readings[:place] + readings[place + 1 :], set()).add(priced.total)
    return any(len(found) > 1 for found in amounts.values())


def _priced(rules: Sequence[MoneyRule], ledger: Ledger, claimed: Claimed, past: Past | None) -> Priced:
    draft = _Draft(ledger, claimed, past or _NO_PAST)
    for rule in rules:
        # Told apart by their kinds: `isinstance` of models asks their metaclass, which costs as much as pricing.
        match rule.kind:
            case "share":
                draft.share(rule)
            case "fee":
                draft.fee(rule)
            case "cap":
                draft.cap(rule)
            case "cost":
                continue
            case _:
                assert_never(rule)
    return draft.priced()


class _Draft:
    """A refund in the making: rules are applied in the policy's order."""

    def __init__(self, ledger: Ledger, claimed: Claimed, past: Past) -> None:
        self._ledger = ledger
        self._claimed = claimed
        self._past = past
        self._items: dict[BreakdownKind, Item] = {}
        self._applied: list[Applied] = []
        self._fee: Fee | None = None

    def share(self, rule: Share) -> None:
        match rule.of:
            case "units":
                amount = self._of_units(rule.item, rule.by)
            case "order":
                if not self._claimed.whole:
                    return
                amount = self._left_of_order(rule.item)
            case "answer":
                amount = self._of_answer()
            case _:
                assert_never(rule.of)
        self._add(rule.item, amount, "merchant", rule.clause)
        self._applied.append(Applied(rule.id, rule.clause))

    def fee(self, rule: Fee) -> None:
        match rule.of:
            case "deposit":
                amount = self._fee_left(rule)
            case "units_deposit":
                amount = percentage(rule.ratio, self._ledger.deposit_share(self._claimed.units))
            case _:
                assert_never(rule.of)
        self._fee = rule
        self._add(rule.item, -amount, rule.payer, rule.clause)
        self._applied.append(Applied(rule.id, rule.clause))

    def cap(self, rule: Cap) -> None:
        item = self._items.get(rule.item)
        if item is None:
            return
        match rule.at:
            case "units_value":
                most = self._ledger.value(self._claimed.units)
            case "once_per_order":
                most = self._fee_left(self._fee) if self._fee is not None else 0
            case _:
                assert_never(rule.at)
        if abs(item.amount) <= most:
            return
        currency = self._ledger.currency
        note = f"{money.text(abs(item.amount), currency)} {currency}, capped at {money.text(most, currency)} {currency}"
        self._put(rule.item, most if item.amount > 0 else -most, item.payer, item.clause)
        self._applied.append(Applied(rule.id, rule.clause, note))

    def priced(self) -> Priced:
        short = total(self._items)
        below_zero = None
        if short < 0 and self._fee is not None:
            fee = self._items[self._fee.item]
            self._put(self._fee.item, fee.amount - short, fee.payer, fee.clause)
            below_zero = self._fee.below_zero
        items = self._items
        if len(items) > 1:
            items = {name: items[name] for name in ITEMS if name in items}
        return Priced(items, tuple(self._applied), below_zero)

    def _of_units(self, item: str, by: Literal["value", "units"]) -> int:
        ledger, units = self._ledger, self._claimed.units
        if item == "goods":
            return ledger.value(units)
        if item == "shipping":
            return ledger.shipping_share(units) if by == "value" else ledger.shipping_by_units(units)
        if item == "transaction_fee":
            return ledger.fee_share(units) if by == "value" else ledger.fee_by_units(units)
        raise PricingError(f"units have no share of {item}")

    def _left_of_order(self, item: BreakdownKind) -> int:
        ledger = self._ledger
        if item == "goods":
            whole = ledger.value(ledger.whole())
        elif item == "shipping":
            whole = ledger.shipping
        elif item == "transaction_fee":
            whole = ledger.fee
        else:
            raise PricingError(f"an order has no {item} to give back")
        return max(0, whole - self._past.given.get(item, 0))

    def _of_answer(self) -> int:
        named, currency = self._claimed.named, self._ledger.currency
        if named is None:
            raise PricingError("the seller's answer names no amount")
        if named.currency == currency:
            return money.minor(named.amount, currency)
        if named.rate is None:
            raise PricingError(f"the order has no rate for {named.currency}")
        return money.exchange(money.minor(named.amount, named.currency), named.currency, currency, named.rate)

    def _fee_left(self, rule: Fee) -> int:
        return max(0, percentage(rule.ratio, self._ledger.deposit) - self._past.fee_borne)

    def _add(self, item: BreakdownKind, amount: int, payer: Payer, clause: str) -> None:
        before = self._items.get(item)
        self._put(item, amount + (before.amount if before else 0), payer, before.clause if before else clause)

    def _put(self, item: BreakdownKind, amount: int, payer: Payer, clause: str | None) -> None:
        if amount:
            self._items[item] = Item(amount, payer, clause)
        else:
            self._items.pop(item, None)
