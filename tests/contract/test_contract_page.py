"""The page that describes the contract: what it shows is taken, what it lists is all there is."""

import ast
import json
import re
from typing import get_args

import pytest

from shared.events import TYPES
from shared.events.envelope import open_input
from shared.events.inputs import ClaimSubmitted
from shared.events.parts import RefusalCode
from shared.events.topics import INPUT_TOPIC_OF, TOPICS
from tests.contract.samples import DOCS, binary, topic_of

PAGE = (DOCS / "contract.md").read_text(encoding="utf-8")


def _shown() -> dict[str, object]:
    """The literals that the page's first exchange assigns, by name."""
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(code) == 1
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(code[0]))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@pytest.mark.parametrize(("name", "type_"), [("order", "order.placed.v1"), ("claim", "claim.submitted.v1")])
def test_the_first_exchange_is_taken(name: str, type_: str) -> None:
    open_input(topic_of(type_), binary(type_), json.dumps(_shown()[name]).encode())


def test_every_type_topic_and_word_is_named() -> None:
    reasons = ClaimSubmitted.model_json_schema()["properties"]["reason"]["enum"]
    for word in (*TYPES, *TOPICS, *reasons, *get_args(RefusalCode)):
        assert f"`{word}`" in PAGE, word


@pytest.mark.parametrize("type_", TYPES)
def test_every_member_is_named(type_: str) -> None:
    inherited = {"merchant", "order_id", "claim_id"} if type_ not in INPUT_TOPIC_OF else set()
    for member in TYPES[type_].model_fields.keys() - inherited:
        assert f"`{member}`" in PAGE, member
