"""Builds refund-calculation; the only place that constructs it."""

from services.refund_calculation.handlers import RefundCalculation
from shared.policy.shelf import Shelf
from shared.settings import Settings


def build() -> RefundCalculation:
    """The service, with the policies of the folder that the settings name (default: those of the package). Raises
    `PolicyError` where a policy does not load."""
    return RefundCalculation(Shelf(Settings().policies).book)
