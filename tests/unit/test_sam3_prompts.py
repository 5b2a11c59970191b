"""Prompts of every kind on the sam3 engine: added, changed, removed and restored at any frame, together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernels import cpu
from stream.engines.sam3.policy import Policy
from stream.errors import BadInput, FrameTooOld, LimitReached, NotFound
from stream.types import FrameRef, Point, Prompt, PromptKind, PromptState, Rle, Track, TrackState, TrackUpdate
from tests.sam3_world import SIZE, Stage, Thing, World, frame_of, seen, still

CUP, MUG, DOG = (0.1, 0.1, 0.3, 0.4), (0.5, 0.5, 0.8, 0.8), (0.6, 0.1, 0.9, 0.3)


def table() -> World:
    return World({
        "cup": Thing("cup", still(*CUP)), "mug": Thing("cup", still(*MUG)), "dog": Thing("dog", still(*DOG)),
    })  # fmt: skip


def text(prompt_id: int, words: str) -> Prompt:
    return Prompt(prompt_id, PromptKind.TEXT, text=words)


def click(prompt_id: int, x: float, y: float, *, positive: bool = True, track_id: int | None = None) -> Prompt:
    """At `(x, y)` in [0, 1]."""
    point = Point(x * SIZE[0], y * SIZE[1], positive)
    return Prompt(prompt_id, PromptKind.POINTS, points=(point,), track_id=track_id)


def framed(prompt_id: int, box: tuple[float, ...], kind: PromptKind = PromptKind.BOX, **more: object) -> Prompt:
    x0, y0, x1, y1 = (value * SIZE[at % 2] for at, value in enumerate(box))
    return Prompt(prompt_id, kind, box_xyxy_px=(x0, y0, x1, y1), **more)  # type: ignore[arg-type]


def on(update: TrackUpdate, box: tuple[float, ...]) -> Track | None:
    """The track whose box is that of `box`."""
    wanted = [value * SIZE[at % 2] for at, value in enumerate(box)]
    return next((track for track in update.tracks if np.allclose(track.box_xyxy_px, wanted, atol=4)), None)


def ids(update: TrackUpdate) -> list[int]:
    return [track.id for track in update.tracks]


def test_without_prompts_nothing_is_looked_for() -> None:
    stage = Stage(table())
    assert stage.see(5).tracks == ()
    assert stage.network.asked == []
    assert stage.network.encoded == 0


def test_a_word_finds_all_that_it_names_and_they_are_shown_at_once() -> None:
    stage = Stage(table())
    assert stage.tracker.add_prompt(text(1, "cup")).state is PromptState.ACTIVE
    first = stage.see()
    assert [(track.label, track.state, track.mask is not None) for track in first.tracks] == [
        ("cup", TrackState.TENTATIVE, True)
    ] * 2
    third = stage.see(2)
    assert ids(third) == ids(first) == [1, 2]
    assert {track.state for track in third.tracks} == {TrackState.LIVE}
    assert third.tracks[0].prompt_id == 1


def test_several_words_of_several_prompts_are_looked_for_in_one_call() -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup, dog"))
    stage.tracker.add_prompt(text(2, "Dog"))
    stage.see()
    assert [len(queries) for queries in stage.network.asked] == [3]
    assert stage.network.embedded == 2
    stage.see(20)
    assert stage.network.embedded == 2


def test_a_prompt_in_the_middle_keeps_all_ids() -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup"))
    before = ids(stage.see(5))
    stage.tracker.add_prompt(text(2, "dog"))
    assert ids(stage.see(3)) == [*before, 3]


def test_a_click_a_box_and_a_mask_begin_tracks_beside_words() -> None:
    stage = Stage(table())
    stage.see()
    stage.tracker.add_prompt(text(1, "dog"))
    assert stage.tracker.add_prompt(click(2, 0.2, 0.2)).state is PromptState.PENDING
    stage.tracker.add_prompt(framed(3, MUG))
    painted = np.zeros((24, 32), np.uint8)
    painted[3:7, 20:28] = 1
    stage.tracker.add_prompt(Prompt(4, PromptKind.MASK, mask=Rle((24, 32), cpu.rle(painted))))
    update = stage.see()
    assert {change.prompt_id: change.state for change in update.prompt_changes if change.prompt_id > 1} == {
        2: PromptState.ACTIVE, 3: PromptState.ACTIVE, 4: PromptState.ACTIVE,
    }  # fmt: skip
    cup, mug = on(update, CUP), on(update, MUG)
    assert cup is not None
    assert mug is not None
    assert (cup.prompt_id, cup.state, mug.prompt_id) == (2, TrackState.LIVE, 3)
    # The dog was painted: nothing of the prompt by words begins on it.
    dogs = [track for track in stage.see(3).tracks if track.prompt_id in (1, 4)]
    assert len({track.id for track in dogs}) == len(dogs)


def test_nothing_begins_twice_where_something_was_pointed_at() -> None:
    stage = Stage(table())
    stage.see()
    stage.tracker.add_prompt(click(1, 0.2, 0.2))
    stage.see(2)
    stage.tracker.add_prompt(text(2, "cup"))
    update = stage.see(4)
    assert sorted(track.prompt_id or 0 for track in update.tracks) == [1, 2]


def test_a_click_on_nothing_fails_with_what_to_do() -> None:
    stage = Stage(table())
    stage.see()
    stage.tracker.add_prompt(click(1, 0.05, 0.9))
    (change,) = stage.see().prompt_changes
    assert change.state is PromptState.FAILED
    assert change.message == "Nothing could be told apart there. Drag a box around the thing instead."
    assert stage.see().tracks == ()
    assert len(stage.stepper.bank.free) == stage.stepper.bank.capacity


def test_a_correction_uses_the_memory_and_keeps_the_id() -> None:
    stage = Stage(table())
    stage.see()
    stage.tracker.add_prompt(click(1, 0.2, 0.2))
    (track_id,) = ids(stage.see(3))
    stage.tracker.add_prompt(framed(2, MUG, track_id=track_id))
    stage.tracker.add_prompt(click(3, 0.6, 0.6, track_id=track_id))
    update = stage.see()
    assert [change.prompt_id for change in update.prompt_changes] == [2]
    assert ids(update) == [track_id]
    assert on(update, MUG) is not None
    assert [change.prompt_id for change in stage.see().prompt_changes] == [3]
    assert len(stage.stepper.refined) == 2
    frame = stage.next - 1
    assert [kept for (at, _), kept in stage.stepper.stored.items() if at == frame] == [("pinned", True)]


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (text(9, "cup"), "unsupported_prompt"),
        (framed(9, CUP, PromptKind.EXEMPLAR), "unsupported_prompt"),
    ],
)
def test_what_cannot_correct_a_track_is_refused(prompt: Prompt, code: str) -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup"))
    stage.see()
    with pytest.raises(BadInput) as refused:
        stage.tracker.add_prompt(replace(prompt, track_id=1))
    assert refused.value.code == code
    with pytest.raises(BadInput) as unknown:
        stage.tracker.add_prompt(replace(prompt, track_id=99))
    assert unknown.value.code == "unknown_track"


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(1, PromptKind.POINTS, points=(Point(5, 5, False),)),
        Prompt(1, PromptKind.POINTS),
        Prompt(1, PromptKind.BOX),
        Prompt(1, PromptKind.EXEMPLAR, positive=False),
        Prompt(1, PromptKind.MASK),
        Prompt(1, PromptKind.MASK, mask=Rle((4, 4), "@0")),
        Prompt(1, PromptKind.POINTS, points=(Point(5000, 5),)),
        text(1, " "),
    ],
)
def test_bad_prompts_are_refused_and_change_nothing(prompt: Prompt) -> None:
    stage = Stage(table())
    stage.see()
    with pytest.raises(BadInput):
        stage.tracker.add_prompt(prompt)
    assert not stage.tracker.busy
    assert stage.see().tracks == ()


def test_a_removed_prompt_comes_back_with_its_ids() -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup"))
    before = ids(stage.see(4))
    stage.tracker.remove_prompt(1)
    assert stage.see(10).tracks == ()
    stage.tracker.restore_prompt(text(1, "cup"))
    assert ids(stage.see()) == before


def test_a_new_prompt_for_the_same_thing_takes_its_tracks_over() -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup"))
    before = ids(stage.see(4))
    stage.tracker.remove_prompt(1)
    stage.see(3)
    stage.tracker.add_prompt(text(2, "Cup"))
    update = stage.see(4)
    assert ids(update) == before
    assert {track.prompt_id for track in update.tracks} == {2}


def test_a_removed_track_is_not_found_again_and_can_be_restored() -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup"))
    first, second = ids(stage.see(4))
    stage.tracker.remove_track(first)
    assert ids(stage.see(30)) == [second]
    stage.tracker.restore_track(first)
    assert ids(stage.see()) == [first, second]
    with pytest.raises(NotFound):
        stage.tracker.restore_track(first)


def test_a_tombstone_moves_with_the_thing_and_outlives_the_undo() -> None:
    policy = replace(Policy(), restore_s=1.0)
    walk = World({"cup": Thing("cup", lambda frame: (0.1 + 0.004 * frame, 0.1, 0.3 + 0.004 * frame, 0.4))})
    stage = Stage(walk, policy=policy)
    stage.tracker.add_prompt(text(1, "cup"))
    (track_id,) = ids(stage.see(4))
    stage.tracker.remove_track(track_id)
    assert stage.see(80).tracks == ()
    with pytest.raises(NotFound):
        stage.tracker.restore_track(track_id)
    # Without the prompt it guards nothing, and is forgotten.
    stage.tracker.remove_prompt(1)
    stage.see()
    assert len(stage.stepper.bank.free) == stage.stepper.bank.capacity
    stage.tracker.add_prompt(text(2, "cup"))
    assert ids(stage.see()) == [track_id + 1]


def test_an_example_finds_what_is_like_it() -> None:
    stage = Stage(table())
    stage.see()
    stage.tracker.add_prompt(framed(1, CUP, PromptKind.EXEMPLAR))
    update = stage.see()
    assert on(update, CUP) is not None
    assert on(update, MUG) is not None
    assert on(update, DOG) is None
    (query,) = stage.network.asked[-1]
    assert query.box_labels.tolist() == [1]
    changes = [change for change in stage.see(3).prompt_changes if change.message]
    assert changes == []
    assert {track.prompt_id for track in stage.see().tracks} == {1}


def test_an_example_of_the_unwanted_takes_its_track_away_for_all_words() -> None:
    stage = Stage(table())
    stage.tracker.add_prompt(text(1, "cup"))
    assert len(stage.see(4).tracks) == 2
    stage.tracker.add_prompt(framed(2, MUG, PromptKind.EXEMPLAR, positive=False))
    gone = stage.see()
    assert [track.state for track in gone.tracks] == [TrackState.LIVE, TrackState.GONE]
    assert on(gone, CUP) is not None
    later = stage.see(20)
    assert len(later.tracks) == 1
    (query,) = stage.network.asked[-1]
    assert query.box_labels.tolist() == [0]
    stage.tracker.remove_prompt(2)
    assert len(stage.see(6).tracks) == 2


def test_prompts_are_carried_from_the_picture_they_were_made_on() -> None:
    stage = Stage(table())
    stage.see(5)
    old = FrameRef(1, (stage.next - 4) * 3000)
    stage.tracker.add_prompt(replace(click(1, 0.2, 0.2), frame=old))
    assert on(stage.see(), CUP) is not None
    stage.see(60)
    with pytest.raises(FrameTooOld):
        stage.tracker.add_prompt(replace(click(2, 0.2, 0.2), frame=old))


def test_a_click_on_a_part_offers_the_whole() -> None:
    man = (0.25, 0.125, 0.75, 0.875)
    stage = Stage(World({"man": Thing("man", still(*man)), "hat": Thing("hat", still(0.3, 0.15, 0.5, 0.3))}))
    stage.tracker.add_prompt(text(1, "man"))
    stage.see(4)
    stage.tracker.add_prompt(click(2, 0.4, 0.2))
    (change,) = stage.see().prompt_changes
    assert change.state is PromptState.ACTIVE
    ((name, box),) = change.alternatives
    assert name == "whole"
    assert box == tuple(value * SIZE[at % 2] for at, value in enumerate(man))


def test_no_more_than_a_stream_can_hold() -> None:
    crowd = World({f"cup{i}": Thing("cup", still(0.1 * i, 0.1, 0.1 * i + 0.08, 0.2)) for i in range(9)})
    stage = Stage(crowd, policy=replace(Policy(), most_objects=4))
    stage.see()
    stage.tracker.add_prompt(text(1, "cup"))
    update = stage.see()
    assert len(update.tracks) == 4
    messages = [change.message for change in update.prompt_changes if change.message]
    assert messages == ["More is there than is followed: a stream has at most 4 objects. Remove some."]
    assert not any(change.message for change in stage.see().prompt_changes)
    with pytest.raises(LimitReached):
        stage.tracker.add_prompt(click(2, 0.85, 0.15))
    stage.tracker.remove_track(1)
    stage.tracker.add_prompt(click(3, 0.84, 0.15))
    assert any(change.prompt_id == 3 for change in stage.see().prompt_changes)


def test_streams_share_what_the_engine_can_hold() -> None:
    crowd = World({f"cup{i}": Thing("cup", still(0.1 * i, 0.1, 0.1 * i + 0.08, 0.2)) for i in range(9)})
    stage = Stage(crowd, table(), capacity=8)
    stage.trackers[0].add_prompt(text(1, "cup"))
    stage.trackers[1].add_prompt(text(1, "cup"))
    updates = stage.step(3)
    assert sum(len(update.tracks) for update in updates) == 8
    stage.trackers[0].close()
    stage.trackers[0].close()
    assert len(stage.stepper.bank.free) == 8 - len(updates[1].tracks)


def test_a_still_screen_is_stepped_until_what_was_asked_for_is_there() -> None:
    stage = Stage(table())
    stage.see(2)
    still_frame = frame_of(0, stage.next - 1)
    assert not stage.tracker.busy
    stage.tracker.add_prompt(text(1, "cup"))
    steps = 0
    while stage.tracker.busy:
        (update,) = stage.engine.step([(stage.tracker, still_frame)])
        steps += 1
        assert steps < 10
    assert isinstance(update, TrackUpdate)
    assert [track.state for track in update.tracks] == [TrackState.LIVE] * 2


def test_what_is_out_of_sight_is_lost_and_comes_back_as_itself() -> None:
    world = table()
    world.things["mug"].path = seen(still(*MUG), until=6, again=20)
    stage = Stage(world)
    stage.tracker.add_prompt(text(1, "cup"))
    first, second = ids(stage.see(6))
    lost = stage.see(4)
    assert [(track.id, track.state) for track in lost.tracks] == [(first, TrackState.LIVE), (second, TrackState.LOST)]
    assert lost.tracks[1].mask is None
    assert on(lost, MUG) is not None
    back = stage.see(12)
    assert [(track.id, track.state) for track in back.tracks] == [(first, TrackState.LIVE), (second, TrackState.LIVE)]
