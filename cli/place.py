"""Which Kafka a command talks to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.stack import state
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder

Kafka = Annotated[
    str | None,
    typer.Option("--kafka", metavar="HOST:PORT", help="Kafka to talk to; left out: that of the running stack."),
]


def kafka_of(kafka: str | None, data: Path) -> str:
    """The address given, else that of the stack running in the data folder, else MAKEGOOD_KAFKA. Raises StackError."""
    if kafka:
        return kafka
    folder = DataFolder.at(data)
    told = state.read(folder.state) if folder.is_held() else None
    if told is not None and told.kafka:
        return told.kafka
    if named := os.environ.get("MAKEGOOD_KAFKA"):
        return named
    raise StackError(
        f"no stack is running in {folder.root}: start one with `claims up --detach`, "
        "or name a Kafka with --kafka HOST:PORT"
    )
