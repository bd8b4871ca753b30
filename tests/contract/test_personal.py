"""What is about a person is hidden, and nothing else is."""

import json

import pytest
from pydantic import JsonValue

from shared.events import TYPES
from shared.events.personal import FREE_TEXT, mask, masked
from shared.events.published import schema
from tests.contract.samples import example


@pytest.mark.parametrize(
    ("type_", "hidden", "shown"),
    [
        ("order.placed.v1", ["name", "email", "phone"], ["customer_id", "title"]),
        ("customer.contact.v1", ["name", "email", "phone"], ["customer_id"]),
        ("claim.submitted.v1", ["note", "uri"], ["reason", "claim_id"]),
        ("claim.admitted.v1", ["note", "uri"], ["reason"]),
        ("seller.answered.v1", ["note"], ["answer"]),
        ("claim.reviewed.v1", ["reason"], ["verdict", "actor"]),
        ("refund.settled.v1", ["failure_reason"], ["status"]),
        ("notification.failed.v1", ["reason"], ["template"]),
    ],
)
def test_contact_data_and_free_text_are_hidden(type_: str, hidden: list[str], shown: list[str]) -> None:
    def said(tree: JsonValue) -> dict[str, JsonValue]:
        if isinstance(tree, list):
            return {k: v for one in tree for k, v in said(one).items()}
        if not isinstance(tree, dict):
            return {}
        return {k: v for one in tree.values() for k, v in said(one).items()} | tree

    whole: JsonValue = json.loads(json.dumps(example(type_)))
    assert isinstance(whole, dict)
    filled = whole | {name: "said in own words" for name in hidden if name in ("note", "reason", "failure_reason")}
    found, any_ = masked(type_, filled)
    assert any_
    before, after = said(filled), said(found)
    for name in hidden:
        if isinstance(before.get(name), str):
            assert after[name] == mask(str(before[name]))
    assert [after[name] for name in shown] == [before[name] for name in shown]


@pytest.mark.parametrize("type_", TYPES)
def test_every_member_that_may_be_free_text_is_listed(type_: str) -> None:
    names = set(json.loads(json.dumps(schema(type_)))["properties"])
    assert names & {"note", "failure_reason"} <= FREE_TEXT.get(type_, frozenset())


def test_an_unknown_type_is_hidden_more_and_a_structured_event_within() -> None:
    found, any_ = masked("", {"data": {"note": "n", "email": "a@b.c"}, "type": "x"})
    assert any_
    assert found == {"data": {"note": "n•••••", "email": "a•••••"}, "type": "x"}
    assert masked("claim.decided.v1", {"outcome": "refund"}) == ({"outcome": "refund"}, False)
    assert mask("") is None
