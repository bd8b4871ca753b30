"""Builds the console; the only place that constructs."""

from datetime import timedelta

from services.console.handlers import Console
from services.console.page import Page
from services.console.settings import ConsoleSettings
from shared.bus import Service


def build() -> Service:
    """The console; the page's process reads its settings from the same environment."""
    return Console(Page(), timedelta(seconds=ConsoleSettings().console_stuck_seconds))
