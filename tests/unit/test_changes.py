"""Track facts follow from the states of two updates."""

from __future__ import annotations

from stream.changes import TrackHistory
from stream.types import Track, TrackState


def tracks(**states: TrackState) -> list[Track]:
    return [Track(int(name[1:]), "cup", 1.0, (0, 0, 1, 1), None, state, None, 0.0) for name, state in states.items()]


def told(history: TrackHistory, **states: TrackState) -> list[tuple[int, str]]:
    return [(fact.track_id, fact.change) for fact in history.changes(tracks(**states))]


def test_a_life_is_told_once_per_change() -> None:
    history = TrackHistory()
    assert told(history, t1=TrackState.TENTATIVE) == []
    assert told(history, t1=TrackState.LIVE) == [(1, "confirmed")]
    assert told(history, t1=TrackState.LIVE) == []
    assert told(history, t1=TrackState.LOST) == [(1, "lost")]
    assert told(history, t1=TrackState.LIVE) == [(1, "found")]
    assert told(history, t1=TrackState.GONE) == [(1, "gone")]
    assert told(history) == []


def test_a_tentative_track_that_vanishes_is_not_told() -> None:
    history = TrackHistory()
    told(history, t1=TrackState.TENTATIVE)
    assert told(history) == []


def test_a_track_that_is_missing_is_gone() -> None:
    history = TrackHistory()
    told(history, t1=TrackState.LIVE, t2=TrackState.LIVE)
    assert told(history, t2=TrackState.LIVE) == [(1, "gone")]


def test_a_removal_on_request_is_not_told_twice_nor_its_return() -> None:
    history = TrackHistory()
    told(history, t1=TrackState.LIVE)
    history.forget(1)
    assert told(history) == []
    history.expect(1)
    assert told(history, t1=TrackState.LIVE) == []


def test_a_removed_track_in_an_update_that_was_under_way_is_neither_confirmed_nor_gone() -> None:
    history = TrackHistory()
    told(history, t1=TrackState.LIVE)
    history.forget(1)
    assert told(history, t1=TrackState.LIVE) == []
    assert told(history) == []
    history.expect(1)
    assert told(history, t1=TrackState.LIVE) == []
    assert told(history) == [(1, "gone")]
