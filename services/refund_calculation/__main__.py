"""`python -m services.refund_calculation`."""

from services.refund_calculation.app import build
from shared.run import main

if __name__ == "__main__":
    main(build)
