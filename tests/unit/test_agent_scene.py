"""What is remembered of a scene, and that it stays bounded."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agent.perceive import Perception
from agent.scene import KEPT_EVENTS, KEPT_OBJECTS, KEPT_PATH, KEPT_VISITS, Scene, SceneLog
from agent.types import EventKind, Region, RegionKind
from stream.types import Track, TrackState
from tests.composed_tracks import Tracks, at, square, track, update


def watch(tracks: Tracks, until: float, log: SceneLog | None = None, step: float = 0.1) -> Scene:
    log, perception = log or SceneLog(), Perception()
    for k in range(round(until / step) + 1):
        new = update(k * step, tracks(k * step))
        log.update(new, at(k * step))
        for event in perception.step(new, at(k * step)):
            log.add_event(event)
    return log.snapshot()


def test_a_walker_has_a_place_a_direction_and_a_speed() -> None:
    scene = watch(lambda t: [track(1, square(0.2 + 0.1 * t, 0.5))], 3.0)
    [walker] = scene.objects
    assert walker.where == "middle"
    assert walker.direction == "to the right"
    assert walker.velocity[0] == pytest.approx(0.1, rel=0.01)
    assert walker.moving
    assert walker.moved_since()
    assert [round(p.box[0], 2) for p in walker.path] == pytest.approx([0.17, 0.27, 0.37, 0.47], abs=0.011)


def test_a_box_that_trembles_does_not_move() -> None:
    scene = watch(lambda t: [track(1, square(0.5 + 0.004 * (-1) ** round(10 * t), 0.5))], 10.0)
    assert not scene.objects[0].moving
    assert not scene.objects[0].moved_since()
    assert scene.objects[0].resting_since() == at(0)


def test_where_something_was_at_a_time() -> None:
    scene = watch(lambda t: [track(1, square(0.2 + 0.1 * min(t, 5), 0.5))], 20.0)
    [walker] = scene.objects
    then = walker.box_at(at(2.0))
    assert then is not None
    assert (then[0] + then[2]) / 2 == pytest.approx(0.4, abs=0.06)
    assert walker.box_at(at(-60)) is None
    assert 4.0 <= (walker.resting_since() - at(0)).total_seconds() <= 6.0


def test_tentative_tracks_are_no_objects() -> None:
    assert watch(lambda _: [track(1, square(0.5, 0.5), state=TrackState.TENTATIVE)], 3.0).objects == ()


def test_a_lost_object_stays_known_with_its_last_place_and_its_visits() -> None:
    def tracks(t: float) -> Iterable[Track]:
        state = TrackState.LIVE if t < 3 or t > 8 else TrackState.LOST
        return [track(1, square(0.1, 0.9), "cup", state)]

    away = watch(tracks, 6.0).objects[0]
    assert not away.visible
    assert away.where == "bottom left"
    assert (away.last_at - at(0)).total_seconds() == pytest.approx(2.9)
    assert [visit.ended for visit in away.visits] == [EventKind.LOST]
    back = watch(tracks, 10.0).objects[0]
    assert back.visible
    assert [(visit.began, visit.ended) for visit in back.visits] == [
        (EventKind.APPEAR, EventKind.LOST), (EventKind.FOUND, None)
    ]  # fmt: skip
    assert not back.seen_at(at(5))


def test_a_track_that_no_update_mentions_is_gone() -> None:
    [thing] = watch(lambda t: [track(1, square(0.5, 0.5))] if t < 2 else [], 4.0).objects
    assert thing.state is TrackState.GONE
    assert thing.velocity == (0.0, 0.0)


def test_names_and_captions_are_kept() -> None:
    log = SceneLog()
    log.update(update(0, [track(1, square(0.5, 0.5), "cup")]), at(0))
    log.update(update(1, [track(1, square(0.5, 0.5), "red cup")]), at(1))
    log.describe(1, "a red cup with a handle")
    scene = log.snapshot()
    assert scene.objects[0].labels == ("cup", "red cup")
    assert scene.objects[0].caption == "a red cup with a handle"
    assert scene.labelled("cup") == scene.labelled("red cup") == scene.objects
    log.remove(1)
    assert log.snapshot().objects == ()
    assert scene.get(1) is not None, "a snapshot never changes"


def test_events_are_kept_in_the_order_in_which_things_happened() -> None:
    def tracks(t: float) -> Iterable[Track]:
        first = [track(1, square(0.3, 0.5))] if t < 2 else []
        return [*first, track(2, square(0.7, 0.5))] if t > 1.8 else first

    events = watch(tracks, 6.0).events
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert {event.kind for event in events} == {EventKind.APPEAR, EventKind.LOST}


def test_events_are_found_by_time_and_kind() -> None:
    scene = watch(lambda t: [track(1, square(0.3, 0.5))] if t < 5 or t > 8 else [], 10.0)
    assert [e.kind for e in scene.events_between(at(3), at(6))] == [EventKind.LOST]
    assert [e.kind for e in scene.events_between(kinds=[EventKind.APPEAR])] == [EventKind.APPEAR] * 2


def test_who_is_in_a_zone() -> None:
    zone = Region("z", "door", RegionKind.ZONE, ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
    scene = watch(lambda _: [track(1, square(0.3, 0.5)), track(2, square(0.7, 0.5))], 1.0, SceneLog([zone]))
    assert [thing.id for thing in scene.in_region(zone)] == [1]


def test_memory_stays_flat_over_a_hundred_thousand_updates() -> None:
    log, perception = SceneLog(), Perception()
    sizes = []
    for k in range(100_000):
        t = k / 10
        number = k // 25 + 1
        wandering = track(number, square((k % 97) / 97, 0.5), "person")
        new = update(t, [wandering, track(10**6, square(0.5, 0.2 + 0.001 * (k % 500)), "dog")])
        log.update(new, at(t))
        for event in perception.step(new, at(t)):
            log.add_event(event)
        if k in (50_000, 99_999):
            scene = log.snapshot()
            sizes.append((len(scene.objects), len(scene.events), sum(len(o.path) for o in scene.objects) // 100))
            assert all(len(o.path) <= KEPT_PATH and len(o.visits) <= KEPT_VISITS for o in scene.objects)
            assert perception.kept < 100
    assert sizes[0] == sizes[1]
    assert sizes[0][:2] == (KEPT_OBJECTS, KEPT_EVENTS)


def test_a_snapshot_of_a_full_log_keeps_the_objects_in_sight() -> None:
    log = SceneLog()
    for k in range(2 * KEPT_OBJECTS):
        log.update(update(k, [track(1, square(0.5, 0.5)), track(k + 2, square(0.2, 0.2))]), at(k))
    scene = log.snapshot()
    assert len(scene.objects) == KEPT_OBJECTS
    assert {thing.id for thing in scene.visible} == {1, 2 * KEPT_OBJECTS + 1}
