"""The ops console: a read model over every topic, and the page where people look, review and redrive.

Consumes: every topic of the contract and every dead-letter topic.
Produces: reviews.v1 (claim.reviewed.v1), sellers.v1 (seller.answered.v1), returns.v1 (return.received.v1), all through
intake's door; and what is redriven, to the topic it was on.
Owns: the database `console`.
"""
