"""Whatever was ordered, the shares add up to exactly what was charged or taken off."""

from hypothesis import given
from hypothesis import strategies as st

from shared.ledger import open_ledger
from tests.unit.test_ledger import Carriage, Line, Paid, Placed


@st.composite
def orders(draw: st.DrawFn) -> Placed:
    lines = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        price, quantity = draw(st.integers(0, 10**7)), draw(st.integers(1, 7))
        discount = draw(st.integers(0, price * quantity))
        lines.append(Line(str(number), str(price), quantity, str(discount)))
    goods = sum(int(line.unit_price) * line.quantity - int(line.discount) for line in lines)
    code = draw(st.integers(0, goods))
    shipping, fee, collect = draw(st.integers(0, 10**6)), draw(st.integers(0, 10**5)), draw(st.booleans())
    due = goods - code + (0 if collect else shipping) + fee
    first = draw(st.integers(0, due))
    return Placed(
        tuple(lines), (Paid(str(first)), Paid(str(due - first))), str(code), Carriage(str(shipping), collect), str(fee)
    )


@given(orders())
def test_units_lines_and_order_add_up(order: Placed) -> None:
    ledger = open_ledger(order)
    units = [(line_id, unit) for line_id, numbers in ledger.whole().items() for unit in numbers]
    assert sum(ledger.value({line: [unit]}) for line, unit in units) + ledger.shipping + ledger.fee == ledger.deposit
    for share, whole in (
        (ledger.shipping_share, ledger.shipping),
        (ledger.fee_share, ledger.fee),
        (ledger.shipping_by_units, ledger.shipping),
        (ledger.fee_by_units, ledger.fee),
    ):
        assert sum(share({line: [unit]}) for line, unit in units) == share(ledger.whole()) == whole
    assert sum(line.code for line in ledger.lines.values()) == int(order.discount)


@given(orders())
def test_units_of_a_line_differ_by_no_more_than_the_odd_units_of_their_shares(order: Placed) -> None:
    ledger = open_ledger(order)
    for line_id, numbers in ledger.whole().items():
        values = [ledger.value({line_id: [unit]}) for unit in numbers]
        assert min(values) >= 0
        assert max(values) - min(values) <= 2  # one of the line's discount, one of the code
        shipping = [ledger.shipping_share({line_id: [unit]}) for unit in numbers]
        assert shipping == sorted(shipping, reverse=True)


@given(orders(), st.data())
def test_however_the_units_are_split_into_claims_the_sum_is_the_same(order: Placed, data: st.DataObject) -> None:
    ledger = open_ledger(order)
    claims: list[dict[str, list[int]]] = [{}, {}, {}]
    for line_id, numbers in ledger.whole().items():
        for unit in numbers:
            claims[data.draw(st.integers(0, 2))].setdefault(line_id, []).append(unit)
    assert sum(ledger.deposit_share(claim) for claim in claims) == ledger.deposit
