"""Builds the notification service from its settings."""

from datetime import timedelta

from services.notification.courier import Courier
from services.notification.handlers import Notification
from services.notification.settings import NotificationSettings
from services.notification.wording import load_catalogs, load_merchants
from services.notification.writing import Writer
from shared.policy.shelf import Shelf


def build(settings: NotificationSettings | None = None) -> Notification:
    """The service with everything it needs. Raises where a setting, a catalog or a policy is wrong."""
    settings = settings or NotificationSettings()
    shelf = Shelf(settings.policies)
    writer = Writer(settings.mail_from, load_catalogs(), load_merchants(), shelf.book)
    kept = timedelta(days=settings.keep_mails_days)
    return Notification(Courier(settings, writer), kept, settings.mails_key.get_secret_value())
