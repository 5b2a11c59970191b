"""Events from tracks: each thing that happens is told once, at the time when it happened."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.geometry import EDGES
from agent.perceive import Perception, matches
from agent.types import Event, EventKind, Region, RegionKind, Rule
from stream.types import Track, TrackState
from tests.agent_questions import story
from tests.composed_tracks import at, play, seconds, square, track, update

LEFT_HALF = Region("z", "left half", RegionKind.ZONE, ((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
MIDDLE = Region("l", "middle line", RegionKind.LINE, ((0.5, 1.0), (0.5, 0.0)))
LIVE, LOST = TrackState.LIVE, TrackState.LOST


def told(events: Iterable[Event], *kinds: EventKind) -> list[tuple[str, tuple[int, ...], float]]:
    return [(e.kind.value, e.track_ids, round(seconds(e.at), 1)) for e in events if not kinds or e.kind in kinds]


def walk(t: float, start: float = -0.1, speed: float = 0.1) -> list[Track]:
    """#1 walks from the left to the right and is lost when out."""
    x = start + speed * t
    return [track(1, square(min(max(x, 0.0), 1.0), 0.5, 0.3), state=LIVE if -0.02 < x < 1.02 else LOST)]


def test_who_comes_over_the_edge_enters_and_who_goes_over_it_exits() -> None:
    events = play(Perception(), walk, 14.0)
    assert told(events) == [("enter", (1,), 0.8), ("exit", (1,), 11.1)]
    assert [e.value for e in events] == [EDGES.index("left"), EDGES.index("right")]
    assert "[#1]" in events[0].text
    assert events[0].labels == ("person",)
    assert events[0].pts == round(0.8 * 90_000)
    assert len(events[0].boxes_xyxy) == 1


def test_who_is_seen_first_inside_appears_and_who_is_hidden_there_is_lost() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.4, 0.5), "cup", LOST if 5 <= t < 8 else LIVE)]

    assert told(play(Perception(), tracks, 10.0)) == [
        ("appear", (1,), 0.0), ("lost", (1,), 4.9), ("found", (1,), 8.0)
    ]  # fmt: skip


def test_who_sits_cut_off_by_the_lower_edge_does_not_exit_when_hidden() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, (0.3, 0.4, 0.7, 1.0), state=LIVE if t < 5 else LOST)]

    assert told(play(Perception(), tracks, 10.0)) == [("appear", (1,), 0.0), ("lost", (1,), 4.9)]


def test_guesses_tell_nothing() -> None:
    def tracks(t: float) -> list[Track]:
        return [
            track(1, square(0.5, 0.5), state=TrackState.TENTATIVE),
            *([track(2, square(0.2, 0.2))] if 1 <= t < 1.4 else []),
        ]

    assert play(Perception(), tracks, 10.0) == []


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 8)), min_size=1, max_size=12))
def test_a_flickering_track_gives_one_event(spells: list[tuple[int, int]]) -> None:
    """In sight and out of sight by turns, never out for as long as a loss takes."""
    states = [state for live, lost in spells for state in [LIVE] * live + [LOST] * lost] + [LIVE] * 10
    perception, events = Perception(regions=[LEFT_HALF]), []
    for k, state in enumerate(states):
        new = update(k / 10, [track(1, square(0.3, 0.5), state=state)])
        events += perception.step(new, at(k / 10))
    assert [e.kind for e in events] == [EventKind.APPEAR, EventKind.ZONE_ENTER]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 40)), min_size=1, max_size=12))
def test_comings_and_goings_take_turns(spells: list[tuple[bool, int]]) -> None:
    states = [LIVE if seen else LOST for seen, length in spells for _ in range(length)]
    perception, events = Perception(), []
    for k, state in enumerate(states):
        events += perception.step(update(k / 10, [track(1, square(0.4, 0.5), state=state)]), at(k / 10))
    kinds = [e.kind for e in events]
    assert kinds[::2] == [EventKind.APPEAR, *[EventKind.FOUND] * len(kinds)][: len(kinds[::2])]
    assert set(kinds[1::2]) <= {EventKind.LOST}
    assert [e.at for e in events] == sorted(e.at for e in events)


