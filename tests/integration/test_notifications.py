"""What pages that are open are told of all streams, over server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from agent.types import EventFact, EventKind, Severity
from tests.alerts import alert_in, until_counted
from tests.broker import Broker
from tests.staged import RED, StagedStream
from tests.stored import event


async def messages(response: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """`(id, message)` of what is told."""
    number = ""
    async for line in response.aiter_lines():
        if line.startswith("id: "):
            number = line[4:]
        if line.startswith("data: "):
            yield number, json.loads(line[6:])


async def test_a_page_hears_of_alerts_and_of_what_it_missed(tmp_path: Path) -> None:
    quiet = {"kind": "browser", "name": "browser", "title": "$severity: $stream", "dedup_s": 30}
    with StagedStream(tmp_path, blocks=(RED,), tables={"sinks": [quiet]}) as scene:
        async with scene.server.client() as http, asyncio.timeout(30):
            async with http.stream("GET", "/v1/notifications") as response:
                assert response.headers["content-type"].startswith("text/event-stream")
                told = await alert_in(scene)
                number, message = await anext(messages(response))
            again = {"last-event-id": "0"}
            async with http.stream("GET", "/v1/notifications", headers=again) as response:
                assert await anext(messages(response)) == (number, message)
            listed = (await http.get("/v1/sinks")).json()["items"]
    assert (message["type"], message["data"]["stream"], message["title"]) == ("alert", "cam", "warn: file")
    assert message["data"]["event"]["id"] == told["id"]
    (browser,) = listed
    assert (browser["kind"], browser["delivered"], "error" in browser) == ("browser", 1, False)


async def test_an_open_page_does_not_hold_up_the_end_of_the_server(tmp_path: Path) -> None:
    with StagedStream(tmp_path) as scene:
        async with scene.server.client() as http, http.stream("GET", "/v1/notifications") as response:
            lines = response.aiter_lines()
            assert await anext(lines) == "retry: 2000"
            scene.pause()
            ending = asyncio.create_task(asyncio.to_thread(scene.server.stop))
            async with asyncio.timeout(20):
                assert [line async for line in lines if line] == []
            await ending


async def test_a_camera_that_goes_away_and_comes_back_is_told_like_an_alert(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        sinks = [{"kind": "mqtt", "name": "home", "url": broker.url, "events": ["offline", "online"], "retry_s": 0.1}]
        with StagedStream(tmp_path, blocks=(RED,), tables={"sinks": sinks}) as scene:
            async with broker.heard("onlooker/cam/#") as heard:
                await heard.until(lambda h: "onlooker/cam/state" in h.newest)
                await alert_in(scene)
                for kind in (EventKind.OFFLINE, EventKind.ONLINE):
                    fact = EventFact(event(f"The camera is {kind.value}.", kind=kind, severity=Severity.WARN))

                    async def publish(fact: EventFact = fact) -> None:
                        scene.server.state.hub.get("cam").facts.publish(fact)

                    scene.server.call(publish)
                await until_counted(scene, delivered=2)
                await heard.until(lambda h: sum(topic == "onlooker/cam/event" for topic, _ in h.messages) == 2)
                told = [json.loads(body) for topic, body in heard.messages if topic == "onlooker/cam/event"]
    assert [message["data"]["event"]["kind"] for message in told] == ["offline", "online"]
    assert "onlooker/cam/alert" not in heard.newest
