"""Mutants against tests, in forks of one process that has imported and collected everything once.

A mutant that is inside a function takes the place of the function's code in a fork, so that nothing is imported again;
one outside of functions is met by a fork that has imported nothing of the project yet.
"""

import gc
import importlib.machinery
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import pytest

from tests.mutants.mutations import Mutant, mutate
from tests.mutants.rooms import JUDGING, LEFT_OUT, REACHED_ONCE, TESTS

if TYPE_CHECKING:
    from shared.policy.model import Policy

ROOT: Final = Path(__file__).resolve().parents[2]
UNIT: Final = ROOT / "tests" / "unit"
LONGEST_TEST: Final = 4.0
"""Seconds of CPU; tests that take longer do not run against mutants."""
LONGEST_LOOK: Final = 6.0
"""Seconds of CPU after which a mutant that no test has noticed counts as survived, though some tests are left."""
LONGEST_RUN: Final = 120
"""Seconds of CPU after which a mutant that still runs counts as killed: it does not come to an end."""
LONGEST_WAIT: Final = 1800
"""Seconds after which one that does not even run counts so."""
QUIETLY: Final = ("-o", "addopts=", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "no:timeout", "-W", "ignore")
"""How pytest runs here: it says nothing, keeps nothing, and leaves limits of time to the forks."""

End: TypeAlias = Literal["killed", "survived", "endless", "unreached"]
Place: TypeAlias = tuple[str, str, int]
"""File, qualified name and first line of a function."""
Told: TypeAlias = Callable[[str, End], None]


