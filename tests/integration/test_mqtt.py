"""Alerts and streams over a real MQTT broker: what an independent client hears, and faults of the line."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.alerts import alert_in, until_counted
from tests.broker import Broker, Heard
from tests.cameras.line import Line
from tests.staged import BLUE, RED, StagedStream
from tests.stored import health
from web.tls import ensure_certificate

CONFIG = "homeassistant/device/onlooker_cam/config"
JPEG = b"\xff\xd8\xff"


def sinks(url: str, **values: Any) -> dict[str, Any]:
    return {"sinks": [{"kind": "mqtt", "name": "home", "url": url, "retry_s": 0.1, "picture_s": 0.5, **values}]}


async def test_an_alert_and_the_stream_are_told_over_tls_with_a_login(tmp_path: Path) -> None:
    certificate = ensure_certificate(tmp_path / "tls", ["localhost"], ["127.0.0.1"])
    (tmp_path / "password").write_text("hunter2\n")
    with Broker(tmp_path / "broker", login=("onlooker", "hunter2"), certificate=certificate) as broker:
        values = {"username": "onlooker", "password_file": str(tmp_path / "password"), "ca_file": str(certificate[0])}
        with StagedStream(tmp_path, blocks=(RED,), tables=sinks(broker.url, **values)) as scene:
            async with broker.heard("onlooker/#") as heard:
                told = await alert_in(scene)
                await until_counted(scene, delivered=1)
                await heard.until(lambda h: "onlooker/cam/alert" in h.newest and counts(h).get("person") == 1)
                await heard.until(lambda h: f"onlooker/cam/watch/{told['watch_id']}" in h.newest)
                await heard.until(lambda h: "onlooker/cam/picture" in h.newest)
            async with scene.server.client() as http:
                shown = (await http.get("/v1/sinks")).text + (await http.get("/v1/config")).text
        message = heard.json("onlooker/cam/event")
        assert (message["type"], message["data"]["event"]["id"]) == ("alert", told["id"])
        assert message["title"].startswith("file: a person appears")
        assert heard.newest["onlooker/status"] == b"online"
        assert heard.newest["onlooker/cam/alert"] == heard.newest[f"onlooker/cam/watch/{told['watch_id']}"] == b"ON"
        assert heard.newest["onlooker/cam/thumbnail"].startswith(JPEG)
        assert heard.newest["onlooker/cam/picture"].startswith(JPEG)
        topics = [topic for topic, _ in heard.messages]
        assert topics.index("onlooker/cam/thumbnail") < topics.index("onlooker/cam/event")
        assert "hunter2" not in shown
        await check_retained(broker, told["watch_id"])


async def check_retained(broker: Broker, watch_id: str) -> None:
    """What a client finds that comes later, after the server has ended: the device is there, and not available."""
    async with broker.heard("onlooker/#", "homeassistant/#") as later:
        config = await later.until(lambda h: CONFIG in h.newest and h.json(CONFIG))
        await later.until(lambda h: h.newest.get("onlooker/status") == b"offline")
    assert config["device"]["name"] == "file"
    assert config["availability"] == [{"topic": "onlooker/status"}]
    parts = config["components"]
    platforms = {name: part["platform"] for name, part in parts.items()}
    watch = f"watch_{watch_id[:12]}"
    assert platforms == {
        "connection": "binary_sensor", "picture": "camera", "thumbnail": "image", "alert": "binary_sensor",
        watch: "binary_sensor", "count_person": "sensor", "count_red_cup": "sensor",
    }  # fmt: skip
    assert parts[watch]["state_topic"] == f"onlooker/cam/watch/{watch_id}"
    assert parts["count_person"]["value_template"] == "{{ value_json.counts.person | default(0) }}"
    assert len({part["unique_id"] for part in parts.values()}) == len(parts)
    assert not any(topic in later.newest for topic in ("onlooker/cam/event", "onlooker/cam/alert"))


async def test_a_rule_of_a_zone_has_a_sensor_of_its_own(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    with broker, StagedStream(tmp_path, blocks=(RED,), tables=sinks(broker.url)) as scene:
        async with scene.server.client() as http, broker.heard("onlooker/#", "homeassistant/#") as heard:
            await heard.until(lambda h: "onlooker/cam/state" in h.newest)
            zone = {"name": "Yard", "kind": "zone", "points": [[0, 0], [1, 0], [1, 1], [0, 1]]}
            rules = [{"kind": "count", "label": "person", "op": ">=", "value": 1}]
            made = (await http.post("/v1/streams/cam/regions", json={**zone, "rules": rules})).json()
            rule = made["rules"][0]["id"]
            await heard.until(lambda h: CONFIG in h.newest and f"rule_{rule[:12]}" in h.json(CONFIG)["components"])
            scene.stage.blocks = [RED, BLUE]
            await heard.until(lambda h: h.newest.get(f"onlooker/cam/rule/{rule}") == b"ON")
            message = heard.json("onlooker/cam/event")
            assert heard.json("onlooker/cam/state")["connected"]
            scene.pause()
            await heard.until(lambda h: not h.json("onlooker/cam/state")["connected"])
    assert set(counts(heard).values()) == {0}, "nobody is in a picture that does not come"
    sensor = heard.json(CONFIG)["components"][f"rule_{rule[:12]}"]
    assert sensor["name"] == "at least 1 person in Yard"
    assert sensor["state_topic"] == f"onlooker/cam/rule/{rule}"
    assert message["data"]["event"]["rule_id"] == rule


async def test_what_is_told_while_the_broker_is_away_arrives_when_it_is_back(tmp_path: Path) -> None:
    with (
        Broker(tmp_path / "broker") as broker,
        Line(broker.port) as line,
        StagedStream(tmp_path, blocks=(RED,), tables=sinks(f"mqtt://localhost:{line.port}", timeout_s=0.5)) as scene,
    ):
        async with broker.heard("onlooker/status") as heard:
            await heard.until(lambda h: h.newest.get("onlooker/status") == b"online")
        broker.kill()
        line.cut()
        told = await alert_in(scene)
        async with scene.server.client() as http, asyncio.timeout(15):
            while (check := await health(http, "sink home"))["ok"]:
                await asyncio.sleep(0.05)
        broker.start()
        # An event is told once: whoever is to hear it must be there before it comes.
        async with broker.heard("onlooker/#", "homeassistant/#") as heard:
            line.restore()
            await heard.until(lambda h: "onlooker/cam/event" in h.newest, within_s=30)
            await heard.until(lambda h: CONFIG in h.newest and "onlooker/cam/state" in h.newest)
        (sink,) = await until_counted(scene, delivered=1, dead=0, waiting=0)
    assert heard.json("onlooker/cam/event")["data"]["event"]["id"] == told["id"]
    assert "cannot be reached" in check["message"]
    assert "error" not in sink


async def test_the_last_will_says_that_the_server_is_gone(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker, Line(broker.port) as line:
        tables = sinks(f"mqtt://localhost:{line.port}")
        with StagedStream(tmp_path, blocks=(), tables=tables):
            async with broker.heard("onlooker/status") as heard:
                await heard.until(lambda h: h.newest.get("onlooker/status") == b"online")
                line.cut()
                await heard.until(lambda h: h.newest["onlooker/status"] == b"offline")
                line.restore()
                await heard.until(lambda h: h.newest["onlooker/status"] == b"online", within_s=30)


async def test_a_refused_login_is_said_without_the_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    (tmp_path / "password").write_text("wrong-hunter2")
    with Broker(tmp_path / "broker", login=("onlooker", "right")) as broker:
        values = {"username": "onlooker", "password_file": str(tmp_path / "password"), "timeout_s": 1}
        with StagedStream(tmp_path, blocks=(), tables=sinks(broker.url, **values)) as scene:
            async with scene.server.client() as http, asyncio.timeout(15):
                while "login" not in (check := await health(http, "sink home"))["message"]:
                    await asyncio.sleep(0.05)
                tried = (await http.post("/v1/sinks/home/test")).json()
                shown = (await http.get("/v1/sinks")).text
    assert not check["ok"]
    assert (tried["delivered"], tried["error"]) == (False, "The broker refused the login.")
    assert "The broker refused the login." in caplog.text
    assert "hunter2" not in shown + caplog.text + json.dumps([check, tried])


async def test_a_stream_that_is_removed_leaves_nothing_behind(tmp_path: Path) -> None:
    """Also one that was removed while this server was off, but nothing of another program's."""
    gone = {
        "availability": [{"topic": "onlooker/status"}],
        "components": {"connection": {"platform": "binary_sensor", "state_topic": "onlooker/old-cam/state"}},
    }
    other = {"availability": [{"topic": "other/status"}], "components": {}}
    with Broker(tmp_path / "broker") as broker:
        async with aiomqtt.Client("localhost", broker.port) as before:
            await before.publish("homeassistant/device/onlooker_old_cam/config", json.dumps(gone), qos=1, retain=True)
            await before.publish("homeassistant/device/onlooker_else/config", json.dumps(other), qos=1, retain=True)
            await before.publish("onlooker/old-cam/picture", b"old", qos=1, retain=True)
        with StagedStream(tmp_path, tables=sinks(broker.url)) as scene:
            mqtt = next(found.sink for found in scene.server.state.recording.sinks.states() if found.name == "home")
            mqtt._settled_s = 0.0  # type: ignore[attr-defined]
            await watch_and_forget(scene, broker)
            async with broker.heard("onlooker/#", "homeassistant/#") as heard:
                await heard.until(lambda h: CONFIG in h.newest)
                async with scene.server.client() as http:
                    await http.delete("/v1/streams/cam")
                await heard.until(lambda h: h.newest[CONFIG] == h.newest.get("onlooker/cam/thumbnail") == b"")
        async with broker.heard("onlooker/#", "homeassistant/#") as later:
            await later.until(lambda h: "onlooker/status" in h.newest)
            await later.until(lambda h: "homeassistant/device/onlooker_else/config" in h.newest)
    assert set(later.newest) == {"onlooker/status", "homeassistant/device/onlooker_else/config"}


async def watch_and_forget(scene: StagedStream, broker: Broker) -> None:
    """A watch that is removed takes its sensor with it, by name and then by absence."""
    async with scene.server.client() as http, broker.heard(CONFIG) as heard:
        made = (await http.post("/v1/streams/cam/watches", json={"condition": "a person appears"})).json()
        name = f"watch_{made['id'][:12]}"
        await heard.until(lambda h: CONFIG in h.newest and name in h.json(CONFIG)["components"])
        await http.delete(f"/v1/streams/cam/watches/{made['id']}")
        await heard.until(lambda h: name not in h.json(CONFIG)["components"])
    configs = [json.loads(payload) for _, payload in heard.messages]
    assert configs[-2]["components"][name] == {"platform": "binary_sensor"}


def counts(heard: Heard) -> dict[str, int]:
    found: dict[str, int] = heard.json("onlooker/cam/state")["counts"] if "onlooker/cam/state" in heard.newest else {}
    return found
