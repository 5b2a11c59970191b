"""What a camera costs that nobody looks at, and what eight of them get from the light engine.

    python -m tests.bench.feeds --seconds 20

Cameras send 640×360 at 10 pictures a second, H.264 with a keyframe a second, from files or over RTSP. Idle: nobody
watches, no rule waits, the motion gate is on. CPU is that of the server's process alone, less what it takes without any
camera; the RTSP server is another process. Eight: all are tracked at a rate of their own, six from files, two by RTSP.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.load import cores
from tests.bench.report import table, write
from tests.serve import serving_process
from tests.yards import Yard, cameras, make_yard, shares, watched

COUNTS = (1, 4, 8)
RATES: tuple[float | None, ...] = (1.0, 3.0, 5.0, None)
WARM_S = 5.0


def idle(yard: Yard, folder: Path, seconds: float, counts: tuple[int, ...]) -> list[dict[str, Any]]:
    """Cost of cameras that nobody needs, by how they come in."""
    with serving_process("light") as (_, pid):
        time.sleep(WARM_S)
        empty = cores(pid, seconds)
    rows: list[dict[str, Any]] = [_idle_row("none", 0, empty, 0.0, {})]
    for kind in ("file", "rtsp"):
        for count in counts:
            given = {"motion_gate": True, "prompts": ["person"]}
            by_rtsp = count if kind == "rtsp" else 0
            with cameras(yard, folder, count, by_rtsp=by_rtsp, **given) as feeds, watched("light", feeds) as server:
                _until_live(server)
                time.sleep(WARM_S)
                before = server.sample()
                used = cores(server.process.pid, seconds)
                tracked = shares([before, after := server.sample()])
            rss = {"resident MiB": round(after.rss_mib, 1)}
            rows.append(_idle_row(kind, count, used, empty, {"tracked": sum(tracked.values()), **rss}))
    return rows


def _idle_row(kind: str, count: int, used: float, empty: float, more: dict[str, Any]) -> dict[str, Any]:
    each = round(100 * (used - empty) / count, 2) if count else None
    row = {"part": "idle", "by": kind, "cameras": count, "cores": round(used, 3), "% of a core each": each}
    return {**row, "tracked": None, "resident MiB": None, **more}


def _until_live(server: Any) -> None:
    deadline = time.monotonic() + 60
    while any(stats["received"] < 10 for stats in server.sample().stats.values()):
        assert time.monotonic() < deadline, "a camera does not send"
        time.sleep(0.2)


def eight(yard: Yard, folder: Path, seconds: float, rates: tuple[float | None, ...]) -> list[dict[str, Any]]:
    """What eight cameras get at several rates; None for every picture."""
    rows: list[dict[str, Any]] = []
    for rate in rates:
        given = {"motion_gate": False, "prompts": ["person"], **({"target_fps": rate} if rate else {})}
        with cameras(yard, folder, 8, by_rtsp=2, **given) as feeds, watched("light", feeds) as server:
            server.until_tracked(3)
            time.sleep(WARM_S)
            samples = server.over(seconds)
        elapsed_s = samples[-1].at_s - samples[0].at_s
        each = sorted(count / elapsed_s for count in shares(samples).values())
        stats = list(samples[-1].stats.values())
        rows.append(
            {
                "part": "eight",
                "wanted fps": rate or "all",
                "tracked fps, least": round(each[0], 2),
                "most": round(each[-1], 2),
                "cores": round((samples[-1].cpu_s - samples[0].cpu_s) / elapsed_s, 2),
                "latency p50 ms": round(max(one["latency_ms"]["p50"] for one in stats), 1),
                "gives way": "; ".join(stats[0]["policy"]) or "nothing",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--most", type=int, default=COUNTS[-1], help="idle cameras at once")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yard = make_yard(folder)
        idles = idle(yard, folder, options.seconds, tuple(count for count in COUNTS if count <= options.most))
        table("Cameras that nobody needs, 640×360 at 10 a second", idles)
        eights = eight(yard, folder, options.seconds, RATES if options.most >= COUNTS[-1] else RATES[:1])
        table("Eight cameras on the light engine", eights)
    write("feeds", idles + eights, options.json)


if __name__ == "__main__":
    main()
