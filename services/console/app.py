"""Builds the console; the only place that constructs."""

from services.console.handlers import Console
from services.console.settings import ConsoleSettings
from services.console.web.site import Page
from shared.bus import Service


def build() -> Service:
    """The console with its settings from the environment."""
    return Console(Page(ConsoleSettings()))
