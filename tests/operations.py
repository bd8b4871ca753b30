"""What operations rests on, as data: the metrics, what alerts and panels ask of them, and the tables of the page.

`python -m tests.operations` writes the tables of docs/operations.md anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client import Counter, Gauge, Histogram

from shared import metrics

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "operations.md"
PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
DASHBOARDS: Final = ROOT / "deploy" / "grafana" / "dashboards"
RULES: Final = PROMETHEUS / "rules.yml"

_KINDS: Final[Mapping[type[object], str]] = {
    Counter: "counter",
    Gauge: "gauge",
    Histogram: "histogram",
    metrics.Total: "counter",
}
_ANYWHERE: Final = {"le", "job", "instance", "app"}
"""Labels that come from Prometheus and from its scrape configuration."""
_PROCESS: Final = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
_NAME: Final = re.compile(r"\b(?:makegood_[a-z_]+|process_[a-z_]+|up(?=\{))")
_SELECTOR: Final = re.compile(r"\{([^}]*)\}")
_GROUPING: Final = re.compile(r"\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)")


@dataclass(frozen=True)
class Metric:
    """One metric as `shared.metrics` defines it; `name` as Prometheus shows it, without the parts of a histogram."""

    constant: str
    name: str
    kind: str
    labels: tuple[str, ...]
    help: str

    @property
    def series(self) -> frozenset[str]:
        """The names under which it is stored."""
        if self.kind == "histogram":
            return frozenset(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return frozenset({self.name})


@dataclass(frozen=True)
class Asked:
    """A query of a panel, or an alert's."""

    where: str
    expr: str

    @property
    def names(self) -> frozenset[str]:
        return frozenset(_NAME.findall(_SELECTOR.sub("{}", self.expr)))

    @property
    def labels(self) -> frozenset[str]:
        in_selectors = (
            re.split(r"[=!]", one)[0].strip() for found in _SELECTOR.findall(self.expr) for one in _conditions(found)
        )
        in_groupings = (one.strip() for found in _GROUPING.findall(self.expr) for one in found.split(","))
        return frozenset(one for one in (*in_selectors, *in_groupings) if one)


def defined() -> list[Metric]:
    """Every metric, in the order of the module."""
    found = []
    for constant, value in vars(metrics).items():
        kind = _KINDS.get(type(value))
        if kind is None:
            continue
        if isinstance(value, metrics.Total):
            found.append(Metric(constant, value.name, kind, value.labelnames, value.documentation))
        else:
            name = value._name + ("_total" if kind == "counter" else "")
            found.append(Metric(constant, name, kind, tuple(value._labelnames), value._documentation))
    return found


def alerts() -> list[dict[str, Any]]:
    """The alerts of the rules, in their order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def dashboards() -> dict[str, dict[str, Any]]:
    """The dashboards by file name."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """A dashboard's panels without the headings of its rows."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def asked() -> Iterator[Asked]:
    """Every query there is."""
    for rule in alerts():
        yield Asked(f"alert {rule['alert']}", rule["expr"])
    for name, dashboard in dashboards().items():
        for panel in panels(dashboard):
            for target in panel["targets"]:
                yield Asked(f"{name}: {panel['title']}", target["expr"])


def unknown(query: Asked, known: Iterable[Metric]) -> list[str]:
    """Names and labels of a query that no metric has."""
    by_series = {series: metric for metric in known for series in metric.series}
    of_metrics = {label for name in query.names if name in by_series for label in by_series[name].labels}
    names = [name for name in query.names if name not in by_series and name not in _PROCESS]
    return sorted(names) + sorted(query.labels - of_metrics - _ANYWHERE)


def metrics_table() -> str:
    """The metrics as Markdown."""
    rows = [
        f"| `{one.name}` | {one.kind} | {' '.join(f'`{label}`' for label in one.labels)} | {one.help} |"
        for one in defined()
    ]
    return "\n".join(["| metric | kind | labels | |", "|---|---|---|---|", *rows])


def alerts_table() -> str:
    """The alerts as Markdown: what each means, and what to do."""
    rows = []
    for rule in alerts():
        means, what = (rule["annotations"][note].strip() for note in ("means", "do"))
        rows.append(f"| **{rule['alert']}**<br>{rule['labels']['severity']} | {means} | {what} |")
    return "\n".join(["| alert | what it means | what to do |", "|---|---|---|", *rows])


TABLES: Final = {"metrics": metrics_table, "alerts": alerts_table}


def written(page: str) -> str:
    """The page with its tables as they are now."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name}: from the source, see tests/operations.py -->\n", f"<!-- /{name} -->"
        before, found, rest = page.partition(begin)
        assert found, f"the page has no place for {name}"
        page = before + begin + table() + "\n" + end + rest.partition(end)[2]
    return page


def _conditions(selector: str) -> list[str]:
    """The conditions of a selector; commas within quotes do not part them."""
    return [one for one in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', selector) if one.strip()]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
