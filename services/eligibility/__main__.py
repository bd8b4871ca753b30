"""`python -m services.eligibility`."""

from services.eligibility.app import build
from shared.run import main

if __name__ == "__main__":
    main(build)
