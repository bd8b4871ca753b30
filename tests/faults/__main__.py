"""`python -m tests.faults`: break a running stack and prove that nothing was lost or twice (`make faults`)."""

import argparse
import logging
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults.crashing import ALL, CRASHES, HANGS, PROTECTIONS
from tests.faults.nemesis import KINDS, STREAMS
from tests.faults.run import PATIENCE, Run, one

TELLING: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "fence": ("hang at a point", ("hang_before_lock",), ALL),
    "inbox": ("crash at a point", ("after_send",), ALL),
    "transactional_position": ("crash at a point", ("after_kafka_transaction",), ("refund-calculation",)),
    "row_lock": ("hang at a point", ("hang_after_lock", "hang_before_save"), ALL),
}
"""What shows the lack of each protection soonest: a kind of fault, its points, and in which services."""
TELLING_SECONDS = 60
CRIPPLED_PATIENCE = 60
"""Without a protection lanes get stuck for good: no use waiting long."""


def main() -> int:
    """0 when all held; with --without, when the lack was noticed."""
    options = _options()
    for noisy in ("aiokafka", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # that the broker goes away is the point here
    folder = Path(tempfile.mkdtemp(prefix="makegood-faults-"))
    good = _each_noticed(options, folder) if options.without else _held(options, folder)
    if good and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs and data are kept in {folder}")
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, help=f"600 if left out; {TELLING_SECONDS} for each with --without")
    parser.add_argument("--only", nargs="+", choices=[*KINDS, "each"], help="these kinds, one fault at a time")
    parser.add_argument("--points", nargs="+", choices=[*CRASHES, *HANGS], help="crash and hang at these points only")
    parser.add_argument("--services", nargs="+", choices=ALL, help="strike these services only")
    parser.add_argument("--without", choices=[*PROTECTIONS, "each"], help="take a protection away: it must be noticed")
    parser.add_argument("--all-faults", action="store_true", help="with --without: the default faults, not the telling")
    parser.add_argument("--keep", action="store_true", help="keep logs and data also when all held")
    return parser.parse_args()


def _held(options: argparse.Namespace, folder: Path) -> bool:
    streams: Sequence[Sequence[str]] = STREAMS
    if options.only:
        streams = (KINDS if "each" in options.only else tuple(options.only),)
    seconds = options.seconds or 600
    run = Run(options.seed, seconds, streams, tuple(options.points or ()), tuple(options.services or ALL))
    if not one(run, folder / "stack").wrong:
        return True
    print(f"again with: {sys.executable} -m tests.faults {_again(options, seconds)}")
    return False


def _again(options: argparse.Namespace, seconds: float) -> str:
    lists = {name: getattr(options, name) for name in ("only", "points", "services")}
    more = "".join(f" --{name} " + " ".join(f'"{v}"' for v in chosen) for name, chosen in lists.items() if chosen)
    return f"--seed {options.seed} --seconds {seconds:g}{more}"


def _each_noticed(options: argparse.Namespace, folder: Path) -> bool:
    """Each lack is noticed, and the same faults with all protections in place show nothing."""
    missing = PROTECTIONS if options.without == "each" else (options.without,)
    telling = [TELLING[name] for name in missing]
    streams, points = (tuple((kind,) for kind, _, _ in telling), tuple(p for _, of, _ in telling for p in of))
    print("for comparison, with all protections:", flush=True)
    failed = ["something is wrong with all protections in place"] if _wrong(options, folder, streams, points) else []
    for name in missing:
        kind, points, services = TELLING[name]
        print(f"without the {name}:", flush=True)
        if not _wrong(options, folder, ((kind,), (kind,)), points, services, name):
            failed.append(f"the lack of the {name} was not noticed")
    print("\n".join(failed) or "each lack was noticed, and nothing else")
    return not failed


def _wrong(
    options: argparse.Namespace,
    folder: Path,
    streams: Sequence[Sequence[str]],
    points: tuple[str, ...],
    services: tuple[str, ...] = ALL,
    without: str = "",
) -> bool:
    if options.all_faults:
        streams, points, services = STREAMS, (), ALL
    patience = CRIPPLED_PATIENCE if without else PATIENCE
    run = Run(options.seed, options.seconds or TELLING_SECONDS, streams, points, services, without, patience)
    return bool(one(run, folder / (without or "whole")).wrong)


if __name__ == "__main__":
    sys.exit(main())