def test_zones_are_entered_and_left_once_though_the_border_trembles() -> None:
    def tracks(t: float) -> list[Track]:
        tremble = 0.01 * (-1) ** round(10 * t)
        return [track(1, square(0.9 - 0.1 * min(t, 4.0) + 0.1 * max(0.0, t - 8.0) + tremble, 0.5))]

    events = play(Perception(regions=[LEFT_HALF]), tracks, 11.0)
    assert [e.kind for e in events] == [EventKind.APPEAR]
    deeper = play(Perception(regions=[LEFT_HALF]), lambda t: walk(t, 0.2, 0.1), 6.0)
    assert told(deeper) == [("appear", (1,), 0.0), ("zone_enter", (1,), 0.0), ("zone_leave", (1,), 3.0)]
    assert {e.region_id for e in deeper} == {None, "z"}


def test_who_leaves_the_picture_leaves_the_zone() -> None:
    events = play(Perception(regions=[LEFT_HALF]), lambda t: walk(t, 0.4, -0.1), 8.0)
    assert told(events)[-2:] == [("exit", (1,), 4.1), ("zone_leave", (1,), 4.1)]


def test_a_line_is_crossed_once_each_way() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.3 + 0.1 * (t if t < 4 else 8 - t) + 0.004 * (-1) ** round(10 * t), 0.5))]

    crossings = [e for e in play(Perception(regions=[MIDDLE]), tracks, 8.0) if e.kind is EventKind.LINE]
    assert [e.value for e in crossings] == [1.0, -1.0]
    assert "to the right" in crossings[0].text
    assert "to the left" in crossings[1].text


def test_a_region_that_is_taken_away_tells_nothing_more() -> None:
    perception = Perception(regions=[LEFT_HALF])
    assert EventKind.ZONE_ENTER in {e.kind for e in play(perception, lambda t: walk(t, 0.2), 2.0)}
    perception.replace_regions([])
    assert perception.regions == ()
    after = play(perception, lambda t: walk(t, 0.2), 11.0, since=2.1)
    assert [e.kind for e in after] == [EventKind.EXIT]


def test_a_stay_is_told_once_per_visit() -> None:
    rule = Rule(EventKind.DWELL, label="person", region_id="z", seconds=5.0)

    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.3 if not 10 <= t <= 15 else 0.8, 0.5)), track(2, square(0.2, 0.2), "cup")]

    events = play(Perception([rule], [LEFT_HALF]), tracks, 30.0)
    stays = [e for e in events if e.kind is EventKind.DWELL]
    assert [(e.track_ids, e.value) for e in stays] == [((1,), 5.0), ((1,), 5.0)]
    assert [seconds(e.at) for e in stays] == pytest.approx([5.5, 20.1], abs=0.6)
    assert all(matches(rule, e) for e in stays)
    assert not matches(Rule(EventKind.DWELL, label="cup", region_id="z", seconds=5.0), stays[0])


def test_a_count_is_told_when_it_is_reached_and_again_after_it_was_not() -> None:
    rule = Rule(EventKind.COUNT, label="person", op=">=", value=2)

    def tracks(t: float) -> list[Track]:
        second = [track(2, square(0.7, 0.5))] if 3 < t < 8 else []
        third = [track(3, square(0.8, 0.8))] if t > 15 else []
        return [track(1, square(0.3, 0.5)), *second, *third, track(9, square(0.1, 0.9), "dog")]

    counts = [e for e in play(Perception([rule]), tracks, 20.0) if e.kind is EventKind.COUNT]
    assert [(e.track_ids, e.value) for e in counts] == [((1, 2), 2.0), ((1, 3), 2.0)]
    assert all(matches(rule, e) for e in counts)


def test_people_come_near_each_other_and_passing_by_is_not_meeting() -> None:
    def meeting(t: float) -> list[Track]:
        return [track(1, square(0.3, 0.5, 0.3)), track(2, square(max(0.45, 0.9 - 0.1 * t), 0.5, 0.3))]

    def passing(t: float) -> list[Track]:
        return [track(1, square(0.5, 0.5, 0.1)), track(2, square(0.1 + 0.3 * t, 0.5, 0.1))]

    near = [e for e in play(Perception(), meeting, 8.0) if e.kind is EventKind.PROXIMITY]
    assert told(near) == [("proximity", (1, 2), pytest.approx(5.0, abs=0.6))]
    assert len(near[0].boxes_xyxy) == 2
    assert not [e for e in play(Perception(), passing, 2.5) if e.kind is EventKind.PROXIMITY]


