"""Ten minutes of eight cameras on the light engine: what a minute cannot show, that memory stays where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stream.models.store import ModelStore
from tests.bench.report import write
from tests.yards import FPS, Sample, cameras, make_yard, piling_up, shares, unaccounted, watched

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

FILLING_S = 300.0
"""Until all rings are full, every person of the clip has been seen, and the threads' memory is as large as it gets."""
SECONDS = 600.0
TARGET_FPS = 3.0
BOUND_MIB = 1.0
"""Growth of resident memory over 10,000 pictures, in the last half."""


def test_ten_minutes_of_eight_feeds(tmp_path: Path, model_store: ModelStore) -> None:
    yard = make_yard(tmp_path)
    given = {"target_fps": TARGET_FPS, "prompts": ["person"], "motion_gate": False}
    with (
        cameras(yard, tmp_path, 8, by_rtsp=2, **given) as feeds,
        watched("light, soon forgetting", feeds, short=True) as server,
    ):
        server.until_tracked(5)
        server.over(FILLING_S, every_s=60.0)
        samples = server.over(SECONDS, every_s=5.0)
    half = samples[len(samples) // 2 :]
    tracked, left, growth = shares(samples), unaccounted(samples), mib_per_10k_pictures(half)
    row = {
        "test": "eight feeds, 640×360 at 10 a second",
        "minutes": round((samples[-1].at_s - samples[0].at_s) / 60, 1),
        "tracked fps": {feed: round(count / SECONDS, 2) for feed, count in tracked.items()},
        "MiB per 10,000 pictures": round(growth, 3),
        "MiB": [round(sample.rss_mib, 1) for sample in samples[::6]],
        "tasks, descriptors, threads": [[one.tasks, one.descriptors, one.threads] for one in (half[0], half[-1])],
        "not accounted for": sum(left.values()),
        "drops": {feed: stats["drops"] | stats["skipped"] for feed, stats in samples[-1].stats.items()},
    }
    write("soak-feeds", [row])
    assert growth <= BOUND_MIB, row["MiB"]
    assert not piling_up(samples)
    assert half[-1].threads <= max(sample.threads for sample in half[: len(half) // 2])
    assert min(tracked.values()) >= 0.8 * max(tracked.values()) > 0
    assert all(abs(count) <= 8 for count in left.values())


def mib_per_10k_pictures(samples: list[Sample]) -> float:
    """Slope of a straight line through resident memory against the pictures that all feeds sent."""
    received = np.array([sum(sample.counted("received").values()) for sample in samples], np.float64)
    rss_mib = np.array([sample.rss_mib for sample in samples])
    assert received[-1] - received[0] > 0.5 * 8 * FPS * (samples[-1].at_s - samples[0].at_s)
    return float(np.polyfit(received, rss_mib, 1)[0]) * 10_000
