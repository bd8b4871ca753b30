"""Builds intake from its settings."""

from datetime import timedelta

from pydantic import Field

from services.intake.handlers import Intake
from shared.policy.shelf import Shelf
from shared.settings import Settings


class IntakeSettings(Settings):
    """Intake's own settings."""

    parking_seconds: int = Field(default=86_400, gt=0, le=10 * 366 * 86_400)
    """How long a claim waits for its order before it is refused (`MAKEGOOD_PARKING_SECONDS`)."""
    keep_seen_days: float = Field(default=45.0, ge=0)
    """How long the inbox remembers an event: longer than the topics hold it (30 days). What comes again later is still
    known by what orders, claims, answers, returns and reviews know of it (`MAKEGOOD_KEEP_SEEN_DAYS`)."""


def build() -> Intake:
    """The service, with the policies' currencies. Raises `PolicyError` where a policy does not load."""
    settings = IntakeSettings()
    shelf = Shelf(settings.policies)
    return Intake(
        lambda merchant: shelf.book().currency(merchant),
        timedelta(seconds=settings.parking_seconds),
        timedelta(days=settings.keep_seen_days),
    )
