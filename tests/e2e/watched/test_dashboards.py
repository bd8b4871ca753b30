"""A real Prometheus scrapes the watched pipeline: the alerts load, and every panel has something to show."""

import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack.ports import Ports
from tests.e2e.watched.test_operations import ends_of_all_kinds
from tests.operations import PROMETHEUS, alerts, dashboards, panels
from tests.stack import Stack, eventually


class Prometheus:
    """Its HTTP interface."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, what: str, **parameters: str) -> dict[str, Any]:
        """The data of an answer; {} while it does not answer."""
        url = f"{self._address}/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: dict[str, Any] = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error
        except OSError:
            return {}
        data: dict[str, Any] = found["data"]
        return data

    def shows(self, expr: str) -> bool:
        """Whether a panel's query has a result."""
        return bool(self.ask("query", query=expr.replace("$__rate_interval", "1m")).get("result"))


@pytest.fixture
def prometheus(watched: Stack, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus with the project's rules that scrapes every process of the pipeline once a second."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    targets = [
        {"targets": [f"127.0.0.1:{replica.state.health}"], "labels": {"app": replica.spec.name}}
        for replica in watched.supervisor.replicas
    ]
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(PROMETHEUS / "rules.yml")]
    config["scrape_configs"] = [{"job_name": job["job_name"], "static_configs": targets}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = Ports(tmp_path / "ports.json").take("prometheus")
    with (tmp_path / "prometheus.log").open("wb") as log:
        running = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield Prometheus(port)
        finally:
            running.terminate()
            running.wait(20)


async def test_every_panel_has_something_to_show(watched: Stack, prometheus: Prometheus, unique: str) -> None:
    await eventually(lambda: prometheus.ask("targets").get("activeTargets"), 60, every=0.5, why="Prometheus answers")
    await ends_of_all_kinds(watched, unique)
    queries = {
        f"{name}: {panel['title']} {target['refId']}": target["expr"]
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
    }
    empty = dict(queries)

    def all_show() -> bool:
        for where in [where for where, expr in empty.items() if prometheus.shows(expr)]:
            del empty[where]
        return not empty

    try:
        await eventually(all_show, 60, every=1, why="every panel shows something")
    except AssertionError as error:
        raise AssertionError(f"nothing to show: {empty}") from error

    rules = [rule for group in prometheus.ask("rules", type="alert")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} == {rule["alert"] for rule in alerts()}
    assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
    up = prometheus.ask("query", query='up{job="makegood"}')["result"]
    assert sorted(one["metric"]["app"] for one in up) == sorted(one.spec.name for one in watched.supervisor.replicas)
    assert {one["value"][1] for one in up} == {"1"}
