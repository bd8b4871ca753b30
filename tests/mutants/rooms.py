"""What is mutated, and which tests should notice it."""

from typing import Final

AMOUNTS: Final = ("test_money.py", "test_ledger.py", "test_calculation_pricing.py")
PRICED: Final = ("test_calculation_*.py",)
JUDGED: Final = (
    "test_policy_readings.py",
    "test_policy_files.py",
    "test_eligibility_*.py",
    "test_calculation_pricing.py",
)
CHECKED: Final = ("test_policy_ways.py", "test_policy_load.py", "test_policy_files.py")
POLICY: Final = (*JUDGED, *CHECKED)
ELIGIBILITY: Final = ("test_eligibility_*.py",)
CALCULATION: Final = ("test_calculation_*.py",)
INTAKE: Final = ("test_intake_*.py",)

TESTS: Final[dict[str, tuple[str, ...]]] = {
    "shared/money.py": AMOUNTS,
    "shared/ledger.py": AMOUNTS,
    "shared/pricing.py": PRICED,
    "shared/policy/answers.py": JUDGED,
    "shared/policy/book.py": POLICY,
    "shared/policy/case.py": JUDGED,
    "shared/policy/check.py": CHECKED,
    "shared/policy/judge.py": JUDGED,
    "shared/policy/model.py": POLICY,
    "shared/policy/plan.py": POLICY,
    "shared/policy/readings.py": JUDGED,
    "shared/policy/rules.py": POLICY,
    "shared/policy/tariff.py": PRICED,
    "shared/policy/ways.py": CHECKED,
    "services/eligibility/casework.py": ELIGIBILITY,
    "services/eligibility/domain.py": ELIGIBILITY,
    "services/eligibility/facts.py": ELIGIBILITY,
    "services/eligibility/standing.py": ELIGIBILITY,
    "services/eligibility/verdicts.py": ELIGIBILITY,
    "services/refund_calculation/assessed.py": CALCULATION,
    "services/refund_calculation/deciding.py": CALCULATION,
    "services/refund_calculation/domain.py": CALCULATION,
    "services/refund_calculation/reviews.py": CALCULATION,
    "services/refund_calculation/settlements.py": CALCULATION,
    "services/intake/domain.py": INTAKE,
    "services/intake/units.py": INTAKE,
    "services/notification/domain.py": ("test_notification_*.py",),
    "services/console/domain.py": ("test_console_*.py",),
}
"""File → the tests in tests/unit that are about it. Of these, those run that reach the function that is mutated."""

WIDE: Final = (
    "test_scenarios_pure.py",
    "test_*_properties.py",
    "test_eligibility_order.py",
    "test_intake_order_of_arrival.py",
)
"""What survives its own tests meets the table of scenarios, which goes through all of it, and the properties."""
WITHOUT_SCENARIOS: Final = frozenset({"services/notification/domain.py", "services/console/domain.py"})
"""Files that no scenario reaches."""

LEFT_OUT: Final = ("test_policy_kinds.py", "test_reading_order.py")
"""Too slow to run against each mutant: what they notice counts for nothing here."""

REACHED_ONCE: Final = frozenset(
    {
        "shared/policy/plan.py",
        "shared/policy/model.py",
        "shared/policy/book.py",
        "shared/policy/rules.py",
        "shared/policy/tariff.py",
    }
)
"""What these make is kept, so that only the first test that needs it is seen to reach them: all that judge or price a
claim run against their mutants."""
JUDGING: Final = frozenset({"shared/policy/judge.py", "shared/pricing.py"})
