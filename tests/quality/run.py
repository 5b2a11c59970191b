"""Runs an engine over sets of composed scenes and prints what it reached.

    python -m tests.quality.run --set hard --split tuning --seeds 5 --jobs 2 --json out.json

With `--split judged --set all --json tests/bench/results/quality-<date>.json` it writes what the gates are judged on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from stream.engines.base import Engine
from tests.quality import metrics
from tests.quality.cutouts import Split
from tests.quality.oracle import OracleEngine
from tests.quality.play import Played, play
from tests.quality.scenes import Scene
from tests.quality.sets import SetName, make, names
from tests.quality.walking import follow_people

SAM_LATENCY_FRAMES = 3
"""100 ms at 30 frames a second: encoder and decoder on a 320 crop take 65 ms of a core, and wait for each other."""

WALKING_LATENCY_FRAMES = 1
"""The same 100 ms on a clip of 10 frames a second."""

EngineMaker = Callable[[Scene | None], Engine]


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """What one asked-for object of one scene came to."""

    identity: int
    name: str
    asked_by: str
    j: float
    first_mask_s: float | None
    absent_shown: int
    absent: int
    recoveries_s: list[float | None]


@dataclass(frozen=True, slots=True)
class SceneResult:
    scene: str
    frames: int
    objects: list[ObjectResult]
    switches: int
    stolen_frames: int
    clicks: int
    hits: int
    refused: list[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class SetResult:
    """A set's scenes with the figures that the gates are about."""

    name: str
    split: str
    scenes: list[SceneResult] = field(default_factory=list)

    @property
    def objects(self) -> list[ObjectResult]:
        return [o for s in self.scenes for o in s.objects]

    @property
    def j_mean(self) -> float:
        return float(np.mean([o.j for o in self.objects])) if self.objects else float("nan")

    @property
    def j_lowest(self) -> float:
        return min((o.j for o in self.objects), default=float("nan"))

    @property
    def switches(self) -> int:
        return sum(s.switches for s in self.scenes)

    @property
    def stolen_frames(self) -> int:
        return sum(s.stolen_frames for s in self.scenes)

    @property
    def absent_share(self) -> float:
        absent = sum(o.absent for o in self.objects)
        return sum(o.absent_shown for o in self.objects) / absent if absent else 0.0

    @property
    def recoveries_s(self) -> list[float | None]:
        return [r for o in self.objects for r in o.recoveries_s]

    def recovered_share(self, within_s: float = 1.5) -> float:
        waits = self.recoveries_s
        return sum(w is not None and w <= within_s for w in waits) / len(waits) if waits else float("nan")

    @property
    def hit_share(self) -> float:
        clicks = sum(s.clicks for s in self.scenes)
        return sum(s.hits for s in self.scenes) / clicks if clicks else float("nan")

    def figures(self) -> dict[str, float | int]:
        return {
            "scenes": len(self.scenes), "objects": len(self.objects), "j_mean": round(self.j_mean, 4),
            "j_lowest": round(self.j_lowest, 4), "switches": self.switches, "stolen_frames": self.stolen_frames,
            "absent_share": round(self.absent_share, 4), "returns": len(self.recoveries_s),
            "recovered_share": round(self.recovered_share(), 4),
            "clicks": sum(s.clicks for s in self.scenes), "hit_share": round(self.hit_share, 4),
        }  # fmt: skip


def light_engine(_scene: Scene | None, latency: int = SAM_LATENCY_FRAMES) -> Engine:
    """The light engine with SAM inline, its answers held back by the measured latency."""
    from stream.engines.light.engine import LightEngine
    from stream.models.store import ModelStore

    return LightEngine(ModelStore(), background=False, sam_latency_frames=latency)


def oracle(scene: Scene | None) -> Engine:
    """A perfect engine, to see what the scenes allow."""
    assert scene is not None
    return OracleEngine(scene)


def measure(played: Played, seconds: float = 0.0) -> SceneResult:
    """Every measure of one played scene."""
    scene, record = played.scene, played.record
    asked_by = {ask.identity: ask.kind for ask in reversed(scene.asks) if ask.forget is None}
    objects = []
    for identity, kind in sorted(asked_by.items()):
        shown, absent = metrics.absent_frames(record, identity)
        objects.append(
            ObjectResult(
                identity,
                scene.mover(identity).name,
                kind,
                metrics.region_similarity(record, identity),
                metrics.first_mask_s(record, identity),
                shown,
                absent,
                metrics.recoveries(record, identity),
            )
        )
    stolen = sum(metrics.stolen_frames(record, i, o) for i in asked_by for o in scene.identities if o != i)
    return SceneResult(
        scene.name,
        scene.frames,
        objects,
        metrics.id_switches(record) if objects else 0,
        stolen,
        len(played.clicks),
        sum(c.hit for c in played.clicks),
        list(played.refused),
        round(seconds, 1),
    )


