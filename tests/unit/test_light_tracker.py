"""The tracker's behaviour, with a sight that sees a drawn world exactly."""

from __future__ import annotations

import numpy as np
import pytest

from stream.engines.light.tuning import TUNING
from stream.errors import BadInput, NotFound, UnknownWord
from stream.types import Point, Prompt, PromptChange, PromptKind, PromptState, Rle, TrackState
from tests.unit.light_world import GREEN, RED, Player, World, overlap, two_things


def test_a_box_is_followed_with_the_frames_own_mask() -> None:
    play = Player(World(things={"cup": (RED, (60, 60))}), latency=3)
    play.step(3)
    play.box(1, "cup")
    play.step(30, cup=(3, 2))
    (track,) = play.tracks.values()
    assert track.state is TrackState.LIVE
    assert track.prompt_id == 1
    assert overlap(track.mask, play.world, "cup") > 0.85


def test_a_text_prompt_finds_what_comes_into_a_picture_that_was_empty() -> None:
    play = Player(two_things(), latency=2)
    for name in ("cup", "person"):
        play.world.place(name, None)
    play.text(1, "cup")
    play.step(60)
    play.world.place("cup", (60, 60))
    tracks = play.step(30)
    assert [track.label for track in tracks.values()] == ["cup"]


def test_a_text_prompt_follows_all_that_have_the_name_and_new_ones_that_enter() -> None:
    play = Player(
        World(things={"a": (RED, (40, 40)), "b": (RED, (40, 150)), "late": (RED, None), "dog": (GREEN, (250, 20))})
    )
    play.step(2)
    play.text(1, "cups")
    play.step(20)
    assert [t.label for t in play.tracks.values()] == ["cup", "cup"]
    before = set(play.tracks)
    play.world.place("late", (200, 100))
    play.step(40)
    assert set(play.tracks) > before
    assert len(play.tracks) == 3
    assert all(t.state is TrackState.LIVE for t in play.tracks.values())


def test_several_words_at_once_and_what_is_not_understood_is_said() -> None:
    play = Player(two_things())
    play.step(1)
    change = play.tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="tall person and cup"))
    assert change.state is PromptState.ACTIVE
    assert change.message is not None
    assert "tall" in change.message
    play.step(20)
    assert {t.label for t in play.tracks.values()} == {"cup", "person"}


def test_an_unknown_word_is_refused_with_its_neighbours() -> None:
    play = Player(two_things())
    with pytest.raises(UnknownWord) as caught:
        play.text(1, "cuup")
    assert "cup" in caught.value.nearest
    play.step(5)
    assert play.tracks == {}


def test_the_other_ids_are_kept_when_one_is_removed() -> None:
    play = Player(two_things())
    play.step(1)
    play.box(1, "cup")
    play.box(2, "person")
    play.step(20)
    ids = {t.prompt_id: t.id for t in play.tracks.values()}
    assert set(ids) == {1, 2}
    play.tracker.remove_track(ids[1])
    play.step(20, person=(-2, 0))
    assert list(play.tracks) == [ids[2]]
    play.world.things["extra"] = GREEN, (20, 180)
    play.step(1)
    play.box(3, "extra")
    play.step(20)
    assert ids[2] in play.tracks
    assert max(play.tracks) > max(ids.values())


def test_a_tombstone_holds_and_is_lifted_under_the_same_id() -> None:
    play = Player(two_things())
    play.step(1)
    play.text(1, "cup")
    play.step(20)
    (track_id,) = play.tracks
    play.tracker.remove_track(track_id)
    play.step(90, cup=(1, 0))
    assert play.tracks == {}
    play.tracker.restore_track(track_id)
    play.step(5)
    assert list(play.tracks) == [track_id]
    assert overlap(play.tracks[track_id].mask, play.world, "cup") > 0.8


