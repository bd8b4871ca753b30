"""Builds the notification service from its settings."""

import structlog

from services.notification.courier import Courier
from services.notification.handlers import Notification
from services.notification.settings import UNSALTED, NotificationSettings
from services.notification.wording import load_catalogs, load_merchants
from shared.policy.load import load_book

log = structlog.get_logger(__name__)


def build(settings: NotificationSettings | None = None) -> Notification:
    """The service with everything it needs. Raises where a setting, a catalog or a policy is wrong."""
    settings = settings or NotificationSettings()
    if settings.recipient_salt.get_secret_value() == UNSALTED:
        log.warning("recipient_salt_not_set", hint="set MAKEGOOD_RECIPIENT_SALT where hashes leave your hands")
    return Notification(Courier(settings, load_catalogs(), load_merchants(), load_book()))
