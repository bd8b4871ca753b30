"""eligibility, the judge: assesses each admitted claim under the policy in force when its order was placed.

Consumes: `admissions.v1` (the claim, and every fact about it), `decisions.v1` (what refund-calculation made of the
assessment: decided, referred, a review refused, a refund that failed).

Produces: `assessments.v1` (`claim.assessed`, whenever where the claim stands has changed, or its due time has passed).

Owns: `claim_state` (all facts about a claim, what was last said about it, and when to look at it again),
`policy_used` (the policy versions that govern its claims, so that none is changed behind its back).
"""
