"""The measurement: the whole server as it is, cameras that cost nothing, and clients on the other end."""

from __future__ import annotations

import asyncio
import math
import os
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

from stream.config import Config
from stream.engines.base import Engine
from stream.errors import EngineError, OnlookerError
from stream.prompts import PromptDraft
from stream.session import StreamSession
from stream.stages import Timed
from stream.types import PromptKind, PromptState
from web.app import create_app
from web.bench.clip import Clip, ClipCamera
from web.bench.listener import Arrival, Listener
from web.bench.result import Json, in_order, percentiles
from web.bench.screen import Screen
from web.memory import resident_bytes
from web.server import make_server, open_sockets
from web.state import State

PICTURE_S = 20.0
ANSWER_S = 30.0
BOX_SHARE = 0.6
"""Of a cell of the grid that the objects are pointed at on."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured at once: so many streams of the clip, each with so many objects that were pointed at."""

    streams: int
    objects: int
    clip: Clip


def measure(
    config: Config, cases: Sequence[Case], *, seconds: float, warm_up_s: float, engine: Engine | None = None,
    told: Callable[[Json], None] = lambda case: None, draw: bool = False,
) -> Json:  # fmt: skip
    """Everything of a result but the machine: engine, decoder, and the cases one after the other, each told when it is
    done. The server is the product's own on a free port of the loopback; what it stores is thrown away. `engine` is for
    those who have loaded one; with `draw` Chromium looks at the first stream. Raises `OnlookerError`."""
    with _nothing_kept():
        return asyncio.run(_measured(config, cases, seconds, warm_up_s, engine, told, draw))


