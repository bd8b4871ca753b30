"""Builds refund-calculation; the only place that constructs it."""

from datetime import timedelta

from pydantic import Field

from services.refund_calculation.handlers import PATIENCE, RefundCalculation
from shared.policy.shelf import Shelf
from shared.settings import Settings


class CalculationSettings(Settings):
    """Refund-calculation's own settings."""

    settlement_hours: float = Field(default=72.0, gt=0)
    """How long a payment system may take to report on a refund before that counts as stuck
    (`MAKEGOOD_SETTLEMENT_HOURS`)."""


def build() -> RefundCalculation:
    """The service, with the policies of the folder that the settings name (default: those of the package). Raises
    `PolicyError` where a policy does not load."""
    settings = CalculationSettings()
    return RefundCalculation(
        Shelf(settings.policies).book, PATIENCE, settlement=timedelta(hours=settings.settlement_hours)
    )
