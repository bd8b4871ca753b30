"""What a claim comes to under a policy's money rules, from the order's ledger alone.

Pure, and blind to what became of the order's other claims but for what `Past` says of them. Refund-calculation prices
every eligible claim with it; the policy loader runs the worked examples through it; whoever shows amounts asks it.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from types import MappingProxyType
from typing import Literal, NamedTuple, assert_never

from shared import money
from shared.events.parts import Alternative, BreakdownKind, Payer, ReadingShown
from shared.ledger import Ledger, Units
from shared.policy.model import Policy
from shared.policy.rules import Cap, Cost, Fee, MoneyRule, Share, Situation

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


class Named(NamedTuple):
    """The amount that a seller named: a decimal string of `currency`; `rate` is the order's `exchange.rate` when that
    is not the order's currency."""

    amount: str
    currency: str
    rate: str | None = None


class Past(NamedTuple):
    """What the order's other claims have left: the fee that they have borne, and what of an item was given already."""

    fee_borne: int = 0
    given: Mapping[BreakdownKind, int] = MappingProxyType({})


class Claimed(NamedTuple):
    """What is priced. `whole`: with it, every unit of the order that cost anything is claimed for this reason."""

    reason: str
    units: Units
    situation: Situation
    named: Named | None = None
    whole: bool = False


class Item(NamedTuple):
    """One entry of a breakdown in minor units, negative where it is kept; never 0."""

    amount: int
    payer: Payer
    clause: str | None


Items = Mapping[BreakdownKind, Item]


class Applied(NamedTuple):
    """A money rule that took part, and what it did beyond its wording (empty where nothing)."""

    rule: str
    clause: str
    note: str = ""


class Priced(NamedTuple):
    """A refund under one set of readings. `below_zero` names the entry under which a person must look at it: the fee
    would have taken more than there was, so that it takes all and the refund is 0."""

    items: Items
    applied: tuple[Applied, ...]
    below_zero: str | None = None

    @property
    def total(self) -> int:
        """The refund in minor units, 0 or above."""
        return total(self.items)


class Weighed(NamedTuple):
    """A refund under every reading of the open points that it depends on: `priced` as chosen, `shown` each reading with
    its amount, `refers` the entry under which a person must choose, or None where it is decided."""

    priced: Priced
    shown: tuple[ReadingShown, ...]
    refers: str | None


def total(items: Items) -> int:
    """What the items add up to."""
    return sum(item.amount for item in items.values())


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
    draft = _Draft(policy, ledger, claimed, past or Past())
    for rule in policy.money_rules(claimed.reason, claimed.situation, readings):
        match rule:
            case Share():
                draft.share(rule)
            case Fee():
                draft.fee(rule)
            case Cap():
                draft.cap(rule)
            case Cost():
                continue
            case _:
                assert_never(rule)
    return draft.priced()


def weigh(policy: Policy, ledger: Ledger, claimed: Claimed, past: Past | None = None) -> Weighed:
    """`price` under every reading of the entries that the claim's money rules depend on.

    Entries that the register leaves to review are evaluated in all combinations; where their amounts differ, or a fee
    takes a refund below 0, `refers` says under which entry.
    """
    scale = _Scale(policy, ledger, claimed, past)
    amounts = {
        name: {reading: scale.under({name: reading}).total for reading in policy.register_[name].readings}
        for name in scale.base
    }
    priced, refers, differ = scale.settle()
    shown = [
        _shown(name, None if name in differ else chosen, _told(amounts[name], refers), ledger.currency)
        for name, chosen in scale.base.items()
    ]
    if refers is not None and refers not in scale.base:
        entry = policy.register_.get(refers)
        kept = dict.fromkeys(entry.readings if entry is not None else ("nothing",), 0)
        shown.insert(0, _shown(refers, None, kept, ledger.currency))
    return Weighed(priced, tuple(shown), refers)


