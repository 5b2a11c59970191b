"""The light engine without models, at its limits, and its background thread."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from stream.engines.base import StepError
from stream.engines.grid import Grid, picture_of, shrink
from stream.engines.light.engine import LightEngine
from stream.engines.light.fallback import MovingThings, is_moving
from stream.engines.light.tracker import Eyes
from stream.engines.light.worker import Job, Worker
from stream.errors import ModelMissing
from stream.models.store import ModelStore
from stream.types import Point, Prompt, PromptKind, TrackState, TrackUpdate
from tests.unit.light_world import BLUE, GREEN, RED, ColourSight, Player, World, frame_of, overlap


def plain(**things: tuple[float, float] | None) -> tuple[LightEngine, World]:
    colours = {"cup": RED, "dog": GREEN, "person": BLUE}
    world = World(size=(320, 240), side=50, things={name: (colours[name], at) for name, at in things.items()})
    return LightEngine(None, background=False, sam_latency_frames=2), world


def test_without_models_it_says_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    for engine in (LightEngine(None, background=False), LightEngine(ModelStore(tmp_path), background=False)):
        assert engine.notes
        assert all(note.message and note.action for note in engine.notes)
        assert engine.words == ("moving",)
        tracker = engine.open_tracker()
        with pytest.raises(ModelMissing) as caught:
            tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="person"))
        assert "models fetch" in caught.value.action
        engine.close()


@pytest.mark.parametrize("kind", [PromptKind.BOX, PromptKind.POINTS])
def test_without_models_a_region_that_was_pointed_at_is_followed(kind: PromptKind) -> None:
    engine, world = plain(cup=(60, 80))
    tracker = engine.open_tracker()
    engine.step([(tracker, world.frame())])
    x, y = world.middle("cup")
    if kind is PromptKind.BOX:
        tracker.add_prompt(Prompt(1, kind, box_xyxy_px=(x - 30, y - 30, x + 30, y + 30)))
    else:
        tracker.add_prompt(Prompt(1, kind, points=(Point(x, y),)))
    for k in range(30):
        world.place("cup", (60 + 2 * k, 80 + k))
        update = engine.step([(tracker, world.frame())])[0]
    assert isinstance(update, TrackUpdate)
    (track,) = update.tracks
    assert overlap(track.mask, world, "cup") > 0.8
    engine.close()


def test_without_models_what_moves_is_followed_and_what_stands_is_not() -> None:
    engine, world = plain(cup=None, dog=(250, 170))
    tracker = engine.open_tracker()
    tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="anything that moves"))
    for _ in range(20):
        engine.step([(tracker, world.frame())])
    for k in range(45):
        world.place("cup", (10 + 4 * k, 60))
        update = engine.step([(tracker, world.frame())])[0]
    assert isinstance(update, TrackUpdate)
    shown = [t for t in update.tracks if t.mask is not None]
    assert [t.label for t in shown] == ["moving"]
    assert overlap(shown[0].mask, world, "cup") > 0.6
    engine.close()


def test_words_for_motion() -> None:
    assert is_moving("Motion")
    assert is_moving("  anything   that moves ")
    assert not is_moving("moving van")


def test_a_still_background_has_no_moving_things() -> None:
    _, world = plain(dog=(50, 50))
    grid = Grid.of(320, 240)
    moving = MovingThings()
    small = shrink(world.picture(), grid.flow)
    assert [moving.watch(small, grid) for _ in range(30)] == [[]] * 30


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (2, 300), (300, 2), (33, 17), (1920, 1080), (4096, 64)])
def test_pictures_of_any_size_are_taken(size: tuple[int, int]) -> None:
    width, height = size
    engine = LightEngine(None, background=False, sam_latency_frames=1)
    tracker = engine.open_tracker()
    rng = np.random.default_rng(1)
    middle = Point(width / 2, height / 2)
    for k in range(6):
        frame = frame_of(rng.integers(0, 255, (height, width, 3)).astype(np.uint8), k)
        if k == 1:
            tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(middle,)))
            tracker.add_prompt(Prompt(2, PromptKind.BOX, box_xyxy_px=(0, 0, width / 2, height / 2)))
            tracker.add_prompt(Prompt(3, PromptKind.TEXT, text="moving"))
        result = engine.step([(tracker, frame)])[0]
        assert isinstance(result, TrackUpdate), result
    engine.close()


def test_the_size_may_change_at_any_frame() -> None:
    engine = LightEngine(None, background=False, sam_latency_frames=1)
    tracker = engine.open_tracker()
    rng = np.random.default_rng(1)
    for k, (width, height) in enumerate([(320, 240), (16, 16), (640, 480), (240, 320), (2, 2), (320, 240)] * 3):
        frame = frame_of(rng.integers(0, 255, (height, width, 3)).astype(np.uint8), k)
        result = engine.step([(tracker, frame)])[0]
        assert isinstance(result, TrackUpdate), result
        tracker.add_prompt(Prompt(k + 1, PromptKind.BOX, box_xyxy_px=(0, 0, width / 2, height / 2)))
    engine.close()


def test_large_pictures_are_shrunk_before_they_are_converted() -> None:
    frame = frame_of(np.full((1080, 1920, 3), 90, np.uint8), 0)
    picture = picture_of(frame)
    assert picture.shape == (720, 1280, 3)
    assert abs(int(picture.mean()) - 90) < 3


@pytest.mark.logs_errors
def test_one_streams_fault_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    engine, world = plain(cup=(60, 80))
    good, closed = engine.open_tracker(), engine.open_tracker()
    broken = frame_of(world.picture(), 0)
    object.__setattr__(broken, "uv", np.zeros((1, 1, 1), np.uint8))
    results = engine.step([(closed, broken), (good, world.frame())])
    assert isinstance(results[0], StepError)
    assert isinstance(results[1], TrackUpdate)
    assert "could not be tracked" in caplog.text
    engine.close()


def test_memory_and_state_are_bounded() -> None:
    world = World(size=(160, 120), side=24, things={"cup": (RED, (20, 20)), "dog": (GREEN, (100, 60))})
    play = Player(world, latency=2)
    play.text(1, "cup, dog")
    process, sizes = psutil.Process(), []
    for k in range(2000):
        world.place("cup", (20 + 40 * np.sin(k / 30) + 40, 20 + 10 * np.cos(k / 17)))
        if k % 100 == 50:
            world.place("dog", None if k % 200 == 50 else (100, 60))
        if k % 7 == 0:
            play.tracker.add_prompt(Prompt(k + 2, PromptKind.BOX, box_xyxy_px=(0, 0, 30, 30)))
        if k % 7 == 3:
            play.tracker.remove_prompt(k - 1)
        play.feed(world.frame())
        play.changes.clear()
        if k >= 1000 and k % 100 == 0:
            sizes.append(process.memory_info().rss)
    scene = play.tracker._scene
    assert scene is not None
    assert len(scene.objects) <= scene.tuning.most_tracks
    assert len(scene.history) <= 96
    growth = np.polyfit(np.arange(len(sizes)) * 100, sizes, 1)[0]
    assert growth * 10_000 < 40e6, "memory grows with every picture"


def test_the_background_thread_answers_and_ends() -> None:
    sight = ColourSight()
    world = World(things={"cup": (RED, (60, 60))})
    engine = LightEngine(None, background=True, eyes=Eyes(sight, detector=True))
    tracker = engine.open_tracker()
    engine.step([(tracker, world.frame())])
    tracker.add_prompt(Prompt(1, PromptKind.POINTS, points=(Point(80, 80),)))
    deadline = time.monotonic() + 20
    update = None
    while time.monotonic() < deadline and not (isinstance(update, TrackUpdate) and update.tracks):
        update = engine.step([(tracker, world.frame())])[0]
        time.sleep(0.002)
    assert isinstance(update, TrackUpdate)
    assert update.tracks[0].state is TrackState.LIVE
    tracker.close()
    engine.close()
    engine.close()
    assert "sam" not in {thread.name for thread in threading.enumerate()}


def test_no_answer_is_overwritten_before_it_is_taken() -> None:
    worker = Worker(background=True, latency_frames=0)
    lane = worker.join()
    seen: list[int] = []
    for k in range(3):
        job = Job("count", lambda k=k: k, seen.append)  # type: ignore[misc]
        while lane.waiting is not None:
            time.sleep(0.001)
            if len(seen) < k and (done := lane.take(0)):
                done.done(done.result)
        lane.submit(job, 0)
    deadline = time.monotonic() + 20
    while len(seen) < 3 and time.monotonic() < deadline:
        if done := lane.take(0):
            done.done(done.result)
        time.sleep(0.001)
    assert seen == [0, 1, 2]
    worker.close()


@pytest.mark.logs_errors
def test_a_failing_job_is_logged_and_answers_nothing(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker(background=False, latency_frames=2)
    lane = worker.join()
    seen: list[object] = []
    lane.submit(Job("broken", lambda: 1 / 0, seen.append), 5)
    assert lane.take(6) is None
    done = lane.take(7)
    assert done is not None
    assert done.result is None
    assert "broken failed" in caplog.text


def test_the_virtual_clock_holds_answers_back_by_their_cost() -> None:
    worker = Worker(background=False, latency_frames=3)
    lane = worker.join()
    lane.submit(Job("look", lambda: "seen", print, cost=2.0), 10)
    assert lane.busy
    assert [lane.take(step) is not None for step in range(11, 18)] == [False] * 5 + [True, False]
    assert not lane.busy
