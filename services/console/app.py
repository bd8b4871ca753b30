"""Builds the console; the only place that constructs."""

from services.console import page
from services.console.handlers import Console
from shared.bus import Service


def build() -> Service:
    """The console; the page's process reads its settings from the same environment."""
    return Console(page.keep)