@pytest.mark.parametrize(("pictures", "place"), [(60, (100, 80)), (120, (180, 120))])
def test_a_removed_object_that_leaves_and_returns_stays_removed(pictures: int, place: tuple[int, int]) -> None:
    """Within reach after two seconds; anywhere after four."""
    play = Player(World(things={"cup": (RED, (60, 60))}))
    play.step(1)
    play.text(1, "cup")
    play.step(20)
    play.tracker.remove_track(next(iter(play.tracks)))
    play.step(10)
    play.world.place("cup", None)
    play.step(pictures)
    play.world.place("cup", place)
    play.step(90)
    assert play.tracks == {}


def test_restoring_takes_sixty_seconds_at_most() -> None:
    play = Player(two_things())
    play.step(1)
    play.box(1, "cup")
    play.step(10)
    (track_id,) = play.tracks
    play.tracker.remove_track(track_id)
    play.world.index += round(30 * (TUNING.restore_s + 1))
    play.step(2)
    with pytest.raises(NotFound):
        play.tracker.restore_track(track_id)


def test_a_prompt_is_restored_with_its_tracks_under_their_ids() -> None:
    play = Player(two_things())
    play.step(1)
    prompt = play.text(1, "cup, person")
    play.step(30)
    ids = set(play.tracks)
    assert len(ids) == 2
    play.tracker.remove_prompt(1)
    play.step(30)
    assert play.tracks == {}
    play.tracker.restore_prompt(prompt)
    play.step(3)
    assert set(play.tracks) == ids


def test_a_word_that_is_asked_for_again_shows_what_it_had_under_the_same_ids() -> None:
    play = Player(two_things(), latency=3)
    play.step(1)
    play.text(1, "cup")
    play.step(30)
    (track_id,) = play.tracks
    play.tracker.remove_prompt(1)
    play.step(30)
    assert play.tracks == {}
    play.text(2, "cup")
    play.step(3)
    (track,) = play.tracks.values()
    assert (track.id, track.prompt_id, track.state) == (track_id, 2, TrackState.LIVE)
    assert overlap(track.mask, play.world, "cup") > 0.8
    assert PromptChange(2, PromptState.ACTIVE, None, (track_id,)) in play.changes


def test_a_removed_track_is_not_restored_with_its_prompt() -> None:
    play = Player(two_things())
    play.step(1)
    prompt = play.text(1, "cup, person")
    play.step(30)
    cup = next(t.id for t in play.tracks.values() if t.label == "cup")
    play.tracker.remove_track(cup)
    play.tracker.remove_prompt(1)
    play.step(3)
    play.tracker.restore_prompt(prompt)
    play.step(3)
    assert [t.label for t in play.tracks.values()] == ["person"]


def test_a_lost_object_keeps_its_box_and_returns_under_its_id() -> None:
    play = Player(World(things={"cup": (RED, (60, 60))}))
    play.step(1)
    play.box(1, "cup")
    play.step(20)
    (track_id,) = play.tracks
    box = play.tracks[track_id].box_xyxy_px
    play.world.place("cup", None)
    play.step(60)
    lost = play.tracks[track_id]
    assert lost.state is TrackState.LOST
    assert lost.mask is None
    assert np.allclose(lost.box_xyxy_px, box, atol=12)
    play.world.place("cup", (200, 150))
    play.step(45)
    back = play.tracks[track_id]
    assert back.state is TrackState.LIVE
    assert overlap(back.mask, play.world, "cup") > 0.8


def test_something_else_that_comes_does_not_get_the_id() -> None:
    play = Player(World(things={"cup": (RED, (60, 60)), "other": (GREEN, None)}))
    play.step(1)
    play.box(1, "cup")
    play.step(20)
    play.world.place("cup", None)
    play.step(30)
    play.world.place("other", (70, 70))
    play.step(90)
    (track,) = play.tracks.values()
    assert track.state is TrackState.LOST


def test_a_lost_object_goes_after_its_time() -> None:
    play = Player(World(things={"cup": (RED, (60, 60))}))
    play.step(1)
    play.box(1, "cup")
    play.step(20)
    play.world.place("cup", None)
    play.step(20)
    play.world.index += round(30 * (TUNING.keep_lost_s + 1))
    (track,) = play.step(1).values()
    assert track.state is TrackState.GONE
    assert play.step(1) == {}


