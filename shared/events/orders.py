"""What order systems say of orders."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from shared.events.fields import AMOUNT_DIGITS, Amount, Currency, Id, Instant, Phone, Text
from shared.events.model import Event, Part, flaw
from shared.events.parts import Customer, Exchange, OrderCustomer, OrderLine, Payment, Shipping, too_precise
from shared.money import DECIMALS, minor, text


class CustomerContact(Event):
    """How to reach the customer of an order. The only event inside that carries personal data."""

    type: ClassVar[str] = "customer.contact.v1"

    merchant: Id
    order_id: Id
    customer_id: Id
    name: Text | None = None
    email: Text | None = None
    phone: Phone | None = None
    locale: Text | None = None


class Order(Part):
    """An order inside the pipeline: as placed, without contact data, with the instant of receipt if it is known."""

    merchant: Id
    order_id: Id
    placed_at: Instant
    received_at: Instant | None
    currency: Currency
    customer: OrderCustomer
    lines: list[OrderLine]
    discount: Amount = "0"
    shipping: Shipping
    transaction_fee: Amount = "0"
    payments: list[Payment]
    exchange: Exchange | None = None


class OrderPlaced(Event):
    """An order with its lines and payments. All amounts but `exchange` are in `currency`.

    `discount` of the order is a code over all lines. The payments add up to lines − discounts + shipping (unless
    `shipping.collect`) + transaction fee.
    """

    type: ClassVar[str] = "order.placed.v1"

    merchant: Id
    order_id: Id
    placed_at: Instant
    currency: Currency
    customer: Customer
    lines: list[OrderLine] = Field(min_length=1)
    discount: Amount = "0"
    shipping: Shipping
    transaction_fee: Amount = "0"
    payments: list[Payment]
    exchange: Exchange | None = None

    def order(self) -> Order:
        """The order without contact data, not received yet."""
        return Order.model_construct(
            merchant=self.merchant,
            order_id=self.order_id,
            placed_at=self.placed_at,
            received_at=None,
            currency=self.currency,
            customer=OrderCustomer(customer_id=self.customer.customer_id, locale=self.customer.locale),
            lines=self.lines,
            discount=self.discount,
            shipping=self.shipping,
            transaction_fee=self.transaction_fee,
            payments=self.payments,
            exchange=self.exchange,
        )

    def contact(self) -> CustomerContact:
        """The contact data alone."""
        return CustomerContact(merchant=self.merchant, order_id=self.order_id, **dict(self.customer))

    @model_validator(mode="after")
    def _check_amounts(self) -> Self:
        self._check_decimals()
        goods = self._check_lines()
        self._check_payments(goods)
        return self

    def _minor(self, amount: str) -> int:
        # An amount is checked by now, so that where there are no decimals it is plain digits.
        return minor(amount, self.currency) if DECIMALS[self.currency] else int(amount)

    def _check_decimals(self) -> None:
        amounts = [self.discount, self.shipping.amount, self.transaction_fee]
        for line in self.lines:
            amounts += (line.unit_price, line.discount)
        amounts += [payment.amount for payment in self.payments]
        if not any("." in amount for amount in amounts):
            return
        paths = ["discount", "shipping.amount", "transaction_fee"]
        for index in range(len(self.lines)):
            paths += (f"lines[{index}].unit_price", f"lines[{index}].discount")
        paths += [f"payments[{index}].amount" for index in range(len(self.payments))]
        for path, amount in zip(paths, amounts, strict=True):
            if complaint := too_precise(amount, self.currency):
                raise flaw(path, complaint)

    def _check_lines(self) -> int:
        """The sum of the lines after their own discounts, in minor units."""
        seen: set[str] = set()
        goods = 0
        for index, line in enumerate(self.lines):
            if line.line_id in seen:
                raise flaw(f"lines[{index}].line_id", f"line {line.line_id} is there twice")
            seen.add(line.line_id)
            price = line.quantity * self._minor(line.unit_price)
            off = self._minor(line.discount)
            if off > price:
                raise flaw(
                    f"lines[{index}].discount",
                    f"the discount of {line.discount} is more than the line's price of {text(price, self.currency)}",
                )
            goods += price - off
        return goods

    def _check_payments(self, goods: int) -> None:
        off = self._minor(self.discount)
        if off > goods:
            raise flaw(
                "discount", f"the discount of {self.discount} is more than the lines' {text(goods, self.currency)}"
            )
        seen: set[str] = set()
        paid = 0
        for index, payment in enumerate(self.payments):
            if payment.payment_id in seen:
                raise flaw(f"payments[{index}].payment_id", f"payment {payment.payment_id} is there twice")
            seen.add(payment.payment_id)
            paid += self._minor(payment.amount)
        shipping = 0 if self.shipping.collect else self._minor(self.shipping.amount)
        due = goods - off + shipping + self._minor(self.transaction_fee)
        if paid != due:
            raise flaw(
                "payments",
                f"the payments add up to {text(paid, self.currency)} {self.currency}, but lines less discounts, plus "
                f"{'' if self.shipping.collect else 'shipping and '}transaction fee, make {text(due, self.currency)}",
            )
        if len(str(due)) > AMOUNT_DIGITS:
            raise flaw("payments", f"the order's total has more than {AMOUNT_DIGITS} digits")


class OrderDelivered(Event):
    """The customer received the order. The first one stands."""

    type: ClassVar[str] = "order.delivered.v1"

    merchant: Id
    order_id: Id
    received_at: Instant


class OrderCancelled(Event):
    """The order was cancelled: recorded, changes no claim."""

    type: ClassVar[str] = "order.cancelled.v1"

    merchant: Id
    order_id: Id
    cancelled_at: Instant