def in_fork(run: Callable[[], bool], seconds: int) -> End:
    """What became of a mutant: `run` says in a process of its own whether some test noticed it."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.alarm(LONGEST_WAIT)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        _silence()
        noticed = True
        try:
            noticed = run()
        finally:
            os._exit(1 if noticed else 0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "endless" if os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGPROF) else "killed"
    return "killed" if os.WEXITSTATUS(status) else "survived"


def _silence() -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)


def files_of(patterns: Iterable[str]) -> list[str]:
    """The test files that match, the slow ones left out."""
    found = {str(path) for pattern in patterns for path in UNIT.glob(pattern)}
    return sorted(path for path in found if not any(fnmatch(Path(path).name, slow) for slow in LEFT_OUT))


# --- outside of functions ---


def import_mutated(mutant: Mutant, source: str) -> None:
    """From now on the module is imported as its mutant. Nothing of the project may have been imported."""
    path = str(ROOT / mutant.file)
    get_code = importlib.machinery.SourceFileLoader.get_code

    def mutated(loader: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        if loader.get_filename(name) == path:
            return compile(mutate(source, mutant.index), path, "exec")
        return get_code(loader, name)

    importlib.machinery.SourceFileLoader.get_code = mutated  # type: ignore[method-assign, assignment]


def run_afresh(mutant: Mutant, source: str) -> End:
    """A mutant outside of functions against all tests about its file. One that they do not notice in time survives."""

    def run() -> bool:
        import_mutated(mutant, source)
        tests = files_of(TESTS[mutant.file])
        return pytest.main(["-x", *QUIETLY, *tests]) != 0

    end = in_fork(run, LONGEST_RUN)
    return "survived" if end == "endless" else end


# --- inside functions ---


def keep_policies() -> None:
    """Loads the published policies once for all forks, with nothing worked out from them yet."""
    from shared.policy import load

    published = sorted(load.POLICIES.glob("*/*.yaml"))
    read = load.load_files
    kept = read(published)
    for policy in kept:
        policy.__dict__.pop("_plans", None)

    def load_files(paths: Iterable[Path]) -> "tuple[Policy, ...]":
        wanted = list(paths)
        return kept if wanted == published else read(wanted)

    load.load_files = load_files


@dataclass(frozen=True, slots=True)
class Seen:
    """What a test did while nothing was mutated: the functions it reached, CPU seconds, and whether it passed."""

    reached: frozenset[Place]
    seconds: float
    passed: bool


@dataclass(slots=True)
class Arena:
    """A pytest plugin: instead of running the tests once, it runs them against each mutant."""

    mutants: Sequence[Mutant]
    sources: Mapping[str, str]
    told: Told
    late: Callable[[], bool]
    others: Callable[["Arena"], None] = lambda _: None
    """Called at the end, for mutants of another kind."""
    items: list[pytest.Item] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    _functions: dict[Place, list[FunctionType]] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = session.items
        keep_policies()
        self._find_functions()
        gc.collect()
        gc.freeze()
        self.seen = self._rehearse()
        for mutant in self.mutants:
            if not self.late():
                self.told(str(mutant), self._meet(mutant))
        self.others(self)
        return True

    def against(self, items: Sequence[pytest.Item], change: Callable[[], None]) -> End:
        """Tests against a change that is made in a fork."""

        def run() -> bool:
            change()
            begun = time.process_time()
            for item, following in _in_turn(items):
                if _fails(item, following):
                    return True
                if time.process_time() - begun > LONGEST_LOOK:
                    break
            return False

        return in_fork(run, LONGEST_RUN) if items else "unreached"

    def reaching(self, places: Iterable[Place], files: Iterable[str] = ()) -> list[pytest.Item]:
        """The tests that reach one of the functions, or any function of the files; the quickest first."""
        wanted, wide = set(places), set(files)
        found = [
            item
            for item in self.items
            if (seen := self.seen.get(item.nodeid)) is not None
            and (seen.reached & wanted or any(file in wide for file, _, _ in seen.reached))
        ]
        return sorted(found, key=lambda item: self.seen[item.nodeid].seconds)

    def _meet(self, mutant: Mutant) -> End:
        place = (mutant.file, mutant.function, mutant.begins)
        path = str(ROOT / mutant.file)
        code = _code_of(compile(mutate(self.sources[mutant.file], mutant.index), path, "exec"), place)
        functions = self._functions.get(place, [])

        def change() -> None:
            for function in functions:
                function.__code__ = code

        wide = JUDGING if mutant.file in REACHED_ONCE else ()
        return self.against(self.reaching([place], wide) if functions else [], change)

    def _find_functions(self) -> None:
        files = {str(ROOT / file): file for file in TESTS}
        for one in gc.get_objects():
            if isinstance(one, FunctionType) and one.__code__.co_filename in files:
                code = one.__code__
                place = (files[code.co_filename], code.co_qualname, code.co_firstlineno)
                self._functions.setdefault(place, []).append(one)

    def _rehearse(self) -> dict[str, Seen]:
        """Every test once in a fork, so that this process stays as it is: nothing set up, nothing remembered."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            _silence()
            try:
                with os.fdopen(write, "wb") as pipe:
                    pickle.dump({item.nodeid: _watch(item, after) for item, after in _in_turn(self.items)}, pipe)
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            seen: dict[str, Seen] = pickle.load(pipe)
        os.waitpid(pid, 0)
        for name in (name for name, one in seen.items() if not one.passed):
            print(f"left out, fails without any mutant: {name}", flush=True)
        return {name: one for name, one in seen.items() if one.passed and one.seconds < LONGEST_TEST}


def _in_turn(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None], strict=True)


def _fails(item: pytest.Item, following: pytest.Item | None) -> bool:
    before = item.session.testsfailed
    item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
    return item.session.testsfailed > before


def _watch(item: pytest.Item, following: pytest.Item | None) -> Seen:
    files = {str(ROOT / file): file for file in TESTS}
    called: set[CodeType] = set()

    def note(frame: FrameType, _event: str, _arg: object) -> None:
        called.add(frame.f_code)

    start = time.process_time()
    sys.settrace(note)
    try:
        failed = _fails(item, following)
    finally:
        sys.settrace(None)
    reached = {
        (files[one.co_filename], one.co_qualname, one.co_firstlineno) for one in called if one.co_filename in files
    }
    return Seen(frozenset(reached), time.process_time() - start, not failed)


def _code_of(module: CodeType, place: Place) -> CodeType:
    """The code of a function in a compiled module."""
    waiting = [module]
    while waiting:
        code = waiting.pop()
        if (code.co_qualname, code.co_firstlineno) == place[1:]:
            return code
        waiting += [one for one in code.co_consts if isinstance(one, CodeType)]
    raise LookupError(f"{place[0]} has no function {place[1]}")
