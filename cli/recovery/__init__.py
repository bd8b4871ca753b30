"""Bringing a service's database forward that is older than Kafka: the method is in docs/recovery.md."""
