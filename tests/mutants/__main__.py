"""`python -m tests.mutants`: each mutant with what became of it; exit status 1 where less than 90 in 100 are killed."""

import argparse
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

import hypothesis
import pydantic
import pytest
import yaml

from tests.mutants.arena import QUIETLY, ROOT, Arena, End, Told, files_of, run_afresh
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.rooms import POLICY, TESTS, WIDE, WITHOUT_SCENARIOS

T = TypeVar("T")

LEAST: Final = 90
"""Killed of 100."""
THIRD_PARTY: Final = (hypothesis, pydantic, pytest, yaml)
"""Imported before the first fork, so that no fork has to."""
LIVING: Final[tuple[End, ...]] = ("survived", "unreached")
EXPLAINED: Final = ROOT / "docs" / "mutants.md"


@dataclass(slots=True)
class Tally:
    """What has become of the mutants so far, told as it comes."""

    until: float
    explained: frozenset[str]
    ends: dict[str, Counter[End]] = field(default_factory=dict)
    survivors: list[str] = field(default_factory=list)

    def tell(self, mutant: str, end: End) -> None:
        self.ends.setdefault(mutant.split(":", maxsplit=1)[0], Counter())[end] += 1
        known = end in LIVING and self.knows(mutant)
        if end in LIVING and not known:
            self.survivors.append(mutant)
        print(f"{'known' if known else end:9} {mutant}", flush=True)

    def knows(self, mutant: str) -> bool:
        """Whether docs/mutants.md says why it survives."""
        return without_line(mutant) in self.explained

    @property
    def late(self) -> bool:
        return time.monotonic() > self.until


def main(arguments: Sequence[str] | None = None) -> int:
    """The run; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("files", nargs="*", help="only these files (default: all; `policies` for the policy files)")
    parser.add_argument("--sample", type=int, default=400, help="how many mutants, 0 for all (default 400)")
    parser.add_argument("--seed", type=int, default=1, help="which mutants of all (default 1)")
    parser.add_argument("--minutes", type=float, default=30, help="no new mutant after that (default 30)")
    parser.add_argument("--near", action="store_true", help="only the tests about a file, no scenarios and properties")
    options = parser.parse_args(arguments)

    files = [file for file in TESTS if not options.files or file in options.files]
    sources = {file: (ROOT / file).read_text(encoding="utf-8") for file in files}
    every = [mutant for file in files for mutant in mutants_of(file, sources[file])]
    policies = not options.files or "policies" in options.files
    picked = sample(every, options.sample, options.seed)
    print(f"{len(every)} mutants of {len(files)} files; {len(picked)} are tried, seed {options.seed}", flush=True)

    os.environ["MAKEGOOD_HYPOTHESIS"] = "few"
    tally = Tally(time.monotonic() + options.minutes * 60, explained())

    def of_policies(arena: Arena) -> None:
        from tests.mutants.policies import meet, mutants_of_policies

        for mutant in sample(list(mutants_of_policies()), options.sample // 4, options.seed) if policies else ():
            if not tally.late:
                arena.told(str(mutant), meet(arena, mutant))

    left: list[Mutant] = []
    named: dict[str, list[Mutant]] = {}
    for mutant in picked:
        named.setdefault(str(mutant), []).append(mutant)

    def near(told: Told) -> bool:
        arena = Arena([one for one in picked if one.function], sources, told, lambda: tally.late)
        tests = set(files_of(pattern for file in files for pattern in TESTS[file])) - set(files_of(WIDE))
        return pytest.main([*QUIETLY, *sorted(tests)], plugins=[arena]) in (0, 5)

    def wide(told: Told) -> bool:
        arena = Arena(left, sources, told, lambda: tally.late, of_policies)
        tests = files_of({*WIDE, *(POLICY if policies else ())})
        return pytest.main([*QUIETLY, *tests], plugins=[arena]) in (0, 5)

    def sift(name: str, end: End) -> None:
        mutant = named[name].pop(0)
        if end in LIVING and not options.near and mutant.file not in WITHOUT_SCENARIOS and not tally.knows(name):
            left.append(mutant)
        else:
            tally.tell(name, end)

    done = in_arena(near, sift) if any(one.function for one in picked) else True
    if left or policies:
        waiting = Counter(str(mutant) for mutant in left)

        def last(name: str, end: End) -> None:
            waiting[name] -= 1
            tally.tell(name, end)

        done = in_arena(wide, last) and done
        for name in waiting.elements():  # no time was left for them
            tally.tell(name, "survived")
    for mutant in picked:
        if not mutant.function and not tally.late:
            tally.tell(str(mutant), run_afresh(mutant, sources[mutant.file]))
    return max(int(not done), report(tally))


def in_arena(run: Callable[[Told], bool], told: Told) -> bool:
    """Runs where the project is imported, in a fork, so that this process has imported nothing of it afterwards."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        done = False

        def tell(mutant: str, end: End) -> None:
            os.write(write, f"{end}\t{mutant}\n".encode())

        try:
            done = run(tell)
        finally:
            os._exit(not done)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as lines:
        for line in lines:
            end, _, mutant = line.rstrip("\n").partition("\t")
            told(mutant, cast(End, end))
    return os.waitpid(pid, 0)[1] == 0


def sample(every: Sequence[T], most: int, seed: int) -> list[T]:
    """As many as wanted, in the order of the files; all where `most` is 0."""
    if not most or most >= len(every):
        return list(every)
    places = sorted(random.Random(seed).sample(range(len(every)), most))
    return [every[place] for place in places]


def explained() -> frozenset[str]:
    """The survivors that docs/mutants.md explains, as `file: function: change`."""
    if not EXPLAINED.exists():
        return frozenset()
    text = EXPLAINED.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| `` (.+?) `` \|", text, re.MULTILINE)
    return frozenset(f"{file}: {function}: {change}" for file, function, change in rows)


def without_line(mutant: str) -> str:
    return re.sub(r":\d+: ", ": ", mutant, count=1)


def report(tally: Tally) -> int:
    """Prints the table; 1 where too few are killed."""
    killed = total = 0
    print(f"\n{'killed':>8} {'of':>6}  file")
    for file, ends in sorted(tally.ends.items()):
        dead = ends["killed"] + ends["endless"]
        print(f"{dead:8} {ends.total():6}  {file}")
        killed, total = killed + dead, total + ends.total()
    if not total:
        return 0
    share = 100 * killed / total
    print(f"{killed:8} {total:6}  {share:.1f} %")
    if tally.survivors:
        print(f"\nsurvivors that {EXPLAINED.relative_to(ROOT)} does not explain:")
        print("\n".join(f"  {one}" for one in tally.survivors))
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