def test_a_click_on_nothing_fails_in_words() -> None:
    play = Player(World(things={}))
    play.step(1)
    play.tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(80, 80),)))
    play.step(3)
    (change,) = play.changes
    assert isinstance(change, PromptChange)
    assert change.state is PromptState.FAILED
    assert change.message


def test_a_prompt_before_the_first_picture_waits_for_it() -> None:
    play = Player(World(things={"cup": (RED, (60, 60))}))
    play.box(1, "cup")
    play.step(5)
    assert len(play.tracks) == 1


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        (Prompt(1, PromptKind.EXEMPLAR, box_xyxy_px=(1, 1, 9, 9)), "unsupported_prompt"),
        (Prompt(1, PromptKind.POINTS, points=(Point(900, 10),)), "out_of_picture"),
        (Prompt(1, PromptKind.POINTS, points=(Point(9, 10, positive=False),)), "unsupported_prompt"),
        (Prompt(1, PromptKind.BOX, box_xyxy_px=(50, 50, 20, 20)), "unsupported_prompt"),
        (Prompt(1, PromptKind.POINTS, points=(Point(9, 10),), track_id=99), "unknown_track"),
        (Prompt(1, PromptKind.MASK, mask=Rle((10, 10), "nonsense")), "bad_message"),
        (Prompt(1, PromptKind.TEXT, text="cup", positive=False), "unsupported_prompt"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused_and_changes_nothing(prompt: Prompt, code: str) -> None:
    play = Player(two_things())
    play.step(2)
    with pytest.raises(BadInput) as caught:
        play.tracker.add_prompt(prompt)
    assert caught.value.code == code
    play.step(3)
    assert play.tracks == {}
    assert play.changes == []


def test_a_still_picture_keeps_its_mask_and_comes_to_rest() -> None:
    play = Player(two_things(), latency=2)
    play.step(5)
    play.box(1, "cup")
    assert play.frame is not None
    for _ in range(10):
        play.feed(play.frame)
    first = play.tracks
    assert len(first) == 1
    assert not play.tracker.busy
    scene = play.tracker._scene
    assert scene is not None
    kept = len(scene.history)
    for _ in range(100):
        play.feed(play.frame)
    assert play.tracks == first
    assert len(scene.history) == kept


def test_tracks_survive_a_new_size_with_the_same_aspect() -> None:
    play = Player(World(size=(640, 480), side=80, things={"cup": (RED, (120, 120))}))
    play.step(1)
    play.box(1, "cup")
    play.step(10)
    (track_id,) = play.tracks
    smaller = World(size=(320, 240), side=40, things={"cup": (RED, (60, 60))}, index=play.world.index)
    play.world = smaller
    play.step(1)
    assert overlap(play.tracks[track_id].mask, smaller, "cup") > 0.7
    play.step(20, cup=(1, 0))
    assert play.tracks[track_id].state is TrackState.LIVE
    assert overlap(play.tracks[track_id].mask, smaller, "cup") > 0.8


def test_tracks_are_found_again_after_a_new_aspect() -> None:
    play = Player(World(size=(640, 480), side=60, things={"cup": (RED, (120, 120))}))
    play.step(1)
    play.box(1, "cup")
    play.step(10)
    (track_id,) = play.tracks
    play.world = World(size=(360, 640), side=60, things={"cup": (RED, (90, 300))}, index=play.world.index)
    play.step(60)
    assert play.tracks[track_id].state is TrackState.LIVE
    assert overlap(play.tracks[track_id].mask, play.world, "cup") > 0.7


def test_tracks_survive_a_new_epoch() -> None:
    play = Player(World(things={"cup": (RED, (60, 60))}))
    play.step(1)
    play.box(1, "cup")
    play.step(20)
    (track_id,) = play.tracks
    age = play.tracks[track_id].age_s
    for _ in range(10):
        index = play.world.index + 1
        frame = play.world.frame(epoch=1)
        assert frame.index == index
        play.feed(frame)
    assert play.tracks[track_id].state is TrackState.LIVE
    assert play.tracks[track_id].age_s > age
