"""Clicks on the light tracker: late ones, negative ones, and what is shown at first sight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stream.engines.light.sight import Answer, Ask, Sighting, Target, View
from stream.engines.places import carry_points
from stream.errors import FrameTooOld
from stream.types import FrameRef, Point, Prompt, PromptChange, PromptKind, PromptState, TrackState
from tests.unit.light_world import RED, ColourSight, Player, World, overlap, two_things, without_half


def test_a_late_click_lands_on_what_was_clicked() -> None:
    play = Player(World(size=(640, 480), side=60, things={"cup": (RED, (60, 200))}), latency=3)
    play.step(10, cup=(10, 0))
    assert play.frame is not None
    seen, at = play.frame.ref, play.world.middle("cup")
    play.step(9, cup=(10, 0))
    play.tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(*at),), frame=seen))
    play.step(8, cup=(10, 0))
    (track,) = play.tracks.values()
    assert overlap(track.mask, play.world, "cup") > 0.6


def test_points_are_carried_forward_with_what_is_under_them() -> None:
    play = Player(World(size=(640, 480), things={"cup": (RED, (60, 200))}))
    play.step(10, cup=(10, 0))
    scene = play.tracker._scene
    assert scene is not None
    assert play.frame is not None
    moment = scene.history.at(play.frame.ref)
    x, y = play.world.middle("cup")
    play.step(9, cup=(10, 0))
    assert moment is not None
    ((cx, cy, positive),) = carry_points([(x, y, True)], moment, scene.history, scene.grid)
    assert positive
    assert abs(cx - (x + 90)) < 15
    assert abs(cy - y) < 15


def test_a_click_on_a_picture_that_is_too_old_is_refused() -> None:
    play = Player(two_things())
    play.step(1)
    assert play.frame is not None
    old = play.frame.ref
    play.step(90)
    with pytest.raises(FrameTooOld):
        play.tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(80, 80),), frame=old))
    with pytest.raises(FrameTooOld):
        play.tracker.add_prompt(Prompt(2, PromptKind.POINTS, points=(Point(80, 80),), frame=FrameRef(7, old.rtp)))


def test_a_negative_click_cuts_away_and_the_id_stays() -> None:
    play = Player(World(size=(640, 480), side=80, things={"cup": (RED, (200, 200))}), sight=Stubborn())
    play.step(1)
    play.box(1, "cup")
    play.step(10)
    (track,) = play.tracks.values()
    play.tracker.add_prompt(
        Prompt(2, PromptKind.POINTS, points=(Point(240, 240), Point(210, 240, positive=False)), track_id=track.id)
    )
    play.step(5)
    (after,) = play.tracks.values()
    assert after.id == track.id
    assert after.box_xyxy_px[0] > track.box_xyxy_px[0] + 20
    assert PromptChange(2, PromptState.ACTIVE, None, (track.id,)) in play.changes


class Glancing(ColourSight):
    """At first sight takes a thing for its left half, and never refreshes."""

    def glance(self, view: View, ask: Ask) -> Answer | None:
        answer = super().first(view, ask)
        box = answer.patch.box() if answer else None
        if answer is None or box is None:
            return None
        half = without_half(answer.patch, box[2] - 1, box[1])
        return replace(answer, patch=half, look=self._look(view, half))

    def refresh(self, view: View, targets: Sequence[Target], pad: float) -> dict[int, Sighting]:
        return {}


def test_a_click_shows_what_is_seen_at_first_sight_and_then_corrects_it() -> None:
    play = Player(World(size=(640, 480), side=80, things={"cup": (RED, (200, 200))}), latency=3, sight=Glancing())
    play.step(2)
    play.tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(230, 240),)))
    play.step(3, cup=(2, 0))
    (early,) = play.tracks.values()
    assert 0.4 < overlap(early.mask, play.world, "cup") < 0.6
    assert play.changes == [PromptChange(1, PromptState.ACTIVE, None, (early.id,))]
    play.step(6, cup=(2, 0))
    (late,) = play.tracks.values()
    assert (late.id, late.state) == (early.id, TrackState.LIVE)
    assert overlap(late.mask, play.world, "cup") > 0.85
    scene = play.tracker._scene
    assert scene is not None
    assert scene.objects[late.id].area > 6000


@pytest.mark.parametrize("frames", [1, 4])
def test_what_is_clicked_and_removed_again_at_once_does_not_appear(frames: int) -> None:
    play = Player(World(size=(640, 480), side=80, things={"cup": (RED, (200, 200))}), latency=3, sight=Glancing())
    play.step(2)
    play.tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(230, 240),)))
    play.step(frames)
    play.tracker.remove_prompt(1)
    play.step(12)
    assert play.tracks == {}


@pytest.mark.parametrize("whole_prompt", [True, False])
def test_what_was_removed_and_is_clicked_again_has_its_whole_mask(whole_prompt: bool) -> None:
    play = Player(World(size=(640, 480), side=80, things={"cup": (RED, (200, 200))}))
    play.step(2)
    play.box(1, "cup")
    play.step(10)
    (first,) = play.tracks
    if whole_prompt:
        play.tracker.remove_prompt(1)
    else:
        play.tracker.remove_track(first)
    play.step(10)
    play.box(2, "cup")
    play.step(10, cup=(2, 0))
    (track,) = play.tracks.values()
    assert track.prompt_id == 2
    assert overlap(track.mask, play.world, "cup") > 0.85


class Stubborn(ColourSight):
    """Never refreshes, so that what a click did can be seen."""

    def refresh(self, view, targets, pad):  # type: ignore[no-untyped-def]
        return {}
