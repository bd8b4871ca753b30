"""The basis of an assessment: what refund-calculation calculates from, by value, inside `claim.assessed.v1`.

Eligibility alone knows which of a seller's answers is in force, which return was required, and what the claim leads
to. It says so here, so that refund-calculation needs to read no second topic for it. Together with `lines` (verdict and
quantity by line) and `readings` of the same event, the claim's units (from `claim.admitted.v1`) and the policy
(`PolicyBook.version(policy.id, policy.version)`), this is everything a refund is made of.
"""

from pydantic import Field

from shared.events.fields import Id, Instant, PaidAmount
from shared.events.model import Part
from shared.events.parts import ClaimReason, Fault, Money, Payer, SellerAnswer, Wants


class BasisAnswer(Part):
    """The seller's answer in force: the latest by `answered_at`, ties by arrival. `amount` with `refund_partial` only,
    as the seller named it: in the order's or in its exchange currency."""

    answer_id: Id
    answered_at: Instant
    answer: SellerAnswer
    amount: Money | None = None


class BasisPostage(Part):
    """Return postage that the merchant owes the customer: the return was required, its fault is one that a cost rule of
    the policy names, the customer laid it out. `amount` is in the order's currency, above 0; `payer` is the rule's."""

    return_id: Id
    amount: PaidAmount
    payer: Payer
    rule: Id
    clause: Id | None


class Basis(Part):
    """What an assessment was made from, as far as money depends on it. Given with every assessment, also `awaiting`.

    `revision` counts the assessments of this claim from 1, without gaps. A decision or a referral says which revision
    it comes from (`ClaimDecided.revision`, `ClaimReferred.revision`), so that eligibility knows which answer it covers.
    `remedy` is null while nobody knows what the claim leads to (awaiting the seller) or when every line is rejected.
    `answer` is null for reasons that do not wait for a seller, while none has answered, and, once a return is
    required, until it is in. `postage` stays once it is there: a staff decision adds it as its own item.
    `return_required`, `fault` and `returned` (units of the claim that are back, by line) are for the record.
    """

    revision: int = Field(ge=1)
    reason: ClaimReason
    wants: Wants
    reported_at: Instant
    remedy: Wants | None = None
    answer: BasisAnswer | None = None
    postage: tuple[BasisPostage, ...] = ()
    return_required: bool = False
    fault: Fault | None = None
    returned: dict[str, int] = Field(default_factory=dict)
