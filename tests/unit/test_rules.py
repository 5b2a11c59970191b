"""Rules of zones and lines: each kind, what narrows it, and what holds for all of them whatever is tracked."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.perceive.presences import Presences
from agent.perceive.regions import Observed, Regions
from agent.rules import Firing, RegionRules
from agent.rules.history import KEPT, MOST_BYTES, TrackHistory
from agent.rules.plain import rule_of, rule_plain
from agent.rules.replay import replay
from agent.rules.words import rule_words
from agent.schedule import Schedule
from agent.types import Direction, Region, RegionKind, RegionRule, RuleKind, Severity
from stream.errors import BadInput
from stream.types import Track, TrackState
from tests.composed_tracks import Tracks, at, seconds, square, track, update
from tests.rule_scenes import fire

YARD = Region("a" * 32, "Driveway", RegionKind.ZONE, ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))
FENCE = Region("b" * 32, "fence", RegionKind.LINE, ((0.5, 1.0), (0.5, 0.0)))
LIVE, LOST = TrackState.LIVE, TrackState.LOST


def rule(kind: RuleKind, **values: Any) -> RegionRule:
    return RegionRule(kind.value.ljust(32, "0"), kind, **{"cooldown_s": 0.0, **values})


def told(tracks: Tracks, until: float, *rules: RegionRule, region: Region = YARD, step: float = 0.1) -> list[Firing]:
    looks = ((update(k * step, tracks(k * step)), at(k * step)) for k in range(round(until / step) + 1))
    return fire([replace(region, rules=rules)], looks)


def times(fired: Iterable[Firing]) -> list[tuple[int, float]]:
    return [(firing.track_ids[0], round(seconds(firing.at), 1)) for firing in fired]


def person(x: float, y: float = 0.5, number: int = 1, **values: Any) -> Track:
    return track(number, square(x, y, 0.2), **values)


def there_and_back(t: float) -> list[Track]:
    """Into the yard at 3 s and out of it at 7 s."""
    return [person(0.8 - 0.1 * t if t < 5 else -0.2 + 0.1 * t)]


def test_who_enters_and_leaves_is_told_in_words() -> None:
    fired = told(there_and_back, 10, rule(RuleKind.ENTER), rule(RuleKind.LEAVE))
    assert [(f.rule.kind, round(seconds(f.at), 1)) for f in fired] == [(RuleKind.ENTER, 3.1), (RuleKind.LEAVE, 7.0)]
    assert fired[0].text == "Person [#1] entered Driveway."
    assert fired[0].boxes_xyxy[0] == pytest.approx(square(0.49, 0.5, 0.2))


def test_a_stay_is_told_once_it_is_long_enough() -> None:
    fired = told(lambda t: [person(0.2), person(0.8, number=2)], 40, rule(RuleKind.DWELL, seconds=30))
    assert times(fired) == [(1, 30.0)]
    assert fired[0].text == "Person [#1] has been in Driveway for 30 s."


def test_a_stay_that_ends_just_before_it_is_long_enough_is_not_told() -> None:
    """That somebody has left is sure only half a second later, and must not count as half a second more of staying."""
    fired = told(there_and_back, 10, rule(RuleKind.DWELL, seconds=4.1))
    assert fired == []
    assert times(told(there_and_back, 10, rule(RuleKind.DWELL, seconds=3.5))) == [(1, pytest.approx(6.6, abs=0.11))]


def test_who_steps_out_for_a_moment_loiters_and_does_not_dwell() -> None:
    def tracks(t: float) -> list[Track]:
        return [person(0.7 if 8 < t < 11 else 0.3), person(0.7 if 5 < t < 17 else 0.3, number=2)]

    fired = told(tracks, 24, rule(RuleKind.LOITER, seconds=20), rule(RuleKind.DWELL, seconds=15))
    assert [(f.rule.kind, *times([f])) for f in fired] == [(RuleKind.LOITER, (1, 20.0))]
    assert "about Driveway" in fired[0].text


@pytest.mark.parametrize(("op", "value", "expected"), [(">=", 2, [3.0]), ("<", 2, [0.0, 8.0]), ("==", 0, [12.0])])
def test_a_count_is_told_when_it_begins_to_hold(op: str, value: float, expected: list[float]) -> None:
    def tracks(t: float) -> list[Track]:
        x, y = (0.2 if t < 12 else 0.8), (0.3 if 3 <= t < 8 else 0.8)
        return [person(x), person(y, number=2)]

    fired = told(tracks, 20, rule(RuleKind.COUNT, op=op, value=value))
    assert [round(seconds(f.at), 1) for f in fired] == pytest.approx(expected, abs=0.21)


def test_a_line_is_crossed_one_way_or_the_other() -> None:
    both, forward, backward = (rule(RuleKind.CROSS, direction=way) for way in (None, *Direction))
    assert times(told(there_and_back, 10, both, region=FENCE)) == [(1, 3.0), (1, 7.1)]
    assert times(told(there_and_back, 10, forward, region=FENCE)) == [(1, 7.1)]
    assert times(told(there_and_back, 10, backward, region=FENCE)) == [(1, 3.0)]


def left_bag(t: float) -> list[Track]:
    """Somebody brings a bag at 6 s, puts it down and goes at 10 s."""
    x = 0.8 - 0.1 * t if t < 6 else 0.2 if t < 10 else 0.2 + 0.1 * (t - 10)
    bag = [track(9, square(0.22, 0.58, 0.08), "backpack")] if t >= 6 else []
    return [*([person(x)] if x < 0.95 else []), *bag, track(8, square(0.4, 0.2, 0.1), "chair")]


def test_a_thing_that_somebody_puts_down_and_leaves_is_told_and_what_was_there_before_is_not() -> None:
    [fired] = told(left_bag, 40, rule(RuleKind.LEFT, seconds=10))
    assert (fired.track_ids, fired.text) == ((9,), "Backpack [#9] was left in Driveway.")
    assert 20 < seconds(fired.at) < 22
    assert told(left_bag, 40, rule(RuleKind.LEFT, seconds=10, label="suitcase")) == []
    assert told(left_bag, 15, rule(RuleKind.LEFT, seconds=10)) == [], "they may come back"


def test_a_thing_that_is_taken_is_told_and_one_that_is_hidden_for_a_while_is_not() -> None:
    def tracks(t: float) -> list[Track]:
        hidden = 10 < t < 14 or t > 20
        return [track(5, square(0.2, 0.5, 0.1), "laptop", LOST if hidden else LIVE), person(0.25 if hidden else 0.8)]

    [fired] = told(tracks, 40, rule(RuleKind.REMOVED, seconds=6))
    assert times([fired]) == [(5, 20.0)]
    assert fired.text == "Laptop [#5] was taken from Driveway."

    def carried(t: float) -> list[Track]:
        return [track(5, square(0.2 + 0.05 * max(0.0, t - 10), 0.5, 0.1), "laptop")]

    assert times(told(carried, 24, rule(RuleKind.REMOVED, seconds=6))) == [(5, pytest.approx(10.5, abs=0.6))]


@pytest.mark.parametrize(
    ("values", "who"),
    [
        ({"label": "person"}, {1}), ({"label": "people"}, {1}), ({"label": "vehicles"}, {2}), ({"label": "dog"}, set()),
        ({"min_area": 0.1}, {2}), ({"max_area": 0.1}, {1}), ({"min_speed": 0.15}, {1}), ({"max_speed": 0.15}, {2}),
        ({}, {1, 2}),
    ],
)  # fmt: skip
def test_kind_size_and_speed_narrow_a_rule(values: dict[str, Any], who: set[int]) -> None:
    def tracks(t: float) -> list[Track]:
        return [person(0.8 - 0.1 * t), track(2, square(0.6 - 0.02 * t, 0.5, 0.6), "car")]

    assert {f.track_ids[0] for f in told(tracks, 7, rule(RuleKind.ENTER, **values))} == who


def test_what_happens_while_it_is_switched_off_is_not_told_and_what_lasts_is_told_when_it_is_switched_on() -> None:
    region = replace(YARD, rules=(rule(RuleKind.ENTER), rule(RuleKind.DWELL, seconds=5)))
    rules = RegionRules([region], armed=False)
    presences, watched = Presences(), Regions([region])
    fired: list[Firing] = []
    for k in range(151):
        rules.armed = k >= 100
        step, changes = presences.step(update(k / 10, [person(0.8 if k < 20 else 0.2)]), at(k / 10))
        fired += rules.step(Observed(step, watched.step(step, changes), watched))
    assert [(f.rule.kind, *times([f])) for f in fired] == [(RuleKind.DWELL, (1, 10.0))]
    assert rules.waits
    rules.armed = False
    assert not rules.waits


def test_a_rule_keeps_to_its_schedule() -> None:
    local = at(5)
    only = Schedule(since=local.time().replace(microsecond=0), until=(local + timedelta(minutes=5)).time())
    assert times(told(there_and_back, 10, rule(RuleKind.ENTER, schedule=only))) == []
    assert times(told(there_and_back, 10, rule(RuleKind.LEAVE, schedule=only))) == [(1, 7.0)]


def test_the_same_object_is_told_again_only_after_the_rest_and_another_at_once() -> None:
    def tracks(t: float) -> list[Track]:
        inside = int(t / 5) % 2 == 1
        return [person(0.2 if inside else 0.8), person(0.3 if inside else 0.7, number=2)]

    fired = times(told(tracks, 50, rule(RuleKind.ENTER, cooldown_s=12)))
    assert Counter(number for number, _ in fired) == {1: 3, 2: 3}
    assert [t for number, t in fired if number == 1] == [5.0, 25.0, 45.0]


def test_an_object_that_is_lost_and_found_in_the_zone_has_not_entered_again() -> None:
    def tracks(t: float) -> list[Track]:
        return [person(0.2, state=LOST if 5 < t < 12 else LIVE)]

    assert times(told(tracks, 30, rule(RuleKind.ENTER), rule(RuleKind.LEAVE))) == [(1, 0.0)]


def test_what_was_passed_out_of_sight_was_passed_in_the_middle_of_that_time() -> None:
    """Last seen at 2.9 s on the one side, at 3.8 s on the other."""
    spells = ((2.95, 0.8, LIVE), (3.75, 0.8, LOST), (9.0, 0.2, LIVE))

    def tracks(t: float) -> list[Track]:
        _, x, state = next(spell for spell in spells if t < spell[0])
        return [person(x, state=state)]

    for region, kind in ((YARD, RuleKind.ENTER), (FENCE, RuleKind.CROSS)):
        assert times(told(tracks, 8, rule(kind), region=region)) == [(1, pytest.approx(3.35, abs=0.06))]


def test_nobody_is_said_to_have_crossed_a_line_while_nobody_looked() -> None:
    """A new epoch, or a long gap, shows no way from one picture to the next."""
    for gap_s, epoch in ((0.1, 2), (8.0, 1)):
        before = [(update(k / 10, [person(0.3)]), at(k / 10)) for k in range(20)]
        after = [(update(2 + gap_s + k / 10, [person(0.7)], epoch), at(2 + gap_s + k / 10)) for k in range(20)]
        region = replace(FENCE, rules=(rule(RuleKind.CROSS),))
        assert fire([region], iter([*before, *after])) == []
    assert len(told(lambda t: [person(0.3 if t < 2 else 0.7)], 4, rule(RuleKind.CROSS), region=FENCE)) == 1


def test_whom_the_lower_edge_of_the_picture_cuts_off_stands_in_a_zone_that_ends_there() -> None:
    fired = told(lambda t: [track(1, (0.1, 0.5, 0.3, 1.0))], 3, rule(RuleKind.ENTER))
    assert times(fired) == [(1, 0.0)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.004))
def test_trembling_on_a_border_or_line_tells_nothing(seed: int, amplitude: float) -> None:
    """By less than the width of a border, however long."""
    chance = random.Random(seed)
    spots = [0.5 + chance.uniform(-amplitude, amplitude) for _ in range(120)]
    for region, kind in ((YARD, RuleKind.LEAVE), (FENCE, RuleKind.CROSS)):
        assert told(lambda t: [person(spots[round(10 * t)])], 11, rule(kind), region=region) == []


JOURNEYS = st.lists(st.tuples(st.floats(0.02, 0.98), st.integers(3, 40), st.booleans()), min_size=1, max_size=12)


def looks_of(journeys: list[list[tuple[float, int, bool]]]) -> list[list[Track]]:
    """Objects that jump from place to place, in sight or not."""
    paths = [[(x, seen) for x, length, seen in journey for _ in range(length)] for journey in journeys]
    looks: list[list[Track]] = [[] for _ in range(max(map(len, paths)))]
    for n, path in enumerate(paths):
        for look, (x, seen) in zip(looks, path, strict=False):
            look.append(person(x, 0.3 + 0.1 * n, n + 1, state=LIVE if seen else LOST))
    return looks


@settings(max_examples=40, deadline=None)
@given(st.lists(JOURNEYS, min_size=1, max_size=3), st.floats(0, 8))
@example([[(0.25, 6, True), (0.5, 29, True), (0.25, 4, True)]], 3.625)
def test_entering_and_leaving_take_turns_and_rests_are_kept(
    journeys: list[list[tuple[float, int, bool]]], cooldown_s: float
) -> None:
    looks = looks_of(journeys)
    pair = (rule(RuleKind.ENTER), rule(RuleKind.LEAVE))
    fired = told(lambda t: looks[round(10 * t)], (len(looks) - 1) / 10, *pair)
    for number in {f.track_ids[0] for f in fired}:
        kinds = [f.rule.kind for f in fired if f.track_ids[0] == number]
        assert kinds == [RuleKind.ENTER, RuleKind.LEAVE, *kinds][: len(kinds)]
    resting = told(lambda t: looks[round(10 * t)], (len(looks) - 1) / 10, rule(RuleKind.ENTER, cooldown_s=cooldown_s))
    for number in {f.track_ids[0] for f in resting}:
        entered = [f.at for f in resting if f.track_ids[0] == number]
        assert all(b - a >= timedelta(seconds=cooldown_s) for a, b in pairwise(entered))


@settings(max_examples=25, deadline=None)
@given(st.lists(JOURNEYS, min_size=1, max_size=3), st.sampled_from(list(RuleKind)), st.integers(0, 23))
def test_whatever_is_tracked_firings_are_of_known_objects_within_the_schedule(
    journeys: list[list[tuple[float, int, bool]]], kind: RuleKind, hour: int
) -> None:
    looks = looks_of(journeys)
    schedule = Schedule(since=time(hour), until=time((hour + 1) % 24))
    region = FENCE if kind is RuleKind.CROSS else YARD
    for fired in told(
        lambda t: looks[round(10 * t)], (len(looks) - 1) / 10, rule(kind, seconds=1, schedule=schedule), region=region
    ):
        assert schedule.covers(fired.at)
        assert set(fired.track_ids) <= {1, 2, 3}
        assert len(fired.boxes_xyxy) == len(fired.track_ids) == len(fired.labels)


def test_memory_is_bounded_for_a_stream_of_any_length() -> None:
    """New objects all the time; what is remembered is about those of the last minute or two."""
    rules = tuple(rule(kind, seconds=2, cooldown_s=5) for kind in RuleKind if kind is not RuleKind.CROSS)
    regions = [replace(YARD, rules=rules), replace(FENCE, rules=(rule(RuleKind.CROSS),))]
    running, presences, watched = RegionRules(regions), Presences(), Regions(regions)
    kept = []
    for k in range(6000):
        number = k // 20
        label = ("person", "backpack")[number % 2]
        step, changes = presences.step(
            update(k / 2, [track(number, square(0.3 + 0.02 * (k % 20), 0.5), label)]), at(k / 2)
        )
        running.step(Observed(step, watched.step(step, changes), watched))
        kept.append(running.kept + watched.kept + presences.kept)
    assert max(kept[4000:]) <= max(kept[:2000])
    assert max(kept) < 200


# --- what is recorded ------------------------------------------------------------------------------------------------


def test_what_is_recorded_is_played_again_as_it_was() -> None:
    history = TrackHistory()
    for k in range(200):
        history.add(update(k / 20, [*there_and_back(k / 20), track(2, square(0.1, 0.1), "red cup", LOST)]), at(k / 20))
    played = list(history.snapshot().updates())
    assert len(played) == 50
    last, when = played[-1]
    assert abs(when - at(9.8)) < timedelta(milliseconds=1)
    assert [(t.id, t.label, t.state) for t in last.tracks] == [(1, "person", LIVE), (2, "red cup", LOST)]
    assert last.tracks[0].box_xyxy_px == pytest.approx(there_and_back(9.8)[0].box_xyxy_px, abs=0.02)
    assert (last.epoch, last.pts, last.rtp) == (1, round(9.8 * 90_000), round(9.8 * 90_000))
    fired, count = replay(YARD, rule(RuleKind.ENTER, enabled=False), history.snapshot().updates(), 10)
    assert (times(fired), count) == ([(1, 3.2)], 1)


def test_an_hour_is_kept_and_no_more_than_the_bytes_allow() -> None:
    history = TrackHistory()
    for k in range(20_000):
        history.add(update(k / 5, [person(0.5)] * 3), at(k / 5))
    assert history.since is not None
    assert history.until is not None
    assert KEPT <= history.until - history.since <= KEPT + timedelta(minutes=2)
    assert history.size_bytes == pytest.approx(18_300 * (30 + 3 * 16), rel=0.03)
    crowd = TrackHistory()
    for k in range(2_500):
        crowd.add(update(k / 5, [track(n, square(0.5, 0.5), f"label {k} {n}") for n in range(200)]), at(k / 5))
    assert crowd.size_bytes <= MOST_BYTES + 200 * 300 * (16 + 64 + 60) + 1_000_000
    assert len(list(crowd.snapshot().updates())) < 2_500


def test_the_newest_firings_are_given_and_all_are_counted() -> None:
    looks = [(update(k / 2, [person(0.2 if k // 6 % 2 else 0.8)]), at(k / 2)) for k in range(400)]
    fired, count = replay(YARD, rule(RuleKind.ENTER), iter(looks), 5)
    assert (len(fired), count) == (5, 33)
    assert [f.at for f in fired] == sorted(f.at for f in fired)


# --- as plain values ------------------------------------------------------------------------------------------------

OPTIONAL = st.one_of(st.none(), st.floats(0, 0.5))
RULES = st.builds(
    RegionRule, id=st.just("a" * 32), kind=st.sampled_from(list(RuleKind)), label=st.sampled_from([None, "red cup"]),
    seconds=st.floats(0, 3600), direction=st.sampled_from([None, *Direction]), min_area=OPTIONAL, min_speed=OPTIONAL,
    schedule=st.sampled_from([None, Schedule(frozenset({0, 6}), time(22, 30), time(6), "Europe/Berlin")]),
    severity=st.sampled_from(list(Severity)), cooldown_s=st.floats(0, 100), enabled=st.booleans(), sound=st.booleans(),
)  # fmt: skip


@given(RULES)
def test_rules_come_back_from_plain_values_as_they_were(one: RegionRule) -> None:
    assert rule_of(rule_plain(one)) == one


def test_what_nobody_said_is_as_usual_and_limits_that_exclude_each_other_are_refused() -> None:
    assert rule_of({"id": "a" * 32, "kind": "loiter"}).seconds == 60
    assert rule_of({"id": "a" * 32, "kind": "enter"}).seconds == 0
    with pytest.raises(BadInput, match="over the one limit"):
        rule_of({"id": "a" * 32, "kind": "enter", "min_area": 0.5, "max_area": 0.1})


def test_every_kind_has_words() -> None:
    words = {kind: rule_words(rule(kind, label="person", seconds=30, value=3), YARD) for kind in RuleKind}
    assert words[RuleKind.DWELL] == "person stays in Driveway for 30 s"
    assert words[RuleKind.COUNT] == "at least 3 person in Driveway for 30 s"
    assert (
        rule_words(rule(RuleKind.CROSS, direction=Direction.FORWARD), FENCE)
        == "anything crosses the fence with the arrow"
    )
    assert len(set(words.values())) == len(RuleKind)
