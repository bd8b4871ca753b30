"""`python -m bench.console`: how fast the console answers over very many claims, while claims flow; and how fast its
read model takes in what the pipeline writes (docs/console.md, Speed)."""

import asyncio
import json
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote

import asyncpg
import httpx2
import typer
from rich.console import Console as Terminal
from rich.table import Table

from bench.load import Loader
from bench.many import SEED, WAITING, copies, multiply, seeds
from bench.ours import load_orders
from bench.readers import Reading, apart
from bench.stack import BenchStack, running
from bench.topics import LANES, Topics, until
from bench.workload import Claim, claims
from cli.lag import lags
from cli.stack.plan import CONSOLE
from cli.stack.supervisor import Supervisor
from shared.events.topics import TOPICS, dlq_topics

SEEDS: Final = 1_000
LIMIT: Final = 900.0
PATHS: Final = 600
WARM_SECONDS: Final = 20.0
GOALS: Final = {"now": 200, "claim": 300}
terminal = Terminal(stderr=True)
app = typer.Typer(add_completion=False)

Figures = dict[str, object]


def say(line: str) -> None:
    terminal.print(f"{time.strftime('%H:%M:%S')} {line}", highlight=False, markup=False)


class Bench:
    """A stack with a console, its read model, and a way to ask it."""

    def __init__(self, stack: BenchStack, password: str) -> None:
        self.stack = stack
        self._password = password
        self.supervisor: Supervisor = stack.supervisor
        self._replica = next(one for one in self.supervisor.replicas if one.spec is CONSOLE)
        self._database = next(one.database for one in self.supervisor.state.services if one.name == CONSOLE.name)

    @property
    def address(self) -> str:
        address = self.supervisor.state.console
        assert address is not None
        return address

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self._database)
        try:
            yield conn
        finally:
            await conn.close()

    async def hold(self) -> None:
        await self._replica.hold()

    async def release(self) -> None:
        self._replica.release()
        await asyncio.sleep(0.5)
        await self.supervisor.until_ready(LIMIT)

    async def lag(self) -> int:
        """Records that the console has not read, as it last told Kafka. `refunds.v1` ends in markers nobody reads."""
        behind = (await lags(self.stack.kafka, {CONSOLE.name: (*TOPICS, *dlq_topics())}, 30.0))[CONSOLE.name]
        return max(0, behind - LANES)

    async def caught_up(self) -> float:
        async def caught_up() -> bool:
            return await self.lag() == 0

        return await until(caught_up, LIMIT, "the console has read everything", every=0.2)

    async def cookie(self) -> str:
        """Sign in as the administrator; the session's cookie."""
        async with httpx2.AsyncClient(base_url=self.address) as http:

            async def there() -> bool:
                try:
                    return (await http.get("/sign-in")).status_code == 200
                except httpx2.HTTPError:
                    return False

            await until(there, LIMIT, "the page answers", every=0.5)
            page = await http.get("/sign-in")
            token = page.text.partition('name="token" value="')[2].partition('"')[0]
            form = {"name": "admin", "password": self._password, "token": token, "next": "/now"}
            signed = await http.post("/sign-in", data=form)
            assert signed.status_code == 303, signed.status_code
            return f"makegood_session={http.cookies['makegood_session']}"


