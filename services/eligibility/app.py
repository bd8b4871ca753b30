"""Builds eligibility from its settings."""

from services.eligibility.handlers import Eligibility
from shared.policy.shelf import Shelf
from shared.settings import Settings


def build() -> Eligibility:
    """The service, with the policies of the folder that the settings name (default: those of the package)."""
    return Eligibility(Shelf(Settings().policies).book)
