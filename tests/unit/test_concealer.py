"""The thread that hides: whatever goes wrong in it, nothing is seen that should not be."""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from stream.engines.base import Finder
from stream.privacy import concealer as module
from stream.privacy.concealer import Concealer, Shown
from stream.privacy.settings import Privacy, Style
from stream.seldom import Seldom
from stream.types import BoxXyxyPx, Frame

FRAMES = 5


class Nothing:
    """A finder that never gets to look."""

    on_engine = False
    labels: tuple[frozenset[str], ...] = (frozenset({"person"}),)

    def find(self, frame: Frame) -> Sequence[Sequence[BoxXyxyPx]]:
        raise AssertionError


def frame(number: int) -> Frame:
    now_s = time.monotonic()
    y, uv = np.random.default_rng(number).integers(0, 256, (48, 64), np.uint8), np.full((24, 32, 2), 128, np.uint8)
    return Frame(number, 1, number * 3000, number * 3000, None, now_s, now_s, y, uv)


def hide(look: module.Look) -> list[Shown]:
    """What leaves of some frames, each offered once the one before has left."""
    left: queue.Queue[Shown] = queue.Queue()
    finder: Finder = Nothing()
    privacy = Privacy(("person",), style=Style.FILL)
    hiding = Concealer("test", privacy, lambda concepts: finder, look, lambda _, shown: left.put(shown))
    try:
        shown = []
        for number in range(FRAMES):
            hiding.offer(frame(number), None)
            shown.append(left.get(timeout=10))
        return shown
    finally:
        hiding.close(wait=True)


def _breaks(finder: Finder, frame: Frame) -> Sequence[Sequence[BoxXyxyPx]]:
    raise KeyError("a mistake of ours")


@pytest.mark.logs_errors
def test_a_look_that_breaks_hides_the_whole_picture_and_is_logged_once_a_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "Seldom", partial(Seldom, 3600.0))
    shown = hide(_breaks)
    assert [each.frame is not None and set(np.unique(each.frame.y)) == {module.mosaic.GREY} for each in shown] == [
        True
    ] * FRAMES
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "a picture could not be looked at"
    ]


@pytest.mark.logs_errors
def test_a_picture_that_cannot_be_hidden_does_not_leave(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "Seldom", partial(Seldom, 3600.0))
    monkeypatch.setattr(module.mosaic, "hidden", breaks)
    shown = hide(lambda finder, frame: [[]])
    assert [(each.frame, each.encoded) for each in shown] == [(None, ())] * FRAMES
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