def test_things_near_each_other_are_told_of_only_where_a_rule_asks() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.3, 0.5, 0.2), "car"), track(2, square(max(0.36, 0.9 - 0.1 * t), 0.5, 0.3))]

    rule = Rule(EventKind.PROXIMITY, label="person", near_label="car", seconds=3.0)
    assert not [e for e in play(Perception(), tracks, 12.0) if e.kind is EventKind.PROXIMITY]
    [event] = [e for e in play(Perception([rule]), tracks, 12.0) if e.kind is EventKind.PROXIMITY]
    assert matches(rule, event)
    assert not matches(Rule(EventKind.PROXIMITY, label="person", near_label="dog"), event)


def test_what_was_carried_and_put_down_is_left_behind() -> None:
    def tracks(t: float) -> list[Track]:
        person = 0.1 + 0.1 * min(t, 4.0) - 0.15 * max(0.0, t - 6.0)
        bag = 0.14 + 0.1 * min(t, 4.0)
        out = person < 0.02
        return [track(1, square(max(person, 0.0), 0.5, 0.4), state=LOST if out else LIVE),
                track(2, square(bag, 0.65, 0.1), "backpack")]  # fmt: skip

    apart = [e for e in play(Perception(), tracks, 14.0) if e.kind is EventKind.APART]
    assert [e.track_ids for e in apart] == [(2, 1)]
    assert len(apart[0].boxes_xyxy) == 2
    assert apart[0].boxes_xyxy[0][2] - apart[0].boxes_xyxy[0][0] < 0.1, "the backpack's box comes first"


def test_who_only_stood_beside_a_thing_leaves_nothing_behind() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.5 - 0.1 * max(0.0, t - 3), 0.5, 0.4)), track(2, square(0.52, 0.6, 0.1), "chair")]

    assert not [e for e in play(Perception(), tracks, 7.0) if e.kind is EventKind.APART]


def test_a_look_changes_once_after_it_was_described() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.5, 0.5, 0.2 if t < 5 else 0.4))]

    undescribed = Perception()
    assert not [e for e in play(undescribed, tracks, 10.0) if e.kind is EventKind.CHANGE]
    perception = Perception()
    play(perception, tracks, 3.0)
    perception.described(1)
    changes = [e for e in play(perception, tracks, 10.0, since=3.1) if e.kind is EventKind.CHANGE]
    assert told(changes) == [("change", (1,), pytest.approx(6.0, abs=0.3))]


def test_ticks_come_at_their_period() -> None:
    ticks = play(Perception([Rule(EventKind.TICK, seconds=4.0)]), lambda _: [], 13.0)
    assert [seconds(e.at) for e in ticks] == pytest.approx([4.0, 8.0, 12.0], abs=0.11)


def test_a_tick_of_a_kind_comes_only_while_there_is_one() -> None:
    def tracks(t: float) -> list[Track]:
        return [track(1, square(0.5, 0.5), "dog")] if t >= 5 else [track(2, square(0.5, 0.5), "cup")]

    rule = Rule(EventKind.TICK, "dog", seconds=4.0)
    ticks = [e for e in play(Perception([rule]), tracks, 14.0) if e.kind is EventKind.TICK]
    assert [seconds(tick.at) for tick in ticks] == pytest.approx([5.5, 9.5, 13.5], abs=0.2)
    assert {tick.track_ids for tick in ticks} == {(1,)}
    assert all(matches(rule, tick) for tick in ticks)


def test_the_composed_scene_is_told_as_it_was_made() -> None:
    perception, events = Perception((), story.REGIONS), []
    for new, when in story.updates():
        events += perception.step(new, when)
    kinds = (EventKind.ENTER, EventKind.EXIT, EventKind.LOST, EventKind.FOUND, EventKind.APART)
    times = [(e.kind.value, e.track_ids, round((e.at - story.START_AT).total_seconds())) for e in events]
    assert [entry for entry in sorted(times, key=lambda entry: entry[2]) if entry[0] in kinds] == [
        ("enter", (3,), 5), ("enter", (4,), 15), ("enter", (6,), 16), ("enter", (5,), 22), ("apart", (6, 4), 29),
        ("exit", (5,), 30), ("enter", (7,), 45), ("apart", (1, 3), 51), ("exit", (7,), 52), ("exit", (3,), 55),
        ("found", (5,), 58), ("lost", (1,), 60), ("found", (1,), 66), ("found", (3,), 71), ("exit", (1,), 81),
        ("exit", (4,), 81),
    ]  # fmt: skip
    assert not [e for e in events if 9 in e.track_ids]
