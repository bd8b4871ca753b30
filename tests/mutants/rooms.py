"""What is mutated, and which tests should notice it."""

from typing import Final

POLICY: Final = ("test_policy_*.py", "test_eligibility_*.py", "test_calculation_*.py")
MONEY: Final = ("test_money*.py", "test_ledger*.py", "test_calculation_*.py", "test_policy_load.py")
ELIGIBILITY: Final = ("test_eligibility_*.py",)
CALCULATION: Final = ("test_calculation_*.py",)
INTAKE: Final = ("test_intake_*.py",)

TESTS: Final[dict[str, tuple[str, ...]]] = {
    "shared/money.py": MONEY,
    "shared/ledger.py": MONEY,
    "shared/pricing.py": MONEY,
    "shared/policy/answers.py": POLICY,
    "shared/policy/book.py": POLICY,
    "shared/policy/case.py": POLICY,
    "shared/policy/check.py": POLICY,
    "shared/policy/judge.py": POLICY,
    "shared/policy/model.py": POLICY,
    "shared/policy/plan.py": POLICY,
    "shared/policy/readings.py": POLICY,
    "shared/policy/rules.py": POLICY,
    "shared/policy/tariff.py": MONEY,
    "shared/policy/ways.py": POLICY,
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

SCENARIOS: Final = "test_scenarios_pure.py"
"""What survives its own tests meets the table of scenarios, which goes through all of it."""
WITHOUT_SCENARIOS: Final = frozenset({"services/notification/domain.py", "services/console/domain.py"})
"""Files that no scenario reaches."""

LEFT_OUT: Final = ("test_policy_kinds.py",)
"""Too slow to run against each mutant, as it runs the type check: what it notices counts for nothing here."""

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
