"""The ledger of an order: what each unit cost and which part of the discounts, the shipping and the fee is its own.

It is fixed when the order is placed and never changes. Every share is made by largest remainder (POLICIES, *Both*,
Money), so that the shares add up to exactly what was charged or taken off, however the units are claimed later:

- an order's code is spread over the lines that cost something, by their amount after their own discount;
- shipping and transaction fee over the lines that cost something, by their amount after all discounts;
- what a line has got of anything is spread over its units evenly; the units that get one more are its first.

Three things the clauses leave open are settled here. A unit that its line's own discount has left with nothing carries
none of the code's odd ones: no unit costs less than 0. Where shipping or a fee was paid on goods that cost nothing at
all, it is spread by what they cost before the code, then before any discount, then by units, so that it still belongs
to something. Shipping paid to the carrier (`collect`) was not paid to the shop and is 0 here.
"""

from collections.abc import Mapping, Sequence
from operator import mul, sub
from typing import Protocol

from msgspec import Struct

from shared.money import apportion, minors

Units = Mapping[str, Sequence[int]]
"""Unit numbers (from 1) by line id. A `range` will do."""


class LedgerError(ValueError):
    """An order of which no ledger can be made: its amounts contradict each other."""


class PlacedLine(Protocol):
    """An order line, as `order.placed.v1` gives it; amounts are decimal strings in the order's currency."""

    @property
    def line_id(self) -> str: ...
    @property
    def quantity(self) -> int: ...
    @property
    def unit_price(self) -> str: ...
    @property
    def discount(self) -> str: ...


class PlacedShipping(Protocol):
    """The order's shipping; with `collect` it is paid to the carrier."""

    @property
    def amount(self) -> str: ...
    @property
    def collect(self) -> bool: ...


class PlacedPayment(Protocol):
    """One payment of the order."""

    @property
    def amount(self) -> str: ...


class PlacedOrder(Protocol):
    """What the ledger needs of an order."""

    @property
    def currency(self) -> str: ...
    @property
    def lines(self) -> Sequence[PlacedLine]: ...
    @property
    def discount(self) -> str: ...
    @property
    def shipping(self) -> PlacedShipping: ...
    @property
    def transaction_fee(self) -> str: ...
    @property
    def payments(self) -> Sequence[PlacedPayment]: ...


def _part(total: int, quantity: int, units: Sequence[int], after: int = 0) -> int:
    """What `units` have of a line's `total`: even shares, one more for each of the first `total % quantity` units
    `after` the one of that number."""
    even, more = divmod(total, quantity)
    if more == 0:
        return even * len(units)
    return sum(even + (after < unit <= after + more) for unit in units)


class LedgerLine(Struct, frozen=True, array_like=True, gc=False):
    """One order line in minor units. `discount` and `code` are what was taken off the whole line, `shipping` and `fee`
    its shares; the `_by_units` pair is the other reading of the register's `share-key`."""

    line_id: str
    quantity: int
    unit_price: int
    discount: int
    code: int
    shipping: int
    fee: int
    shipping_by_units: int
    fee_by_units: int

    @property
    def paid(self) -> int:
        """What was paid for the line's goods, after all discounts."""
        return self.unit_price * self.quantity - self.discount - self.code

    def value(self, units: Sequence[int]) -> int:
        """What was paid for `units`: their price less their shares of the line's discount and of the code."""
        value = self.unit_price * len(units)
        if self.discount:
            value -= _part(self.discount, self.quantity, units)
        if self.code:
            value -= _part(self.code, self.quantity, units, self._code_after())
        return value

    def _code_after(self) -> int:
        """The last unit that cannot bear an odd one of the code beside its odd one of the line's discount, else 0."""
        discount, odd = divmod(self.discount, self.quantity)
        return odd if self.unit_price - discount - 1 <= self.code // self.quantity else 0


class Ledger(Struct, frozen=True, array_like=True, gc=False):
    """The order in minor units of `currency`. `deposit`: the sum of its payments = of its lines, shipping and fee."""

    currency: str
    lines: Mapping[str, LedgerLine]
    shipping: int
    fee: int
    deposit: int

    def value(self, units: Units) -> int:
        """What was paid for the goods in `units`, after all discounts (GN2; HQ.2 *value*)."""
        return sum([self.lines[line_id].value(numbers) for line_id, numbers in units.items()])

    def shipping_share(self, units: Units) -> int:
        """The units' share of the shipping, by value (`share-key`, chosen)."""
        return self._share(units, "shipping")

    def fee_share(self, units: Units) -> int:
        """The units' share of the transaction fee, by value (`share-key`, chosen)."""
        return self._share(units, "fee")

    def shipping_by_units(self, units: Units) -> int:
        """The units' share of the shipping, were it spread by units (`share-key`, the other reading)."""
        return self._share(units, "shipping_by_units")

    def fee_by_units(self, units: Units) -> int:
        """The units' share of the transaction fee, were it spread by units (`share-key`, the other reading)."""
        return self._share(units, "fee_by_units")

    def deposit_share(self, units: Units) -> int:
        """The units' share of the deposit: goods with their shares of shipping and fee (`withdrawal-fee-base`)."""
        return self.value(units) + self.shipping_share(units) + self.fee_share(units)

    def whole(self) -> dict[str, range]:
        """All units of the order."""
        return {line_id: range(1, line.quantity + 1) for line_id, line in self.lines.items()}

    def _share(self, units: Units, of: str) -> int:
        total = 0
        for line_id, numbers in units.items():
            line = self.lines[line_id]
            share: int = getattr(line, of)
            total += _part(share, line.quantity, numbers)
        return total


def _weights(*candidates: Sequence[int]) -> Sequence[int]:
    """The first of `candidates` that is not all 0; the last of them, quantities, never is."""
    return next(filter(any, candidates))


def open_ledger(order: PlacedOrder) -> Ledger:
    """The ledger of `order`. Raises `LedgerError` where a discount is more than what it is taken off or the payments
    are not lines − discounts + shipping + fee, `MoneyError` for an amount that cannot be read.
    """
    currency = order.currency
    quantities = [line.quantity for line in order.lines]
    carriage = "0" if order.shipping.collect else order.shipping.amount
    amounts = [line.unit_price for line in order.lines]
    amounts += [line.discount for line in order.lines]
    amounts += [payment.amount for payment in order.payments]
    *read, code, shipping, fee = minors([*amounts, order.discount, carriage, order.transaction_fee], currency)
    many = len(quantities)
    prices, discounts, deposit = read[:many], read[many : 2 * many], sum(read[2 * many :])

    gross = list(map(mul, prices, quantities))
    own = list(map(sub, gross, discounts))
    if own and min(own) < 0:
        raise LedgerError("a line's discount is more than the line")
    if code > sum(own):
        raise LedgerError("the order's discount is more than its lines")
    codes = apportion(code, own)
    paid = list(map(sub, own, codes))
    if deposit != sum(paid) + shipping + fee:
        raise LedgerError(f"the payments add up to {deposit}, the order to {sum(paid) + shipping + fee} minor units")

    by_value = _weights(paid, own, gross, quantities)
    by_units = [quantity if weight else 0 for quantity, weight in zip(quantities, by_value, strict=True)]
    lines = map(
        LedgerLine,
        [line.line_id for line in order.lines],
        quantities,
        prices,
        discounts,
        codes,
        apportion(shipping, by_value),
        apportion(fee, by_value),
        apportion(shipping, by_units),
        apportion(fee, by_units),
    )
    return Ledger(currency, {line.line_id: line for line in lines}, shipping, fee, deposit)
