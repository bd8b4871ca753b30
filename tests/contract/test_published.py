"""What is committed under docs is what the models say, and what the models say holds for the examples."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from cli.schema import app
from shared.events import TYPES, BadEvent, dump, parse_data
from shared.events.published import documents, drift, export, release, schema
from shared.events.topics import INPUT_TOPIC_OF, INPUT_TOPICS, TOPICS, TYPES_OF
from tests.contract.samples import DOCS, EXAMPLES, example, spoil


def _validator(type_: str) -> jsonschema.Draft202012Validator:
    committed = json.loads((DOCS / "schemas" / f"{type_}.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(committed, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def test_committed_schemas_are_those_of_the_models() -> None:
    assert drift(DOCS) == []


def test_there_is_an_example_of_every_type_and_no_other() -> None:
    assert {file.name for file in EXAMPLES.iterdir()} == {f"{type_}.json" for type_ in TYPES}


@pytest.mark.parametrize("type_", TYPES)
def test_schemas_are_schemas_and_hold_for_the_examples(type_: str) -> None:
    validator = _validator(type_)
    validator.check_schema(validator.schema)
    validator.validate(example(type_))
    validator.validate(json.loads(dump(parse_data(type_, json.dumps(example(type_)).encode()))))


@pytest.mark.parametrize("type_", [type_ for type_ in TYPES if type_ not in INPUT_TOPIC_OF])
def test_examples_of_outputs_are_what_is_written(type_: str) -> None:
    assert json.loads(dump(parse_data(type_, json.dumps(example(type_)).encode()))) == example(type_)


@pytest.mark.parametrize(
    ("type_", "put", "drop"),
    [
        ("order.placed.v1", {}, ["$.order_id"]),
        ("order.placed.v1", {"$.currency": "IRT"}, []),
        ("order.placed.v1", {"$.lines[0].unit_price": 6_000_000}, []),
        ("order.placed.v1", {"$.lines[0].unit_price": "6,000,000"}, []),
        ("order.placed.v1", {"$.lines[0].quantity": 10_001}, []),
        ("order.placed.v1", {"$.merchant": " "}, []),
        ("order.placed.v1", {"$.lines": []}, []),
        ("claim.submitted.v1", {"$.reason": "regret"}, []),
        ("claim.submitted.v1", {"$.facts.seal": "broken"}, []),
        ("claim.submitted.v1", {"$.note": "x" * 10_001}, []),
        ("seller.answered.v1", {}, ["$.amount"]),
        ("claim.reviewed.v1", {"$.amount": None}, []),
        ("claim.reviewed.v1", {"$.actor": ""}, []),
    ],
)
def test_schemas_refuse_what_the_models_refuse(type_: str, put: dict[str, object], drop: list[str]) -> None:
    data = spoil(example(type_), put, drop)
    assert not _validator(type_).is_valid(data)
    with pytest.raises(BadEvent):
        parse_data(type_, json.dumps(data).encode())


@pytest.mark.parametrize(
    ("type_", "put", "drop"),
    [
        ("order.placed.v1", {"$.payments[0].amount": "۱۲۰۰۰۰۰۰", "$.unknown": 1}, ["$.discount", "$.lines[0].gift"]),
        ("order.placed.v1", {"$.customer": {"customer_id": "c"}, "$.exchange": None}, []),
        ("return.received.v1", {"$.inspection": None, "$.postage": None}, ["$.fault"]),
        ("seller.answered.v1", {"$.answer": "resend"}, ["$.amount", "$.note"]),
    ],
)
def test_schemas_take_what_the_models_take(type_: str, put: dict[str, object], drop: list[str]) -> None:
    data = spoil(example(type_), put, drop)
    _validator(type_).validate(data)
    parse_data(type_, json.dumps(data).encode())


def test_schemas_of_outputs_require_every_member() -> None:
    for type_ in TYPES:
        if type_ not in INPUT_TOPIC_OF:
            published = schema(type_)
            assert published["required"] == list(TYPES[type_].model_fields), type_


def _references(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        for name, member in tree.items():
            if name == "$ref":
                yield member
            yield from _references(member)
    elif isinstance(tree, list):
        for member in tree:
            yield from _references(member)


def test_asyncapi_names_every_topic_and_type_and_dangles_nowhere() -> None:
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
    assert document["asyncapi"].startswith("3.")
    channels = {name: channel for name, channel in document["channels"].items() if name != "dead-letters"}
    assert {channel["address"]: set(channel["messages"]) for channel in channels.values()} == {
        topic: set(TYPES_OF[topic]) for topic in TOPICS
    }
    received = {o["channel"]["$ref"] for o in document["operations"].values() if o["action"] == "receive"}
    assert received == {f"#/channels/{topic}" for topic in INPUT_TOPICS}
    for reference in set(_references(document)):
        if reference.startswith("./"):
            assert (DOCS / reference).is_file(), reference
            continue
        found = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    shutil.copytree(DOCS / "schemas", tmp_path / "schemas")
    shutil.copy(DOCS / "asyncapi.yaml", tmp_path)
    return tmp_path


def test_check_passes_on_what_export_wrote(tmp_path: Path) -> None:
    export(tmp_path)
    release(tmp_path)
    result = CliRunner().invoke(app, ["check", "--docs", str(tmp_path)])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("path", ["schemas/claim.decided.v1.json", "asyncapi.yaml"])
@pytest.mark.parametrize("spoiling", ["changed", "missing"])
def test_check_finds_drift_and_export_mends_it(docs: Path, path: str, spoiling: str) -> None:
    if spoiling == "changed":
        (docs / path).write_text((docs / path).read_text(encoding="utf-8").replace("claim_id", "case_id", 1) + " ")
    else:
        (docs / path).unlink()
    failed = CliRunner().invoke(app, ["check", "--docs", str(docs)])
    assert failed.exit_code == 1
    assert path in failed.output
    assert "claims schema export" in failed.output
    assert export(docs) == [path]
    assert CliRunner().invoke(app, ["check", "--docs", str(docs)]).exit_code == 0


def test_check_finds_the_schema_of_a_type_that_is_no_more(docs: Path) -> None:
    surplus = docs / "schemas" / "order.lost.v1.json"
    surplus.write_text("{}")
    failed = CliRunner().invoke(app, ["check", "--docs", str(docs)])
    assert failed.exit_code == 1
    assert "order.lost.v1.json" in failed.output
    export(docs)
    assert not surplus.exists()


def test_every_document_is_named_for_what_it_holds() -> None:
    assert set(documents()) == {"asyncapi.yaml", *(f"schemas/{type_}.json" for type_ in TYPES)}
