"""Kafka, PostgreSQL and an SMTP sink without Docker, and the supervisor that runs the services on them."""
