"""What other programs watch Onlooker by: metrics, the dashboard and the alert rules for them, and health."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.alerts import alert_in, until_counted
from tests.barcode import BarcodeEngine
from tests.server import RunningServer, receive
from tests.staged import RED, StagedStream
from web import health as health_module

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\b(onlooker_\w+|process_\w+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(=~|=)\s*\"([^\"]*)\"")
OF_PROMETHEUS = {"instance", "job"}


def dashboard_queries() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "grafana" / "onlooker.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["definition"]


def rule_queries() -> Iterator[str]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "onlooker-alerts.yml").read_text())["groups"]
    for group in groups:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("info", "warning", "critical")
            assert rule["annotations"]["summary"]
            yield rule["expr"]


async def live_metrics(folder: Path) -> dict[str, list[dict[str, str]]]:
    """The labels of all samples by metric, once an alert was delivered and a picture was dropped."""
    with StagedStream(folder, blocks=(RED,), tables={"sinks": [{"url": "http://127.0.0.1:9/", "retries": 0}]}) as scene:
        await alert_in(scene)
        await until_counted(scene, dead=1)
        scene.server.state.hub.get("cam").dropped("decode")
        async with scene.server.client() as http:
            text = (await http.get("/metrics")).text
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


async def test_all_that_the_dashboard_and_the_rules_ask_for_is_told(tmp_path: Path) -> None:
    told = await live_metrics(tmp_path)
    queries = [*dashboard_queries(), *rule_queries()]
    assert len(queries) > 20
    for query in queries:
        asked = NAME.findall(query)
        assert asked or "up{" in query, query
        for name, matchers in asked:
            assert name in told, f"{name} of {query}"
            for label, how, value in LABEL.findall(matchers):
                if label in OF_PROMETHEUS or value.startswith("$"):
                    continue
                values = {labels.get(label) for labels in told[name]}
                met = value in values if how == "=" else any(re.fullmatch(value, one or "") for one in values)
                assert met, f"{label}={value} of {query}: {values}"


async def test_the_metrics_follow_prometheus_conventions(tmp_path: Path) -> None:
    told = await live_metrics(tmp_path)
    for name, samples in told.items():
        assert name.startswith(("onlooker_", "process_"))
        assert not name.endswith(("_ms", "_milliseconds", "_percent"))
        assert len(samples) < 20, f"{name} has a sample for each of too many things"
        assert all(set(labels) <= {"stream", "state", "side", "stage", "quantile", "sink", "kind", "end", "version",
                                   "engine"} for labels in samples)  # fmt: skip


async def test_what_a_feed_costs_and_how_it_is_are_in_its_stats(tmp_path: Path) -> None:
    with StagedStream(tmp_path) as scene:
        async with scene.server.live("cam") as live, scene.server.client() as http:
            await receive(live, "tracks")
            stats = (await http.get("/v1/streams/cam/stats")).json()
    assert stats["received"] >= stats["tracked"] >= 1
    assert (stats["state"], stats["reconnects"], stats["policy"]) == ("live", 0, [])
    assert 0 <= stats["last_frame_age_s"] < 60


class StuckEngine(BarcodeEngine):
    """Waits in its first step until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck, self.free = threading.Event(), threading.Event()

    def step(self, batch: Any) -> Any:
        self.stuck.set()
        self.free.wait(60)
        return super().step(batch)


async def test_health_is_for_load_balancers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = StuckEngine()
    with RunningServer(tmp_path, engine=engine) as server:
        async with server.client() as http:

            async def answers() -> dict[str, int]:
                paths = ("/health", "/health/ready", "/health/live")
                return {path: (await http.get(path)).status_code for path in paths}

            assert await answers() == {"/health": 200, "/health/ready": 200, "/health/live": 200}
            assert [(await http.head(path)).status_code for path in ("/health", "/health/ready", "/health/live")] == [
                200
            ] * 3
            try:
                await asyncio.to_thread(server.open_stream("cam").push, 2)
                assert await asyncio.to_thread(engine.stuck.wait, 10)
                assert (await answers())["/health"] == 200, "a long step is no fault yet"
                monkeypatch.setattr(health_module, "STUCK_S", 0.0)
                assert await answers() == {"/health": 503, "/health/ready": 503, "/health/live": 200}
                told = (await http.get("/health")).json()
            finally:
                engine.free.set()
    assert told["status"] == "unavailable"
    assert "at one step" in told["checks"][0]["message"]


async def test_health_off_loopback_says_no_more_than_it_must(tmp_path: Path) -> None:
    with RunningServer(tmp_path, {"server": {"host": "0.0.0.0"}}, bind="127.0.0.1") as server:
        async with server.client() as http:
            paths = ("/health", "/health/ready", "/health/live")
            bodies = [(await http.get(path)).json() for path in paths]
            metrics = await http.get("/metrics")
    assert [set(body) for body in bodies] == [{"status"}] * 3
    assert metrics.status_code == 401
