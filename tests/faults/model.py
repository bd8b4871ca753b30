"""An explicit-state model of one lane: two processes, one database row of truth, two Kafka logs, crashes anywhere.

Every interleaving of the steps below is explored. A process claims the lane (at any time: rebalances are not polite),
locks its row, commits a record, publishes from memory or from the outbox, instructs refunds in Kafka transactions,
stores its mark, loses the answer of a commit, crashes. What must hold is checked in every state; what must come to an
end is checked by letting one process finish alone from every state.

A `Rules` switch takes one protection away; the tests show that the model notices each.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

A, B = 0, 1
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Rules:
    """The protections; all on is the design."""

    fence: bool = True
    """A commit goes on only where the lane's token is the process's own."""
    row_lock: bool = True
    """A claim waits for the transaction that holds the lane's row."""
    inbox: bool = True
    """A reader drops numbers that are not above its mark."""
    transactional_position: bool = True
    """The number of the last instruction is stored in the Kafka transaction that publishes it."""
    producer_fencing: bool = True
    """Starting a lane's transactional producer shuts out the former one."""
    republish: bool = True
    """A new owner publishes what lies past the mark before anything new."""


@dataclass(frozen=True, slots=True)
class Process:
    """What is in one process's memory; a crash loses all of it."""

    owns: bool = False
    position: int = 0
    in_transaction: bool = False
    queue: tuple[int, ...] = ()
    to_instruct: tuple[int, ...] = ()
    published: int = 0
    producer: bool = False
    stored_seen: int = 0
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The database, Kafka, and both processes."""

    owner: int = NOBODY
    applied: tuple[int, ...] = ()
    outbox: tuple[int, ...] = ()
    mark: int = 0
    log: tuple[int, ...] = ()
    refunds: tuple[int, ...] = ()
    stored: int = 0
    producer_of: int = NOBODY
    processes: tuple[Process, Process] = (Process(), Process())
    faults: int = 0


class Broken(AssertionError):  # noqa: N818 - the tests read better so
    """A promise does not hold in a reachable state; the message tells the way there."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model's size and rules."""

    rules: Rules = Rules()
    records: int = 2
    faults: int = 3

    def explore(self) -> int:
        """Visit every reachable state; returns how many there are.

        Raises:
            Broken: with the shortest way to a state in which a promise is broken.
        """
        start = State()
        came_from: dict[State, tuple[State, str] | None] = {start: None}
        waiting = deque([start])
        while waiting:
            state = waiting.popleft()
            fault = self.broken(state) or self.unfinished(state)
            if fault:
                raise Broken(f"{fault}: {' > '.join(_way(came_from, state))}")
            for name, after in self.steps(state):
                if after not in came_from:
                    came_from[after] = (state, name)
                    waiting.append(after)
        return len(came_from)

    def broken(self, state: State) -> str | None:
        """What is wrong with a state, if anything."""
        if state.applied != tuple(range(1, len(state.applied) + 1)):
            return f"records are applied twice or out of order: {state.applied}"
        if state.refunds != tuple(range(1, len(state.refunds) + 1)):
            return f"instructions are not there once, in order: {state.refunds}"
        heard = _read(state.log, inbox=self.rules.inbox)
        if heard != tuple(range(1, len(heard) + 1)):
            return f"a reader of the internal topic takes {heard} from {state.log}"
        return None

    def unfinished(self, state: State) -> str | None:
        """Let process A finish alone, without further faults; what it cannot bring to its end is lost."""
        final = self._claimed(state, A, release=True)
        for _ in range(200):
            step = next((after for name, after in self._progress(final, A)), None)
            if step is None:
                break
            final = step
        everything = tuple(range(1, self.records + 1))
        heard = _read(final.log, inbox=True)
        if wrong := self.broken(final):
            return f"{wrong} once {'AB'[A]} has finished alone"
        if final.applied != everything or heard != everything or final.refunds != everything:
            return f"something is lost for good: applied {final.applied}, read {heard}, instructed {final.refunds}"
        return None

    def steps(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next."""
        for me in (A, B):
            name = "AB"[me]
            for step, after in self._progress(state, me):
                yield f"{name} {step}", after
            if state.faults < self.faults:
                worse = replace(state, faults=state.faults + 1)
                process = state.processes[me]
                other = state.processes[1 - me]
                if not (self.rules.row_lock and other.in_transaction):
                    yield f"{name} claims", self._claimed(worse, me, release=False)
                if process != Process():
                    yield f"{name} crashes", _with(worse, me, Process())
                if process.in_transaction:
                    yield f"{name} commits unknowingly", self._committed(worse, me, told=False)

    def _progress(self, state: State, me: int) -> Iterator[tuple[str, State]]:
        process = state.processes[me]
        if process.queue and process.owns:
            number, *rest = process.queue
            done = replace(process, queue=tuple(rest), published=max(process.published, number))
            yield "publishes", replace(_with(state, me, done), log=(*state.log, number))
        if process.to_instruct and process.owns:
            yield from self._instruct(state, me)
        if process.doubtful:
            known = max((process.published, *process.queue, *process.to_instruct))
            found = tuple(n for n in state.outbox if n > known)
            again = replace(
                process,
                doubtful=False,
                position=len(state.applied),
                queue=(*process.queue, *found),
                to_instruct=(*process.to_instruct, *found),
            )
            yield "reads again", _with(state, me, again)
        elif process.owns and not process.in_transaction and process.position < self.records:
            other = state.processes[1 - me]
            if not (self.rules.row_lock and other.in_transaction):
                if not self.rules.fence or state.owner == me:
                    yield "locks", _with(state, me, replace(process, in_transaction=True))
                else:
                    yield "loses the lane", _with(state, me, Process())
        if process.in_transaction:
            yield "commits", self._committed(state, me, told=True)
        mark = min((process.published, *(n - 1 for n in process.to_instruct)))
        if (
            process.owns
            and not process.in_transaction
            and not process.doubtful
            and mark > state.mark
            and state.owner == me
        ):
            left = tuple(n for n in state.outbox if n > mark)
            yield "stores its mark", replace(state, mark=mark, outbox=left)

    def _instruct(self, state: State, me: int) -> Iterator[tuple[str, State]]:
        process = state.processes[me]
        if not process.producer:
            if state.owner == me or not self.rules.fence:
                started = replace(process, producer=True, stored_seen=state.stored)
                yield "starts its producer", replace(_with(state, me, started), producer_of=me)
            return
        number, *rest = process.to_instruct
        if self.rules.producer_fencing and state.producer_of != me:
            yield "is fenced", _with(state, me, replace(process, producer=False))
            return
        done = replace(process, to_instruct=tuple(rest), stored_seen=max(process.stored_seen, number))
        if number <= process.stored_seen:
            yield "skips what Kafka has", _with(state, me, done)
            return
        after = replace(_with(state, me, done), refunds=(*state.refunds, number))
        if self.rules.transactional_position:
            after = replace(after, stored=max(after.stored, number))
        yield "instructs", after

    def _claimed(self, state: State, me: int, *, release: bool) -> State:
        if release:
            state = _with(_with(state, A, Process()), B, Process())
        left = tuple(n for n in state.outbox if n > state.mark) if self.rules.republish else ()
        fresh = Process(owns=True, position=len(state.applied), queue=left, to_instruct=left, published=state.mark)
        return replace(_with(state, me, fresh), owner=me)

    def _committed(self, state: State, me: int, *, told: bool) -> State:
        process = state.processes[me]
        number = process.position + 1
        position = replace(process, in_transaction=False, position=number)
        after = replace(state, applied=(*state.applied, number), outbox=(*state.outbox, number))
        if told:
            queued = replace(position, queue=(*process.queue, number), to_instruct=(*process.to_instruct, number))
            return _with(after, me, queued)
        return _with(after, me, replace(process, in_transaction=False, doubtful=True))


def _with(state: State, me: int, process: Process) -> State:
    a, b = state.processes
    return replace(state, processes=(process, b) if me == A else (a, process))


def _read(log: tuple[int, ...], *, inbox: bool) -> tuple[int, ...]:
    if not inbox:
        return log
    heard: list[int] = []
    for number in log:
        if not heard or number > heard[-1]:
            heard.append(number)
    return tuple(heard)


def _way(came_from: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    way: list[str] = []
    step = came_from[state]
    while step is not None:
        before, name = step
        way.append(name)
        step = came_from[before]
    return way[::-1]
