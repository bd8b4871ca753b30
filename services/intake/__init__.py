"""intake, the only door: checks, deduplicates, parks what came too early, re-keys, admits.

Consumes: `orders.v1` `claims.v1` `sellers.v1` `returns.v1` `reviews.v1` `payments.v1` (from outside: ids and keys are
not trusted), `decisions.v1` (a decision frees a claim's units, or takes them again).

Produces: `admissions.v1` (`claim.admitted` `claim.refused` `claim.parked`, and what else came in, once and re-keyed),
`contacts.v1` (`customer.contact`: personal data goes to notification alone).

Owns: `order_state` (an order and the units its claims hold), `claim` (claim id → the order it was admitted for),
`waiting` (parked claims, and what came before its claim, as records byte for byte), `seen` (the inbox: events, answers,
returns and reviews that came before).

What waits for a claim stays until a claim of that id is admitted, also when one is refused: its id may be used again.
A record that is dead-lettered leaves no trace in the inbox, so that it can be redriven.
"""
