"""A pipeline that is watched: with the console, with traces, with gauges read out twice a second."""

from collections.abc import Iterator

import pytest

from cli.stack.plan import CONSOLE, SERVICES
from tests.collector import Collector
from tests.stack import Stack


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    """Where the watched pipeline's spans go."""
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="package")
def watched(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services and the console; use order and claim ids of your own (`unique`), kill nothing."""
    env = {"MAKEGOOD_OTLP": collector.address, "MAKEGOOD_READOUT_SECONDS": "0.5"}
    stack = Stack(tmp_path_factory.mktemp("watched"), services=(*SERVICES, CONSOLE), env=env)
    yield stack
    stack.close()
