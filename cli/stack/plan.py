"""What a supervisor is to start."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from cli.stack.folders import DataFolder


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service: its name (also its consumer group), its database, and the program that runs it."""

    name: str
    database: str
    program: tuple[str, ...]


SERVICES = tuple(
    ServiceSpec(name, database, (sys.executable, "-m", f"services.{database}"))
    for name, database in (
        ("intake", "intake"),
        ("eligibility", "eligibility"),
        ("refund-calculation", "refund_calculation"),
        ("notification", "notification"),
    )
)

CONSOLE = ServiceSpec("console", "console", (sys.executable, "-m", "services.console"))
"""The page for people; one process, whatever the number of replicas."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One stack.

    Ports that are None are kept from the last start, or chosen. Outside servers (`kafka`: host:port, `postgres`: an
    administrator's DSN, `smtp`: host:port) take the place of embedded ones; on such a Postgres the databases' names get
    `prefix`.
    """

    data: DataFolder
    replicas: int = 1
    kafka_port: int | None = None
    postgres_port: int | None = None
    smtp_port: int | None = None
    kafka: str | None = None
    postgres: str | None = None
    smtp: str | None = None
    prefix: str = ""
    partitions: int | None = None
    services: tuple[ServiceSpec, ...] = SERVICES
    env: Mapping[str, str] = field(default_factory=dict)
    """Added to every service's environment."""

    @classmethod
    def from_environment(
        cls,
        data: DataFolder,
        *,
        replicas: int = 1,
        kafka_port: int | None = None,
        postgres_port: int | None = None,
        smtp_port: int | None = None,
        services: tuple[ServiceSpec, ...] = SERVICES,
    ) -> Plan:
        """The plan of `claims up`: MAKEGOOD_KAFKA, MAKEGOOD_POSTGRES, MAKEGOOD_SMTP name servers that run already,
        MAKEGOOD_POSTGRES_PREFIX tells stacks on one server apart."""
        return cls(
            data=data,
            replicas=replicas,
            kafka_port=kafka_port,
            postgres_port=postgres_port,
            smtp_port=smtp_port,
            kafka=os.environ.get("MAKEGOOD_KAFKA") or None,
            postgres=os.environ.get("MAKEGOOD_POSTGRES") or None,
            smtp=os.environ.get("MAKEGOOD_SMTP") or None,
            prefix=os.environ.get("MAKEGOOD_POSTGRES_PREFIX", ""),
            services=services,
        )
