"""Settings that every service has, from the environment (`MAKEGOOD_…`)."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Common settings. A service adds its own in a subclass."""

    model_config = SettingsConfigDict(env_prefix="MAKEGOOD_", extra="ignore")

    kafka: str = "127.0.0.1:9092"
    """Bootstrap servers, `host:port[,host:port]`."""
    database: str = "postgresql://127.0.0.1:5432/makegood"
    """DSN of the service's own database."""
    database_connections: int = 4
    health_host: str = "127.0.0.1"
    health_port: int = 0
    """Port of `/live`, `/ready` and `/metrics`; 0 takes a free one."""
    log: Literal["json", "console"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    replica: int = 1
    policies: Path | None = None
    """Folder of the policies, `<merchant>/v<n>.yaml`; left out: those that come with the package."""
    batch_records: int = 1000
    """Most records in one transaction."""
    poll_ms: int = 10
    """How long to pause after a poll that found nothing (a poll itself listens for 0.2 s)."""
    session_timeout_ms: int = 10_000
    retry_seconds: float = 600.0
    """How long an infrastructure error is retried before the process ends and is started again."""
    tick_seconds: float = 0.5
    sweep_seconds: float = Field(default=10.0, gt=0)
    """How often a bite is taken of what has served its time (docs/delivery.md, Growth)."""
    keep_history_days: float = Field(default=400.0, ge=0)
    """How long what happened to a claim is kept; the topics and the console have it too."""
    keep_letters_days: float = Field(default=400.0, ge=0)
    """How long a dead letter is kept after it was redriven or dropped; an open one is kept for ever."""
    readout_seconds: float = 5.0
    """How often gauges are read out of the service's database."""
    drain_seconds: float = 20.0
    otlp: str = ""
    """OTLP/HTTP collector that takes the traces, `http://host:4318`; left out: no traces."""
    otlp_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the traces that begin here which are recorded; what comes with a `traceparent` goes by its flag."""