@contextmanager
def _nothing_kept() -> Iterator[None]:
    before = os.environ.get("ONLOOKER_DATA_DIR")
    with tempfile.TemporaryDirectory(prefix="onlooker-bench-") as folder:
        os.environ["ONLOOKER_DATA_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["ONLOOKER_DATA_DIR"]
            else:
                os.environ["ONLOOKER_DATA_DIR"] = before


async def _measured(
    config: Config, cases: Sequence[Case], seconds: float, warm_up_s: float, engine: Engine | None,
    told: Callable[[Json], None], draw: bool,
) -> Json:  # fmt: skip
    most = max(case.streams for case in cases)
    sources = config.sources.model_copy(update={"max_streams": max(config.sources.max_streams, most)})
    server_config = config.server.model_copy(update={"host": "127.0.0.1", "tls_cert": None, "tls_key": None})
    config = config.model_copy(update={"sources": sources, "server": server_config, "feeds": ()})
    app = create_app(config, engine)
    sockets = open_sockets("127.0.0.1", 0)
    server = make_server(app)
    serving = asyncio.create_task(server.serve(sockets=sockets))
    try:
        await _started(server, serving, app)
        state: State = app.state.onlooker
        port: int = sockets[0].getsockname()[1]
        running = state.hub.engine
        if isinstance(running, Timed):
            await state.hub.run_on_engine(lambda: running.measure(True))
        found = []
        for case in cases:
            found.append(await _one(state, port, case, seconds, warm_up_s, draw))
            told(found[-1])
        hardware = state.hub.hardware
        decoder = "software" if hardware is None else f"{hardware.name}, refused: {dict(hardware.refused)}"
        return {"engine": {"name": running.name, "device": running.device}, "decoder": decoder, "cases": found}
    finally:
        server.should_exit = True
        await serving
        for sock in sockets:
            sock.close()


async def _started(server: Any, serving: asyncio.Task[None], app: Any) -> None:
    while not server.started:
        if serving.done() or server.should_exit:
            error = getattr(app.state, "startup_error", None)
            raise error if isinstance(error, OnlookerError) else EngineError("The server did not start.")
        await asyncio.sleep(0.02)


async def _one(state: State, port: int, case: Case, seconds: float, warm_up_s: float, draw: bool) -> Json:
    cameras = [ClipCamera(case.clip) for _ in range(case.streams)]
    names = [f"bench-{number}" for number in range(case.streams)]
    sessions = [await state.hub.open(camera, stream_id=name) for camera, name in zip(cameras, names, strict=True)]
    try:
        for session in sessions:
            await _pointed_at(session, case.objects)
        async with _screen(f"http://127.0.0.1:{port}/#stream/{names[0]}" if draw else None) as screen:
            with Listener(port, names) as listener:
                await asyncio.sleep(warm_up_s)
                first, before = len(listener.arrivals), _drops(sessions)
                await asyncio.sleep(seconds)
                arrivals, drops = listener.arrivals[first:], _drops(sessions) - before
                policy = list(dict.fromkeys(rule for session in sessions for rule in session.status().policy))
            drawn_s = await asyncio.to_thread(screen.drawn_s) if screen else {}
    finally:
        for name in names:
            await state.hub.close(name)
    clip = case.clip
    stages = _stages(arrivals, dict(zip(names, cameras, strict=True)), {names[0]: drawn_s})
    return {
        "streams": case.streams, "objects": case.objects, "width": clip.width, "height": clip.height, "fps": clip.fps,
        "codec": clip.codec, "seconds": seconds, "stages": stages,
        "tracked_fps": round(len(arrivals) / seconds / case.streams, 2),
        "followed": round(sum(one.tracks for one in arrivals) / max(1, len(arrivals)), 2),
        "drops": dict(drops), "rss_mb": _rss_mb(), "gpu_mb": _gpu_mb(), "threads": threading.active_count(),
        "policy": policy,
    }  # fmt: skip


@asynccontextmanager
async def _screen(url: str | None) -> AsyncIterator[Screen | None]:
    """A browser at this address, once it shows something."""
    if url is None:
        yield None
        return
    screen = await asyncio.to_thread(Screen(url).__enter__)
    try:
        until_s = time.monotonic() + PICTURE_S
        while not await asyncio.to_thread(screen.drawn_s) and time.monotonic() < until_s:  # noqa: ASYNC110 - a browser
            await asyncio.sleep(0.1)
        yield screen
    finally:
        await asyncio.to_thread(screen.__exit__, None, None, None)


def _drops(sessions: Sequence[StreamSession]) -> Counter[str]:
    return sum((Counter(session.status().drops) for session in sessions), Counter())


async def _pointed_at(session: StreamSession, objects: int) -> None:
    """Drag boxes around places on a grid, as soon as there is a picture, and wait until all are answered."""
    await _until(lambda: session.latest is not None, PICTURE_S)
    columns = max(1, math.ceil(math.sqrt(objects)))
    for number in range(objects):
        x, y = (number % columns + 0.5) / columns, (number // columns + 0.5) / max(1, math.ceil(objects / columns))
        half = BOX_SHARE / columns / 2
        box = max(0.0, x - half), max(0.0, y - half), min(1.0, x + half), min(1.0, y + half)
        await session.add_prompt(PromptDraft(PromptKind.BOX, box_xyxy=box))
    await _until(lambda: all(fact.state is not PromptState.PENDING for fact in session.prompts), ANSWER_S)


async def _until(check: Callable[[], bool], seconds: float) -> None:
    """Wait for it, but not for ever: a machine that is too slow is measured as it is."""
    try:
        async with asyncio.timeout(seconds):
            while not check():  # noqa: ASYNC110 - what other threads do
                await asyncio.sleep(0.02)
    except TimeoutError:
        return


def _stages(arrivals: Sequence[Arrival], cameras: dict[str, ClipCamera], drawn_s: dict[str, dict[int, float]]) -> Json:
    samples: dict[str, list[float]] = {}
    for one in arrivals:
        times = cameras[one.stream].times.get(one.rtp)
        if times is None:
            continue
        due_s, handed_s = times
        before_ms = sum(one.timings_ms.get(name, 0.0) for name in ("decode", "wait", "engine"))
        whole = {
            "receive": (handed_s - due_s) * 1000,
            "send": (one.at_s - handed_s) * 1000 - before_ms,
            "total": (one.at_s - due_s) * 1000,
        }
        shown_s = drawn_s.get(one.stream, {}).get(one.rtp)
        if shown_s is not None:
            whole["draw"] = (shown_s - one.at_s) * 1000
        for name, ms in {**one.timings_ms, **whole}.items():
            samples.setdefault(name, []).append(ms)
    return {name: percentiles(samples[name]) for name in in_order(samples)}


def _rss_mb() -> float:
    """The memory that the process has at present; where the system does not say, the most that it had."""
    resident = resident_bytes()
    if resident is not None:
        return round(resident / 1e6, 1)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (1e6 if sys.platform == "darwin" else 1e3), 1)


def _gpu_mb() -> float | None:
    torch: Any = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return round(float(torch.cuda.max_memory_reserved()) / 1e6, 1)