def settle(policy: Policy, ledger: Ledger, claimed: Claimed, past: Past | None = None) -> tuple[Priced, str | None]:
    """What `weigh` comes to, without what it shows: the refund as chosen, and the entry under which a person must
    choose, or None."""
    priced, refers, _ = _Scale(policy, ledger, claimed, past).settle()
    return priced, refers


class _Scale:
    """A claim priced under readings of the entries that its money rules depend on, each set of readings once. `base`:
    those entries in the register's order, each with its reading unless another is named."""

    def __init__(self, policy: Policy, ledger: Ledger, claimed: Claimed, past: Past | None) -> None:
        self._policy = policy
        self._ledger = ledger
        self._claimed = claimed
        self._past = past
        self._done: dict[tuple[str, ...], Priced] = {}
        register = policy.register_
        entries = _entries(policy, claimed)
        self.base = {name: register[name].chosen or next(iter(register[name].readings)) for name in entries}

    def under(self, changes: Mapping[str, str]) -> Priced:
        """The refund under `base` with these readings in it."""
        readings = {**self.base, **changes}
        key = tuple(readings.values())
        if key not in self._done:
            self._done[key] = price(self._policy, self._ledger, self._claimed, self._past, readings)
        return self._done[key]

    def settle(self) -> tuple[Priced, str | None, tuple[str, ...]]:
        """The refund as chosen, the entry under which a person must choose, and all entries on which it depends."""
        open_ = [name for name in self.base if self._policy.register_[name].on_difference == "review"]
        every = {
            readings: self.under(dict(zip(open_, readings, strict=True)))
            for readings in product(*(self._policy.register_[name].readings for name in open_))
        }
        below_zero = next((one.below_zero for one in every.values() if one.below_zero), None)
        differ = tuple(name for place, name in enumerate(open_) if _matters(place, every))
        return self.under({}), below_zero or next(iter(differ), None), differ


def _matters(place: int, every: Mapping[tuple[str, ...], Priced]) -> bool:
    """Whether the entry at `place` changes the amount under some reading of the others."""
    amounts: dict[tuple[str, ...], set[int]] = {}
    for readings, priced in every.items():
        amounts.setdefault(readings[:place] + readings[place + 1 :], set()).add(priced.total)
    return any(len(found) > 1 for found in amounts.values())


def _told(amounts: Mapping[str, int], refers: str | None) -> Mapping[str, int | None]:
    """The amounts of an entry's readings; of a single reading none while it is not known what the refund will be."""
    return dict.fromkeys(amounts) if refers is not None and len(amounts) == 1 else amounts


def _shown(entry: str, chosen: str | None, amounts: Mapping[str, int | None], currency: str) -> ReadingShown:
    alternatives = [
        Alternative(reading=reading, result="refund", amount=None if amount is None else money.text(amount, currency))
        for reading, amount in amounts.items()
    ]
    return ReadingShown(entry=entry, chosen=chosen, alternatives=alternatives)


def _entries(policy: Policy, claimed: Claimed) -> tuple[str, ...]:
    """The open points that rules about this claim's money depend on, in the register's order."""
    used = {entry for rule in _pricing_rules(policy, claimed) for entry in rule.under}
    return tuple(name for name in policy.register_ if name in used)


def _pricing_rules(policy: Policy, claimed: Claimed) -> Iterator[MoneyRule]:
    for rule in policy.plan(claimed.reason).priced:
        if not isinstance(rule, Cost) and rule.when.holds(claimed.situation):
            yield rule


class _Draft:
    """A refund in the making: rules are applied in the policy's order."""

    def __init__(self, policy: Policy, ledger: Ledger, claimed: Claimed, past: Past) -> None:
        self._policy = policy
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
        items = {name: self._items[name] for name in ITEMS if name in self._items}
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
        whole = {"goods": ledger.value(ledger.whole()), "shipping": ledger.shipping, "transaction_fee": ledger.fee}
        if item not in whole:
            raise PricingError(f"an order has no {item} to give back")
        return max(0, whole[item] - self._past.given.get(item, 0))

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
