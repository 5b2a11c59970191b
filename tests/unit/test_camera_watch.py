"""When a camera is told to be offline, back, frozen and well again."""

from __future__ import annotations

import pytest

from agent.camera_watch import CameraHealth, Change, in_words, lasting
from agent.types import EventKind
from stream.sources.backoff import Backoff


class Camera:
    """Steps every half second."""

    def __init__(self, *, frozen_s: float = 60.0) -> None:
        self.now_s = 1000.0
        self.pictured_s: float | None = None
        self.changed_s = self.looked_s = self.now_s
        self.health = CameraHealth(self.now_s, offline_s=10.0, frozen_s=frozen_s)
        self.told: list[Change] = []

    def go_on(
        self, seconds: float, *, pictures: bool = True, changes: bool = True, look_s: float = 0.5
    ) -> list[EventKind]:
        before = len(self.told)
        for _ in range(round(seconds * 2)):
            self.now_s += 0.5
            if pictures:
                self.pictured_s = self.now_s
            if pictures and self.now_s - self.looked_s >= look_s:
                self.looked_s = self.now_s
                if changes:
                    self.changed_s = self.now_s
            change = self.health.step(self.now_s, self.pictured_s, self.changed_s, self.looked_s)
            if change is not None:
                self.told.append(change)
        return [change.kind for change in self.told[before:]]


def test_a_short_gap_is_nothing() -> None:
    camera = Camera()
    camera.go_on(5)
    camera.go_on(9, pictures=False)
    assert camera.go_on(60) == []
    assert camera.told == []


def test_offline_and_back_with_how_long_it_was_away() -> None:
    camera = Camera()
    camera.go_on(5)
    assert camera.go_on(100, pictures=False) == [EventKind.OFFLINE]
    assert camera.told[0].for_s == 10
    assert camera.go_on(5) == [EventKind.ONLINE]
    assert camera.told[1].for_s == pytest.approx(100.5)
    assert camera.go_on(100, pictures=False) == [EventKind.OFFLINE]


def test_one_that_never_came_is_offline_too() -> None:
    camera = Camera()
    assert camera.go_on(30, pictures=False) == [EventKind.OFFLINE]
    assert camera.go_on(5) == [EventKind.ONLINE]


def test_frozen_and_well_again() -> None:
    camera = Camera()
    camera.go_on(5)
    assert camera.go_on(59, changes=False) == []
    assert camera.go_on(120, changes=False) == [EventKind.FROZEN]
    assert camera.go_on(5) == [EventKind.UNFROZEN]
    assert camera.told[-1].for_s == pytest.approx(179.5)
    assert camera.go_on(120, changes=False) == [EventKind.FROZEN]


def test_what_was_away_is_not_frozen_at_once_when_it_is_back() -> None:
    camera = Camera()
    camera.go_on(5)
    camera.go_on(300, pictures=False)
    assert camera.go_on(50, changes=False) == [EventKind.ONLINE]
    assert camera.go_on(20, changes=False) == [EventKind.FROZEN]


def test_looks_that_are_far_apart_do_not_make_a_picture_frozen() -> None:
    camera = Camera(frozen_s=5)
    assert camera.go_on(60, look_s=10) == []
    assert camera.go_on(15, changes=False, look_s=10) == [EventKind.FROZEN]


def test_zero_never_tells_of_frozen_pictures() -> None:
    assert Camera(frozen_s=0).go_on(1000, changes=False) == []


def test_words() -> None:
    assert in_words(Change(EventKind.OFFLINE, 10), "10.0.0.9 does not answer.") == (
        "The camera is offline. 10.0.0.9 does not answer."
    )
    assert in_words(Change(EventKind.ONLINE, 200), None) == "The camera is back after 3 min 20 s."
    assert [lasting(seconds) for seconds in (0.2, 59, 60, 3599, 3600, 7500)] == [
        "1 s", "59 s", "1 min", "59 min 59 s", "1 h", "2 h 5 min",
    ]  # fmt: skip


def test_tries_come_later_and_later_with_jitter() -> None:
    backoff = Backoff(first_s=0.5, most_s=8.0, draw=lambda: 1.0)
    assert [backoff.lost(0.0) for _ in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert backoff.lost(60.0) == 0.5
    assert backoff.lost(0.0, refused=True) == 8
    assert Backoff(draw=lambda: 0.0).lost(0.0) == 0.25
    assert Backoff(draw=lambda: 0.5).lost(0.0) == 0.375
    drawn = {Backoff().lost(0.0) for _ in range(20)}
    assert len(drawn) > 10
    assert all(0.25 <= wait_s <= 0.5 for wait_s in drawn)
