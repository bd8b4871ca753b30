"""Settings of the console, from the environment."""

from pathlib import Path

from pydantic import Field, SecretStr

from shared.settings import Settings


class ConsoleSettings(Settings):
    """`MAKEGOOD_CONSOLE_…`: where it listens, who may sign in, what it watches."""

    console_host: str = "127.0.0.1"
    console_port: int = Field(default=8088, ge=0, le=65535)
    console_data: Path = Path(".makegood/console")
    """Folder of the local user file and, for a demo, of the first admin's password."""
    console_admin_password: SecretStr | None = None
    """Password of the user `admin`. Left out: a random one is made when there is no user file yet."""
    console_session_hours: float = Field(default=12.0, gt=0)
    console_idle_minutes: float = Field(default=120.0, gt=0)
    console_https: bool = False
    """Set where the page is reached by https: cookies are then marked so."""
    console_hosts: str = ""
    """Host names that the page answers to, besides the one it listens on; comma-separated."""
    console_services: str = ""
    """Health addresses of the services: `intake=http://127.0.0.1:9001,…`; what is not named is judged by its group."""
    mails_key: SecretStr = SecretStr("")
    """The notification service's key for the texts of mails; left out: a claim shows which mail went out, not what it
    said."""
    console_trace_url: str = ""
    """Address of a trace, with `{trace_id}` in it."""
    console_time_zone: str = "UTC"
    """Zone of the times shown (IANA name)."""
    console_stuck_seconds: float = Field(default=60.0, gt=0)
    """From when on a claim that waits for the pipeline itself counts as stuck."""
    console_oidc_issuer: str = ""
    console_oidc_client_id: str = ""
    console_oidc_client_secret: SecretStr = SecretStr("")
    console_oidc_roles_claim: str = "roles"
    """Claim of the ID token that lists roles; the highest of `makegood-admin`, `makegood-staff`, `makegood-viewer`."""