async def _fill(bench: Bench, number: int) -> None:
    """Bring the read model to `number` claims, unless it has them."""
    times = max(1, number // SEEDS)
    async with bench.database() as conn:
        there = await conn.fetchval("SELECT count(*) FROM claim")
    if there >= number:
        say(f"{there:,} claims are in the read model already")
        return
    assert there == 0, f"{there:,} claims are there, which is neither none nor {number:,}: take another --data"
    async with Topics.of(bench.stack.kafka) as topics, Loader.of(bench.stack.kafka) as loader:
        some = seeds(SEEDS)
        await load_orders(bench.stack, topics, loader, some, LIMIT)
        await loader.pace([_cut(n, one) for n, one in enumerate(some)], 500.0)
    await bench.stack.caught_up(LIMIT)
    await bench.caught_up()
    await bench.hold()
    started = time.monotonic()
    async with bench.database() as conn:
        await multiply(conn, times)
        assert await copies(conn) == times
        rows = await conn.fetchrow(
            "SELECT (SELECT count(*) FROM claim) AS claims, (SELECT count(*) FROM entry) AS events, "
            "pg_database_size(current_database()) >> 20 AS megabytes"
        )
    await bench.release()
    assert rows is not None
    say(
        f"{rows['claims']:,} claims, {rows['events']:,} events, {rows['megabytes']:,} MB: "
        f"{time.monotonic() - started:,.0f} s"
    )


def _cut(n: int, claim: Claim) -> Claim:
    """Every so many claims one waits: nobody answers, nothing comes back."""
    return claim.waiting() if n % WAITING == 0 else claim


async def _under_flow(bench: Bench, rate: float, reading: Reading, some: Sequence[Claim]) -> Figures:
    """Read pages while `some` claims flow at `rate`."""
    behind: list[int] = []

    async def look() -> None:
        while True:
            behind.append(await bench.lag())
            await asyncio.sleep(1.0)

    looking = asyncio.create_task(look())
    try:
        async with Loader.of(bench.stack.kafka) as loader, Topics.of(bench.stack.kafka) as topics:
            flowing = asyncio.create_task(loader.pace(some, rate))
            await asyncio.sleep(3.0)
            before, at_first = _cpu(bench), await _flowed(topics)
            started = time.monotonic()
            took, live = await apart(reading)
            seconds = time.monotonic() - started
            used = {name: round((now - before[name]) / seconds, 2) for name, now in _cpu(bench).items()}
            flowed = {name: round((n - at_first[name]) / seconds) for name, n in (await _flowed(topics)).items()}
            await flowing
    finally:
        looking.cancel()
    return {
        "users": reading.users,
        "pause": reading.pause,
        "rate": rate,
        "flowed a second": flowed,
        "pages": {kind: _spread(each) for kind, each in took.items()},
        "live figures": live,
        "console behind, records": {"median": sorted(behind)[len(behind) // 2], "most": max(behind)},
        "CPU ms a page, all kinds": round(used["console's page"] * seconds * 1000 / sum(map(len, took.values())), 1),
        "cores used": used,
    }


async def _flowed(topics: Topics) -> dict[str, int]:
    """Records so far of claims published, and of decisions and referrals."""
    return {name: await topics.count(name) for name in ("claims.v1", "decisions.v1")}


def _cpu(bench: Bench) -> dict[str, float]:
    """CPU seconds so far of each process of the stack, without Postgres' backends, and of the whole machine."""
    pids = {**bench.stack.services, **bench.stack.servers}
    folds = pids[CONSOLE.name]
    (page,) = Path(f"/proc/{folds}/task/{folds}/children").read_text().split()
    pids["console's page"] = int(page)
    return {name: _seconds(pid) for name, pid in pids.items()} | {"machine": _machine_seconds()}


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _machine_seconds() -> float:
    fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def _spread(seconds: Iterable[float]) -> dict[str, float]:
    took = sorted(each * 1000 for each in seconds)
    if not took:
        return {"n": 0}
    at = {name: took[min(len(took) - 1, int(len(took) * part))] for name, part in (("p50", 0.5), ("p95", 0.95))}
    return {"n": len(took), **{name: round(ms, 1) for name, ms in at.items()}, "max": round(took[-1], 1)}


async def _catching_up(bench: Bench, tag: str, number: int) -> Figures:
    """Let `number` claims go through the pipeline while the console is down, and see how fast it takes them in."""
    await bench.hold()
    async with Topics.of(bench.stack.kafka) as topics, Loader.of(bench.stack.kafka) as loader:
        some = list(claims(tag, number))
        await load_orders(bench.stack, topics, loader, some, LIMIT)
        for one in loader.built(some):
            await loader.send(one)
    await bench.stack.caught_up(LIMIT)
    behind = await bench.lag()
    await bench.release()
    started, before = time.monotonic(), _seconds(bench.stack.services[CONSOLE.name])
    await bench.caught_up()
    seconds = time.monotonic() - started
    cpu = _seconds(bench.stack.services[CONSOLE.name]) - before
    return {
        "records": behind,
        "records/s": round(behind / seconds),
        "claims/s": round(number / seconds),
        "CPU µs a record": round(cpu / behind * 1e6),
    }


async def _measure(
    data: Path, number: int, rate: float, seconds: float, users: int, pauses: Sequence[float], late: int
) -> Figures:
    password = secrets.token_urlsafe(16)
    env = {"MAKEGOOD_CONSOLE_ADMIN_PASSWORD": password}
    async with running(data, env, extra=(CONSOLE,)) as stack:
        bench = Bench(stack, password)
        await _fill(bench, number)
        await bench.caught_up()
        cookie = await bench.cookie()
        async with bench.database() as conn:
            rows = await conn.fetch(
                "SELECT merchant, claim_id FROM claim TABLESAMPLE SYSTEM (1) WHERE claim_id NOT LIKE $1 LIMIT $2",
                f"c-{SEED}-%",
                PATHS,
            )
        kinds = {
            "now": ["/now"],
            "claim": [f"/claims/{row['merchant']}/{quote(row['claim_id'], safe='')}" for row in rows],
            "claims": ["/claims", "/claims?state=review", "/claims?reason=late", "/claims?due=past"],
        }
        say("warming up: each of the pages once or twice")
        await apart(Reading(bench.address, cookie, 8, 0.0, WARM_SECONDS, kinds, watching=False))
        found: Figures = {"claims": number, "runs": []}
        runs: list[Figures] = []
        for n, pause in enumerate(pauses):
            some = list(claims(f"f{n}{secrets.token_hex(3)}", round(rate * (seconds + 15))))
            async with Topics.of(stack.kafka) as topics, Loader.of(stack.kafka) as loader:
                await load_orders(stack, topics, loader, some, LIMIT)
            await bench.caught_up()
            say(f"{users} readers, a pause of {pause:g} s")
            reading = Reading(bench.address, cookie, users, pause, seconds, kinds, watching=True)
            runs.append(await _under_flow(bench, rate, reading, some))
            await stack.caught_up(LIMIT)
        found["runs"] = runs
        if late:
            say(f"catching up with {late:,} claims")
            found["catching up"] = await _catching_up(bench, f"l{secrets.token_hex(3)}", late)
        return found


@app.command()
def run(
    number: Annotated[int, typer.Option("--claims", min=SEEDS, help="Claims in the read model.")] = 1_000_000,
    rate: Annotated[float, typer.Option(help="Claims a second meanwhile.")] = 200.0,
    seconds: Annotated[float, typer.Option(help="Seconds of reading in each run.")] = 30.0,
    users: Annotated[int, typer.Option(help="Readers at once; each has the live figures open, too.")] = 20,
    pauses: Annotated[str, typer.Option(help="Seconds between a reader's pages, a run for each, by commas.")] = "1,0",
    late: Annotated[int, typer.Option(help="Claims to catch up with at the end; 0: none.")] = 4_000,
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench-console.json"),
    data: Annotated[Path | None, typer.Option(help="Folder of the stack, to use again; some 12 GB.")] = None,
) -> None:
    """Fill the console's read model, let claims flow, and time its pages."""
    each = [float(pause) for pause in pauses.split(",")]
    if data is not None:
        found = asyncio.run(_measure(data, number, rate, seconds, users, each, late))
    else:
        with tempfile.TemporaryDirectory(prefix="makegood-console-") as folder:
            found = asyncio.run(_measure(Path(folder), number, rate, seconds, users, each, late))
    json_file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    _show(found)


def _show(found: Figures) -> None:
    table = Table("readers", "pause", "page", "n", "p50 ms", "p95 ms", "max ms", "goal p95")
    runs = found["runs"]
    assert isinstance(runs, list)
    for one in runs:
        for kind, spread in one["pages"].items():
            cells = [str(spread.get(name, "–")) for name in ("n", "p50", "p95", "max")]
            table.add_row(str(one["users"]), f"{one['pause']:g} s", kind, *cells, str(GOALS.get(kind, "–")))
    Terminal().print(table)
    Terminal().print_json(data={**found, "runs": [{k: v for k, v in one.items() if k != "pages"} for one in runs]})


if __name__ == "__main__":
    app()
