"""What fails with every picture is in the log once a second."""

from __future__ import annotations

import pytest

from stream import seldom
from stream.seldom import Seldom


def test_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    monkeypatch.setattr(seldom.time, "monotonic", lambda: now_s)
    due, told = Seldom(), []
    for number in range(61):
        now_s = 100.0 + number / 30
        if due():
            told.append(number)
    assert told == [0, 30, 60]
