"""The `claims` command: names and one-line helps here, each command's module imported when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command as command_of


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is: `module:attribute`, the attribute a function or a Typer application."""

    at: str
    help: str
    panel: str


STACK = "The stack"
EVENTS = "Claims and events"
CONTRACT = "Contract and policy"

COMMANDS: dict[str, Entry] = {
    "up": Entry("cli.up:up", "Start Kafka, PostgreSQL, SMTP and all services.", STACK),
    "down": Entry("cli.up:down", "Stop the stack of a data folder.", STACK),
    "status": Entry("cli.status:status", "Show addresses, and each service's state and lag.", STACK),
    "doctor": Entry(
        "cli.doctor:doctor", "Check this machine and the stack; say what to do about what is wrong.", STACK
    ),
    "clock": Entry("cli.clock:app", "Set the stack's clock forward, so that deadlines fall due.", STACK),
    "recover": Entry("cli.recover:recover", "Bring a service's database forward that is older than Kafka.", STACK),
    "rebuild": Entry("cli.rebuild:rebuild", "Rebuild the console's read model from the topics.", STACK),
    "topics": Entry("cli.topics:app", "Create the topics, or show where a broker's differ.", STACK),
    "demo": Entry("cli.demo:demo", "Run a sample day of both merchants, and check every claim's end.", EVENTS),
    "publish": Entry(
        "cli.publish:publish", "Publish events from JSON lines, checked against the contract first.", EVENTS
    ),
    "where": Entry("cli.where:where", "Show a claim's way through all services.", EVENTS),
    "listen": Entry("cli.listen:listen", "Show what goes over the topics, decoded.", EVENTS),
    "dlq": Entry("cli.dlq:app", "Look at dead letters, send them back, drop them.", EVENTS),
    "refunds": Entry("cli.refunds:refunds", "List refunds that no payment system has reported on.", EVENTS),
    "schema": Entry("cli.schema:app", "Export the contract's JSON Schemas, or check the exported ones.", CONTRACT),
    "policy": Entry("cli.policy:app", "Check, explain, compare and try the merchants' policies.", CONTRACT),
    "replay": Entry("cli.replay:replay", "Put recorded inputs through the pure functions again.", CONTRACT),
}


class OnDemand(TyperCommand):
    """Stands for a command in the list, and turns into it when it is called."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.help, rich_help_panel=entry.panel)
        self._entry = entry

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The real command's context, with which the real command is then invoked."""
        return load(self._entry).make_context(info_name, args, parent, **extra)


class Commands(TyperGroup):
    """The commands in the order of the list above, none of them imported yet."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(OnDemand(name, entry))


def load(entry: Entry) -> Any:
    """Import a command's module, and make the command of what is found there."""
    module, _, attribute = entry.at.partition(":")
    found: typer.Typer | Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return command_of(found)
    single = typer.Typer(add_completion=False)
    single.command()(found)
    return command_of(single)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def claims() -> None:
    """Makegood: from a customer's claim to a refund decision.

    `claims up` starts everything on this machine, `claims demo` shows a day of it.
    """