def run_scene(maker: EngineMaker, name: SetName, split: Split, frames: int | None, seed: int) -> SceneResult:
    """Build, play and measure one scene; OpenCV on one thread, as the server runs it."""
    cv2.setNumThreads(1)
    scene = make(name, split, seed, frames)
    engine = maker(scene)
    start = time.monotonic()
    try:
        return measure(play(engine, scene), time.monotonic() - start)
    finally:
        engine.close()


def run_set(
    maker: EngineMaker, name: SetName, split: Split, seeds: Sequence[int], *, frames: int | None = None, jobs: int = 1
) -> SetResult:
    """All scenes of a set, `jobs` at a time, each in its own process where that is more than one."""
    work = partial(run_scene, maker, name, split, frames)
    if jobs == 1:
        return SetResult(name, split, [work(seed) for seed in seeds])
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return SetResult(name, split, list(pool.map(work, seeds)))


def run_walking() -> dict[str, float | int]:
    """The light engine on the annotated frames of the walking people."""
    cv2.setNumThreads(1)
    engine = light_engine(None, WALKING_LATENCY_FRAMES)
    try:
        found = follow_people(engine)
    finally:
        engine.close()
    return {
        "truths": found.truths, "hits": found.hits, "false_alarms": found.false_alarms,
        "recall": round(found.recall, 4), "precision": round(found.precision, 4), "switches": found.switches,
    }  # fmt: skip


def table(result: SetResult) -> str:
    """One line an object, one a scene, one for the set."""
    lines = [f"{'scene':<22}{'object':<14}{'asked':<7}{'J':>6}{'first':>7}{'absent':>9}  returns (s)"]
    for scene in result.scenes:
        for o in scene.objects:
            waits = " ".join("never" if w is None else f"{w:.2f}" for w in o.recoveries_s)
            first = "never" if o.first_mask_s is None else f"{o.first_mask_s:.2f}"
            absent = f"{o.absent_shown}/{o.absent}"
            lines.append(f"{scene.scene:<22}{o.name:<14}{o.asked_by:<7}{o.j:6.3f}{first:>7}{absent:>9}  {waits}")
        lines.append(
            f"{scene.scene:<22}switches {scene.switches}, stolen frames {scene.stolen_frames}, "
            f"hits {scene.hits}/{scene.clicks}, {1000 * scene.seconds / scene.frames:.0f} ms a frame"
            + "".join(f"\n{'':<22}refused: {r}" for r in scene.refused)
        )
    lines.append(f"{result.name} {result.split}: " + ", ".join(f"{k} {v}" for k, v in result.figures().items()))
    return "\n".join(lines)


def as_json(results: Sequence[SetResult], walking: dict[str, float | int] | None) -> str:
    sets = [{"set": r.name, "split": r.split, "figures": r.figures(), "scenes": asdict(r)["scenes"]} for r in results]
    return json.dumps(
        {"at": datetime.now(UTC).isoformat(timespec="seconds"), "sets": sets, "walking": walking}, indent=1
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=[*names(), "walking", "all"], default="plain")
    parser.add_argument("--split", choices=["tuning", "judged"], default="tuning")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--frames", type=int, help="shorten the scenes (plain, hard, newcomer, lateclick)")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--latency", type=int, default=SAM_LATENCY_FRAMES, help="of SAM, in frames")
    parser.add_argument("--engine", choices=["light", "oracle"], default="light")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args(arguments)
    maker: EngineMaker = oracle if chosen.engine == "oracle" else partial(light_engine, latency=chosen.latency)
    results, walking = [], None
    for name in names() if chosen.set == "all" else [n for n in names() if n == chosen.set]:
        seeds = range(chosen.first, chosen.first + chosen.seeds)
        result = run_set(maker, name, chosen.split, seeds, frames=chosen.frames, jobs=chosen.jobs)
        sys.stdout.write(table(result) + "\n\n")
        sys.stdout.flush()
        results.append(result)
    if chosen.set in ("walking", "all") and chosen.engine == "light":
        walking = run_walking()
        sys.stdout.write("walking people: " + ", ".join(f"{k} {v}" for k, v in walking.items()) + "\n")
    if chosen.json:
        os.makedirs(chosen.json.parent, exist_ok=True)
        chosen.json.write_text(as_json(results, walking))
    return 0


if __name__ == "__main__":
    sys.exit(main())
