"""Eight cameras on the light engine at a reduced rate: fair shares, every picture accounted for, nothing that grows.

What runs beside it may take as much of the machine as it likes: rates are compared with each other, never with a clock.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stream.models.store import ModelStore
from tests.yards import cameras, make_yard, piling_up, shares, unaccounted, watched

pytestmark = pytest.mark.timeout(400)

FEEDS = 8
BY_RTSP = 2
TARGET_FPS = 3.0
SECONDS = 40.0
FAIR = 0.6
"""The feed that is tracked least has at least this share of what the one that is tracked most has."""
GIVES_WAY_S = 60.0
IN_FLIGHT = 8
"""Pictures on their way between two stages when a sample is taken."""


def test_a_minute_of_eight_feeds_is_fair_and_holds_on_to_nothing(tmp_path: Path, model_store: ModelStore) -> None:
    yard = make_yard(tmp_path)
    given = {"target_fps": TARGET_FPS, "prompts": ["person"], "motion_gate": False}
    with cameras(yard, tmp_path, FEEDS, by_rtsp=BY_RTSP, **given) as feeds, watched("light", feeds) as server:
        server.until_tracked(5)
        samples = server.over(SECONDS)
    told = {feed: stats["drops"] | stats["skipped"] for feed, stats in samples[-1].stats.items()}
    tracked = shares(samples)
    assert min(tracked.values()) >= FAIR * max(tracked.values()) > 0, tracked
    assert all(drops["rate"] > 0 for drops in told.values()), f"nobody was kept to the rate: {told}"
    left = unaccounted(samples)
    assert all(abs(count) <= IN_FLIGHT for count in left.values()), f"pictures went missing: {left} of {told}"
    assert not piling_up(samples)
    assert all(stats["reconnects"] == 0 for stats in samples[-1].stats.values())


def test_what_gives_way_is_said_of_each_feed(tmp_path: Path) -> None:
    """An engine that can do a third of what comes: all are held to one lower rate, and their status says so."""
    yard = make_yard(tmp_path)
    with cameras(yard, tmp_path, FEEDS, by_rtsp=0, motion_gate=False) as feeds, watched("slow", feeds) as server:
        server.until_tracked(1)
        deadline = time.monotonic() + GIVES_WAY_S
        while not all(policies := [stats["policy"] for stats in server.sample().stats.values()]):
            assert time.monotonic() < deadline, "nothing gave way, or nobody was told"
            time.sleep(0.5)
        samples = server.over(5)
    assert all(any("a second" in words for words in policy) for policy in policies), policies
    tracked = shares(samples)
    assert min(tracked.values()) >= FAIR * max(tracked.values()) > 0, tracked
