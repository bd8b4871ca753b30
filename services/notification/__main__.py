"""`python -m services.notification`."""

from services.notification.app import build
from shared.run import main

if __name__ == "__main__":
    main(build)
