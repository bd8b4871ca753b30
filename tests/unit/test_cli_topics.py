"""deploy/topics.yaml against the contract."""

from pathlib import Path

import pytest

from cli.stack import topics
from cli.stack.errors import StackError
from shared.events.topics import INPUT_TOPICS, TOPICS, dlq_topics

MIB = 1 << 20
DAY_MS = 24 * 3600 * 1000


def test_every_topic_of_the_contract_and_every_dead_letter_topic_is_there_once() -> None:
    names = [spec.name for spec in topics.load()]
    assert sorted(names) == sorted({*TOPICS, *dlq_topics()})


def test_all_topics_have_the_same_number_of_partitions() -> None:
    assert {spec.partitions for spec in topics.load()} == {4}
    assert {spec.partitions for spec in topics.load(partitions=12)} == {12}


def test_sizes_and_retention() -> None:
    specs = {spec.name: spec for spec in topics.load()}
    sizes = {name: int(spec.configs["max.message.bytes"]) for name, spec in specs.items()}
    assert {sizes[name] for name in INPUT_TOPICS} == {MIB}
    for name, size in sizes.items():
        if name.endswith(".dlq"):
            assert size == 2 * sizes[name.rsplit(".", 2)[0]]
    assert {spec.configs["cleanup.policy"] for spec in specs.values()} == {"delete"}
    assert {int(spec.configs["retention.ms"]) for spec in specs.values()} == {30 * DAY_MS}


@pytest.mark.parametrize(("replicas", "kept"), [(1, "1"), (2, "1"), (3, "2")])
def test_one_broker_may_be_away_where_there_are_several(replicas: int, kept: str) -> None:
    specs = topics.load(replication_factor=replicas)
    assert {spec.configs["min.insync.replicas"] for spec in specs} == {kept}
    assert {spec.replication_factor for spec in specs} == {replicas}


def test_the_environment_sets_what_no_option_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEGOOD_TOPICS_PARTITIONS", "6")
    monkeypatch.setenv("MAKEGOOD_TOPICS_REPLICATION", "3")
    assert {(spec.partitions, spec.replication_factor) for spec in topics.load()} == {(6, 3)}
    assert {spec.partitions for spec in topics.load(partitions=2)} == {2}


@pytest.mark.parametrize("content", ["", "topics: 7", "partitions: x", "{", "partitions: 4\ntopics: [{name: a}]"])
def test_a_file_that_is_not_one_is_refused_by_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text(content)
    with pytest.raises(StackError, match=r"topics\.yaml is not a topics' file"):
        topics.load(file)
    with pytest.raises(StackError, match="MAKEGOOD_TOPICS"):
        topics.load(tmp_path / "none.yaml")
