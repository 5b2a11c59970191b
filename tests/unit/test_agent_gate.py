"""Which events are worth asking about."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.gate import KEPT_KEYS, Admission, Gate
from agent.types import Event, EventKind
from stream.types import FrameRef
from tests.composed_tracks import at


def event(t: float, *track_ids: int) -> Event:
    return Event("e", EventKind.ENTER, "Somebody came in.", track_ids, FrameRef(1, 0), 0, at(t))


def test_the_first_event_is_admitted_and_the_same_objects_are_not_asked_about_twice() -> None:
    gate = Gate(same_s=100)
    assert gate.admit("bag", event(0, 3, 6), at(0)) is Admission.ADMITTED
    assert gate.admit("bag", event(50, 6, 3), at(50)) is Admission.DUPLICATE
    assert gate.admit("other", event(50, 3, 6), at(50)) is Admission.ADMITTED
    assert gate.admit("bag", event(100, 3, 6), at(100)) is Admission.ADMITTED


def test_what_is_long_ago_is_not_asked_about() -> None:
    gate = Gate(stale_s=10)
    assert gate.admit("r", event(0, 1), at(11)) is Admission.STALE
    assert gate.admit("r", event(5, 1), at(11)) is Admission.ADMITTED


def test_a_changed_rule_starts_afresh() -> None:
    gate = Gate()
    gate.admit("r", event(0, 1), at(0))
    gate.forget("r")
    assert gate.admit("r", event(1, 1), at(1)) is Admission.ADMITTED


def test_what_is_remembered_is_bounded() -> None:
    gate = Gate()
    for k in range(5 * KEPT_KEYS):
        gate.admit(f"rule {k}", event(k, k), at(k))
    assert gate.kept == KEPT_KEYS


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 3)), max_size=60))
def test_the_same_objects_are_admitted_again_only_after_a_while(gaps: list[tuple[float, int]]) -> None:
    gate, now, admitted = Gate(same_s=45), 0.0, []
    for gap, track_id in gaps:
        now += gap
        if gate.admit("r", event(now, track_id), at(now)) is Admission.ADMITTED:
            admitted.append((now, track_id))
    for track_id in (1, 2, 3):
        own = [t for t, i in admitted if i == track_id]
        assert all(b - a >= 44.999 for a, b in pairwise(own))
