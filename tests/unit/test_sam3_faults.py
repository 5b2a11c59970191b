"""One stream's fault is mended, or begins that stream's tracking again; the others do not notice."""

from __future__ import annotations

import pytest

from stream.engines.base import StepError
from stream.types import Point, Prompt, PromptKind, PromptState, TrackState, TrackUpdate
from tests.sam3_world import SIZE, Stage, Thing, World, seen, still

CUP = (0.1, 0.1, 0.3, 0.4)
FAULTS = ["nan", "raise", "oom", "memory"]
FAULTS_BEFORE_MEMORY = ["nan", "oom"]
LOGGED = {"raise", "memory"}


def desk(**faults: str) -> World:
    return World({"cup": Thing("cup", still(*CUP)), "dog": Thing("dog", still(0.6, 0.1, 0.9, 0.3))})


def follow(stage: Stage, stream: int) -> None:
    stage.trackers[stream].add_prompt(Prompt(1, PromptKind.TEXT, text="cup"))
    stage.trackers[stream].add_prompt(
        Prompt(2, PromptKind.POINTS, points=(Point(0.7 * SIZE[0], 0.2 * SIZE[1]),))
    )  # fmt: skip


def marked(fault: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.logs_errors] if fault in LOGGED else []


@pytest.mark.parametrize("fault", [pytest.param(fault, marks=marked(fault)) for fault in FAULTS])
def test_a_fault_is_that_streams_alone(fault: str) -> None:
    """It gets an error for one picture, and goes on with the ids that it had; the others do not notice."""
    stage = Stage(desk(), desk(), desk())
    for stream in range(3):
        follow(stage, stream)
    before = stage.step(6)
    stage.network.worlds[1].faults[6] = fault
    results = stage.step()
    assert isinstance(results[1], StepError)
    assert results[1].error.action
    for stream in (0, 2):
        assert isinstance(results[stream], TrackUpdate)
        assert [track.id for track in results[stream].tracks] == [track.id for track in before[stream].tracks]
    after = stage.step()
    for stream in range(3):
        assert [track.id for track in after[stream].tracks] == [track.id for track in before[stream].tracks]
        assert {track.state for track in after[stream].tracks} == {TrackState.LIVE}
    assert stage.engine.counters["begin_again"] == 1
    assert len(stage.stepper.bank.free) == stage.stepper.bank.capacity - 6


@pytest.mark.parametrize("fault", [pytest.param(fault, marks=marked(fault)) for fault in FAULTS])
def test_a_second_fault_soon_after_forgets_what_was_kept(fault: str) -> None:
    """The tracks end, and the prompts are followed again under new ids."""
    stage = Stage(desk(), desk(), desk())
    for stream in range(3):
        follow(stage, stream)
    before = stage.step(6)
    stage.network.worlds[1].faults.update({6: fault, 9: fault})
    stage.step(4)
    after = stage.step()
    ended = {track.id for track in after[1].tracks if track.state is TrackState.GONE}
    again = {track.id: track for track in after[1].tracks if track.state is not TrackState.GONE}
    assert ended == {track.id for track in before[1].tracks}
    assert not ended & set(again)
    assert {track.prompt_id for track in again.values()} == {1, 2}
    told = [(change.prompt_id, change.state, change.message) for change in after[1].prompt_changes]
    assert (1, PromptState.ACTIVE, "Tracking had to begin again.") in told
    assert (2, PromptState.PENDING, "Tracking had to begin again.") in told
    later = stage.step(4)
    assert {track.state for track in later[1].tracks} == {TrackState.LIVE}
    assert [track.id for track in later[0].tracks] == [track.id for track in before[0].tracks]
    assert stage.engine.counters["begin_again"] == 2
    assert len(stage.stepper.bank.free) == stage.stepper.bank.capacity - 6


@pytest.mark.parametrize("fault", FAULTS_BEFORE_MEMORY)
def test_what_was_removed_stays_removed_over_a_fault(fault: str) -> None:
    stage = Stage(desk())
    follow(stage, 0)
    cup, dog = sorted(track.id for track in stage.see(6).tracks)
    stage.tracker.remove_track(cup)
    stage.see()
    stage.network.worlds[0].faults[stage.next] = fault
    stage.step()
    for _ in range(12):
        assert [track.id for track in stage.see().tracks] == [dog]
    stage.tracker.restore_track(cup)
    assert sorted(track.id for track in stage.see().tracks) == [cup, dog]


@pytest.mark.parametrize("fault", FAULTS_BEFORE_MEMORY)
def test_a_click_on_the_picture_of_a_fault_counts_on_the_next(fault: str) -> None:
    stage = Stage(desk())
    stage.see(3)
    follow(stage, 0)
    stage.network.worlds[0].faults[stage.next] = fault
    stage.step()
    update = stage.see()
    assert {track.prompt_id for track in update.tracks} == {1, 2}
    assert (2, PromptState.ACTIVE) in [(change.prompt_id, change.state) for change in update.prompt_changes]


@pytest.mark.parametrize("fault", ["nan", "oom"])
def test_a_fault_that_stays_leaks_nothing(fault: str) -> None:
    stage = Stage(desk(), desk())
    for stream in range(2):
        follow(stage, stream)
    stage.step(5)
    stage.network.worlds[1].faults.update(dict.fromkeys(range(5, 40), fault))
    for _ in range(35):
        good, bad = stage.step()
        assert isinstance(bad, StepError)
        assert len(good.tracks) == 2
    healed = stage.step(4)[1]
    assert {track.prompt_id for track in healed.tracks if track.state is not TrackState.GONE} >= {1}
    assert len(stage.stepper.bank.free) >= stage.stepper.bank.capacity - 4


def test_what_was_out_of_sight_at_a_second_fault_must_be_pointed_at_again() -> None:
    path = seen(still(0.6, 0.1, 0.9, 0.3), until=3)
    world = World({"dog": Thing("dog", path)}, faults={7: "nan", 8: "nan"})
    stage = Stage(world)
    stage.see()
    stage.tracker.add_prompt(Prompt(2, PromptKind.POINTS, points=(Point(0.7 * SIZE[0], 0.2 * SIZE[1]),)))
    stage.see(6)
    stage.step(2)
    (change,) = stage.see().prompt_changes
    assert change.state is PromptState.FAILED
    assert change.message == "Tracking had to begin again. Point at the thing again."


@pytest.mark.logs_errors
def test_a_picture_that_cannot_be_read_is_that_streams_fault() -> None:
    stage = Stage(desk(), desk())
    for stream in range(2):
        follow(stage, stream)
    stage.step(4)
    broken = stage.trackers[1]
    real = stage.engine.parts.preprocessor

    def refuses(frames: object) -> object:
        raise ValueError("not a picture")

    object.__setattr__(broken, "_parts", _with(broken._parts, refuses))
    good, bad = stage.step()
    assert isinstance(bad, StepError)
    assert len(good.tracks) == 2
    object.__setattr__(broken, "_parts", _with(broken._parts, real))
    assert isinstance(stage.step()[1], TrackUpdate)


def _with(parts: object, preprocessor: object) -> object:
    from dataclasses import replace

    return replace(parts, preprocessor=preprocessor)  # type: ignore[type-var]
