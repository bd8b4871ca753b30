"""Builds eligibility from its settings."""

from services.eligibility.handlers import Eligibility
from shared.policy.load import load_book


def build() -> Eligibility:
    """The service, with the policies that come with the package."""
    book = load_book()
    return Eligibility(lambda: book)
