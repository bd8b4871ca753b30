"""Metrics, alerts, dashboards fit together: what is defined is used, what is asked for is there, no ids in labels."""

import itertools
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shared import metrics
from tests.operations import PAGE, ROOT, Asked, Metric, alerts, asked, dashboards, defined, panels, unknown, written

METRICS = defined()
LABELS = {
    "service": "five",
    "topic": "those of the contract",
    "outcome": "words of the code",
    "merchant": "those with a policy, and other",
    "decided_by": "policy, staff",
    "currency": "ISO 4217",
    "template": "of letters",
    "verdict": "four",
    "stage": "seven",
    "quantile": "two",
    "state": "of claims",
}
"""Every label there may be, and why its values are few."""
UNITS = ("_total", "_seconds", "_bytes", "_records", "_events")
COUNTS = re.compile(r"makegood_(claims|dead_letters|lanes|messages|refunds)(_[a-z]+)?")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_named_and_explained(metric: Metric) -> None:
    assert metric.name.startswith("makegood_")
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert metric.name.endswith(UNITS) or COUNTS.fullmatch(metric.name), (
        "the name ends in a unit, or says what is counted"
    )
    assert len(metric.help) > 20
    assert metric.help.endswith(".")
    assert set(metric.labels) <= LABELS.keys(), "a label has few values, and is never an id"


def test_every_metric_is_set_by_the_services() -> None:
    sources = [file.read_text() for room in ("shared", "services") for file in (ROOT / room).rglob("*.py")]
    assert [m.name for m in METRICS if not any(f"metrics.{m.constant}" in text for text in sources)] == []


def test_every_metric_is_on_a_dashboard() -> None:
    shown = {name for query in asked() if not query.where.startswith("alert") for name in query.names}
    assert [metric.name for metric in METRICS if not metric.series & shown] == []


@pytest.mark.parametrize("query", list(asked()), ids=lambda query: query.where)
def test_alerts_and_panels_ask_for_what_there_is(query: Asked) -> None:
    assert query.names
    assert unknown(query, METRICS) == []


@pytest.mark.parametrize(
    ("expr", "missing"),
    [
        ("sum(makegood_lag_record)", ["makegood_lag_record"]),
        ("makegood_batch_records > 1", ["makegood_batch_records"]),
        ("sum by (claim_id) (makegood_lag_records)", ["claim_id"]),
        ('makegood_lag_records{service="a,b", lane=~"1"} > 0', ["lane"]),
        ('sum by (service, le) (rate(makegood_batch_records_bucket{service!="x"}[5m]))', []),
    ],
)
def test_what_there_is_not_is_seen(expr: str, missing: list[str]) -> None:
    assert unknown(Asked("a test", expr), METRICS) == missing


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert {"summary", "means", "do"} == rule["annotations"].keys()
    assert all(len(text) > 20 for text in rule["annotations"].values())


@pytest.mark.parametrize("name", ["claims", "pipeline"])
def test_dashboards_are_whole(name: str) -> None:
    dashboard = dashboards()[name]
    datasources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    uids = {one["uid"] for one in datasources["datasources"]}
    everything = dashboard["panels"]
    assert dashboard["uid"] == f"makegood-{name}"
    assert len({panel["id"] for panel in everything}) == len(everything)
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["description"]
        assert {target["datasource"]["uid"] for target in panel["targets"]} <= uids
    for one, other in itertools.combinations([panel["gridPos"] for panel in everything], 2):
        apart_across = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_down = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_across or apart_down, "two panels lie over each other"
        assert one["x"] + one["w"] <= 24


def test_grafana_finds_the_dashboards() -> None:
    provider = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/makegood.yml").read_text())["providers"][
        0
    ]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    mounted = [volume.split(":") for volume in compose["services"]["grafana"]["volumes"]]
    assert ["./deploy/grafana/dashboards", provider["options"]["path"], "ro"] in mounted
    assert all(Path(ROOT / source).exists() for source, *_ in mounted if source.startswith("."))


def test_what_an_alert_watches_rises_from_zero() -> None:
    """A counter that first shows with its sixth failure shows no rise."""
    program = """
from prometheus_client import REGISTRY
import services.notification.outcomes
from services.refund_calculation.handlers import RefundCalculation
from shared.policy.load import load_book
service = RefundCalculation(load_book)
service.show_from_zero()
for family in REGISTRY.collect():
    for sample in family.samples:
        if sample.name.startswith("makegood_") and sample.name.endswith("_total"):
            print(sample.name, *sorted(sample.labels.values()), sample.value)
"""
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    lines = set(shown.stdout.splitlines())
    assert {
        "makegood_notifications_total decided failed 0.0",
        "makegood_notifications_total received sent 0.0",
        "makegood_refunds_total IRR failed 0.0",
        "makegood_refunds_total VND instructed 0.0",
        "makegood_refunds_instructed_minor_units_total VND 0.0",
        "makegood_decisions_total hakago policy refund 0.0",
        "makegood_decisions_total cancelled other staff 0.0",
    } <= lines


def test_a_total_shows_what_it_was_given_last() -> None:
    total = metrics.CLAIMS_REACHED
    total.show({("received",): 3, ("paid",): 1})
    total.show({("received",): 4})
    (family,) = total.collect()
    assert [(sample.name, sample.labels, sample.value) for sample in family.samples] == [
        ("makegood_claims_reached_total", {"stage": "received"}, 4)
    ]


def test_the_page_has_every_metric_and_alert() -> None:
    page = PAGE.read_text()
    assert page == written(page), "write the tables anew: python -m tests.operations"
