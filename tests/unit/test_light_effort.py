"""With less effort the light engine follows the same things under the same ids, and does less."""

from __future__ import annotations

import pytest

from stream.engines.grid import Grid
from stream.engines.light.effort import EFFORTS
from stream.engines.light.tuning import TUNING
from stream.relief import FULL
from stream.types import TrackState
from tests.unit.light_world import Player, overlap, two_things

SECOND = 30
MOVES = {"cup": (1.0, 0.5), "person": (-0.5, 0.3)}


@pytest.mark.parametrize("effort", EFFORTS)
def test_tracks_keep_their_ids_and_masks_through_less_and_full_effort(effort: object) -> None:
    player = Player(two_things())
    player.text(1, "person")
    player.step(2)
    player.box(2, "cup")
    before = player.step(SECOND)
    assert len(before) == 2
    for now in (effort, FULL):
        player.engine.make_do(now)  # type: ignore[arg-type]
        after = player.step(2 * SECOND, **MOVES)
        assert {id for id, track in after.items() if track.state is TrackState.LIVE} == set(before)
        masks = {track.prompt_id: track.mask for track in after.values()}
        assert overlap(masks[1], player.world, "person") > 0.7
        assert overlap(masks[2], player.world, "cup") > 0.7
        for name, (dx, dy) in MOVES.items():
            player.step(SECOND, **{name: (-dx, -dy)})


def test_the_detector_looks_half_as_often_and_the_grid_is_smaller() -> None:
    counts = []
    for effort in (FULL, EFFORTS[-1]):
        player = Player(two_things())
        player.engine.make_do(effort)
        player.text(1, "person")
        for _ in range(3):
            player.step(SECOND, person=(1.0, 0.5))
            player.step(SECOND, person=(-1.0, -0.5))
        counts.append(player.engine.counters["detect"])
    assert counts[0] / counts[1] == pytest.approx(2, abs=0.3)
    grids = [Grid.of(1280, 720, effort.detail) for effort in (FULL, EFFORTS[-1])]
    assert [grid.mask for grid in grids] == [(640, 360), (512, 288)]
    assert [grid.flow for grid in grids] == [(320, 180), (256, 144)]


def test_a_click_under_way_is_answered_before_the_grid_changes() -> None:
    player = Player(two_things(), latency=8)
    player.step(3)
    player.box(1, "cup")
    player.step()
    player.engine.make_do(EFFORTS[-1])
    player.step(2 * SECOND)
    (track,) = player.tracks.values()
    assert track.state is TrackState.LIVE
    assert overlap(track.mask, player.world, "cup") > 0.7


def test_what_was_seen_on_an_older_grid_is_carried_on_it() -> None:
    player = Player(two_things())
    player.step(2)
    player.box(1, "cup")
    player.step(SECOND)
    scene = player.tracker._scene
    assert scene is not None
    view = scene.view()
    (patch,) = view.masks.values()
    player.step(4, cup=(3, 0))
    player.engine.make_do(EFFORTS[-1])
    player.step(4, cup=(3, 0))
    assert scene.grid != view.grid
    replay = scene.replay(patch, view)
    assert replay.travel[0] * view.grid.mask_per_flow[0] == pytest.approx(12, abs=1)


def test_full_effort_is_the_tuning_itself() -> None:
    from stream.engines.light.effort import tuned

    assert tuned(TUNING, FULL) is TUNING
