"""Builds refund-calculation; the only place that constructs it."""

from services.refund_calculation.handlers import RefundCalculation
from shared.policy.load import load_book


def build() -> RefundCalculation:
    """The service, with the policies that come with the package. Raises `PolicyError` where one does not load."""
    return RefundCalculation(load_book())
