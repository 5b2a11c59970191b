"""Alerts of a staged stream, and what a server says of those that it delivers."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.server import receive
from tests.staged import BLUE, RED, StagedStream


async def alert_in(scene: StagedStream) -> dict[str, Any]:
    """Have a person appear, and wait for the alert."""
    async with scene.server.live("cam") as live, scene.server.client() as http:
        await receive(live, "tracks")
        await http.post("/v1/streams/cam/watches", json={"condition": "a person appears", "severity": "warn"})
        scene.stage.blocks = [RED, BLUE]
        async with asyncio.timeout(15):
            while (told := (await receive(live, "event"))["event"])["kind"] != "alert":
                pass
    return told


async def until_counted(scene: StagedStream, **wanted: int) -> list[dict[str, Any]]:
    """The sinks, but that for browsers, once their counts come to what is `wanted`."""
    async with scene.server.client() as http, asyncio.timeout(15):
        while True:
            listed: list[dict[str, Any]] = (await http.get("/v1/sinks")).json()["items"]
            items = [item for item in listed if item["kind"] != "browser"]
            if all(sum(item[name] for item in items) == count for name, count in wanted.items()):
                return items
            await asyncio.sleep(0.05)
