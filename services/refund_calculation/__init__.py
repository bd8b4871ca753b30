"""refund-calculation, the last word on money: draws decisions and refunds from the order's ledger.

Consumes: `admissions.v1` (`claim.admitted` for the order's ledger and the claim's units, `claim.cancelled`,
`claim.reviewed`, `refund.settled`, and of `return.received` who laid out postage before a person decided; the rest is
skipped unread), `assessments.v1` (`claim.assessed`).

Produces: `decisions.v1` (`claim.decided` `claim.referred` `review.refused` `claim.settled`) and, in the same
transaction, `refunds.v1` (`refund.instructed`).

Owns: `order_money` (one row an order: ledger, payments, and per claim its units, decisions and what was given) and
`awaited_settlement` (a row for each instruction until it is reported on).

Events are read (`reading.py`) and written (`writing.py`) as structs of the members used here, made and encoded without
a check; the contract's models say what is wrong with one that cannot be read, and tests hold both alike.
"""
