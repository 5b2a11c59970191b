"""What the agent costs: tracking while a model answers, and our own part of a question's way to the model.

    python -m tests.bench.agent --seconds 10 --runs 5

A language model server in another process streams 20 tokens a second. The light engine tracks people in the packaged
clip, published at 30 pictures a second, with the model idle and busy in turn (ABBA); then questions are asked of a
stream whose engine costs nothing, and the time until the request is at the server is taken on the machine's one
monotonic clock.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.live import PEOPLE, Client, connected, publishing
from tests.bench.report import spread, table, write
from tests.scripted_vlm import ScriptedVlm, scripted_vlm
from tests.serve import serving_process

TOKENS_A_SECOND = 20
SETTLE_S = 6.0
QUESTIONS = 40


async def tracked(client: Client, seconds: float) -> float:
    """Annotated pictures a second over `seconds`."""
    before, started_s = len(client.updates), time.monotonic()
    await asyncio.sleep(seconds)
    return (len(client.updates) - before) / (time.monotonic() - started_s)


async def asked(client: Client, vlm: ScriptedVlm, seconds: float) -> None:
    """Have the model talk for longer than `seconds`."""
    count = int((seconds + 10) * TOKENS_A_SECOND)
    vlm.script({"tokens": ["word "] * count, "every_s": 1 / TOKENS_A_SECOND})
    await client.ask(type="ask", ref="q", text="Tell me all that you see.")
    async with asyncio.timeout(20):
        while not vlm.requests or vlm.requests[-1]["sent"] < 5:
            await asyncio.sleep(0.05)


async def stopped(client: Client, vlm: ScriptedVlm) -> None:
    await client.ask(type="ask.stop", ref="s")
    async with asyncio.timeout(20):
        while not vlm.requests[-1]["gone"]:
            await asyncio.sleep(0.05)
    vlm.forget()


async def rates(url: str, vlm: ScriptedVlm, seconds: float, runs: int) -> dict[str, Any]:
    """Track rates with the model idle (A) and busy (B), in the order A B B A …"""
    found: dict[str, list[float]] = {"idle": [], "busy": []}
    async with connected(url) as client:
        await client.ask(type="prompt.add", ref="p", kind="text", text="person")
        await asyncio.sleep(SETTLE_S)
        for run in range(runs):
            for kind in ("idle", "busy") if run % 2 == 0 else ("busy", "idle"):
                if kind == "busy":
                    await asked(client, vlm, seconds)
                found[kind].append(await tracked(client, seconds))
                if kind == "busy":
                    await stopped(client, vlm)
        objects = len([track for track in client.newest["tracks"] if track["state"] == "live"])
    idle, busy = median(found["idle"]), median(found["busy"])
    return {
        "what": "pictures tracked a second", "objects": objects, "idle_p50": round(idle, 2), "busy_p50": round(busy, 2),
        "busy_of_idle": round(busy / idle, 3), "runs": runs,
    }  # fmt: skip


async def overheads(url: str, vlm: ScriptedVlm) -> dict[str, Any]:
    """Milliseconds from the question's leaving its client to the request's arrival at the model server."""
    found = []
    async with connected(url) as client:
        await client.until(lambda: client.updates)
        for _ in range(QUESTIONS):
            vlm.forget()
            started_s = time.monotonic()
            await client.ask(type="ask", ref="q", text="What is there?")
            async with asyncio.timeout(10):
                while not vlm.requests:
                    await asyncio.sleep(0.02)
            found.append((vlm.requests[0]["at_s"] - started_s) * 1000)
            await asyncio.sleep(0.2)
    return {"what": "question to request, ms", **spread(found)}


async def until_found(url: str) -> None:
    """Until the server has probed the model."""
    async with connected(url) as client:
        await client.until(lambda: client.status.get("vlm", {}).get("name") is not None, 60)


def measure(engine: str, seconds: float, runs: int) -> dict[str, Any]:
    with scripted_vlm() as vlm, serving_process(engine, vlm=vlm.url) as (url, _), publishing(url, PEOPLE, 900):
        asyncio.run(until_found(url))
        vlm.forget()
        return asyncio.run(rates(url, vlm, seconds, runs) if engine == "light" else overheads(url, vlm))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure("light", options.seconds, options.runs), measure("barcode", options.seconds, options.runs)]
    for row in rows:
        table(row["what"], [{key: value for key, value in row.items() if key != "what"}])
    print(f"\n{write('agent', rows, options.json)}")


if __name__ == "__main__":
    main()
