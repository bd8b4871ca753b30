"""`python -m services.notification`."""

from services.notification.app import build
from shared.run import main

main(build)
