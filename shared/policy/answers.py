"""Which of a seller's answers counts (POLICIES, Hakago: *Order of answers*)."""

from collections.abc import Sequence
from datetime import datetime

from shared.policy.rules import Answer


def in_force(times: Sequence[datetime]) -> list[int]:
    """Of answers in the order of their arrival, the ones that came to be in force, by index: an answer older than the
    one in force is without effect; of two at one instant the one that arrived later counts."""
    effective: list[int] = []
    for index, at in enumerate(times):
        if not effective or at >= times[effective[-1]]:
            effective.append(index)
    return effective


def answer_that_counts(answers: Sequence[Answer], *, returned: bool) -> int | None:
    """The index of the answer that counts among those that came to be in force, in order; None while the seller's
    (next) answer is awaited. Once a return is required, it counts until the goods are back, whatever the seller says
    meanwhile; then the last answer counts, unless that is the one that required the return."""
    if not answers:
        return None
    required = [index for index, answer in enumerate(answers) if answer == "require_return"]
    if required and not returned:
        return required[-1]
    return None if answers[-1] == "require_return" else len(answers) - 1
