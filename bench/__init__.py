"""The pipeline against a raw loop, a naive service and Kafka Streams, on one embedded stack (docs/speed.md)."""
