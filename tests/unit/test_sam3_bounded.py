"""Wild streams on the sam3 engine: things that come and go, prompts at random, faults. All stays bounded, in order."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import replace

import numpy as np
import pytest
import torch

from stream.engines.base import StepError
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.network import Network
from stream.engines.sam3.policy import Policy
from stream.errors import OnlookerError
from stream.types import Point, Prompt, PromptKind, TrackState, TrackUpdate
from tests.memory import Growth
from tests.sam3_scene import tensor_bytes
from tests.sam3_shaped import made_sure
from tests.sam3_stock import LetterTokens
from tests.sam3_world import SIZE, Box, Stage, Thing, World, frame_of
from tests.tiny_sam3 import tiny_model

STREAMS = 2
FRAMES = 160
CAPACITY = 14
MOST = 8
POLICY = replace(Policy(), most_objects=MOST, keep_lost_s=1.0, restore_s=1.0)
WORDS = ("cup", "dog", "cat")


def wanderer(drawn: np.random.Generator, word: str) -> Thing:
    """A box that walks about, and is out of sight now and then."""
    start, speed = drawn.uniform(0, 0.7, 2), drawn.uniform(-0.01, 0.01, 2)
    size, period, off = drawn.uniform(0.08, 0.3, 2), int(drawn.integers(20, 60)), int(drawn.integers(0, 20))

    def path(frame: int) -> Box | None:
        if frame % period < off:
            return None
        x, y = (start + speed * frame) % 0.7
        return float(x), float(y), float(x + size[0]), float(y + size[1])

    return Thing(word, path, followed=bool(drawn.random() < 0.5))


def act(drawn: np.random.Generator, stage: Stage, stream: int, number: int, shown: list[int]) -> None:
    """One thing that a user may do; refusals are part of it."""
    tracker = stage.trackers[stream]
    x, y = (float(value) for value in drawn.uniform(0.05, 0.9, 2))
    box = (x * SIZE[0], y * SIZE[1], min(1.0, x + 0.2) * SIZE[0], min(1.0, y + 0.2) * SIZE[1])
    track = int(drawn.choice(shown)) if shown else 1
    one = Prompt(number, PromptKind.TEXT, text=str(drawn.choice(WORDS)))
    point = (Point(x * SIZE[0], y * SIZE[1]),)
    deeds = (
        lambda: tracker.add_prompt(one),
        lambda: tracker.add_prompt(replace(one, kind=PromptKind.POINTS, text=None, points=point)),
        lambda: tracker.add_prompt(replace(one, kind=PromptKind.POINTS, text=None, points=point, track_id=track)),
        lambda: tracker.add_prompt(replace(one, kind=PromptKind.BOX, text=None, box_xyxy_px=box)),
        lambda: tracker.add_prompt(
            replace(one, kind=PromptKind.EXEMPLAR, text=None, box_xyxy_px=box, positive=bool(drawn.random() < 0.5))
        ),
        lambda: tracker.remove_prompt(int(drawn.integers(1, number + 1))),
        lambda: tracker.remove_track(track),
        lambda: tracker.restore_track(int(drawn.integers(1, 12))),
        lambda: tracker.restore_prompt(replace(one, id=int(drawn.integers(1, number + 1)))),
    )
    with contextlib.suppress(OnlookerError):
        deeds[int(drawn.integers(len(deeds)))]()


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("seed", range(3))
def test_a_wild_stream_stays_in_order(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    worlds = [
        World({f"{word}{n}": wanderer(drawn, word) for n in range(4) for word in WORDS}, {50 + 30 * stream: "nan"})
        for stream in range(STREAMS)
    ]
    stage = Stage(*worlds, policy=POLICY, capacity=CAPACITY)
    known: list[set[int]] = [set() for _ in range(STREAMS)]
    ended: list[set[int]] = [set() for _ in range(STREAMS)]
    shown: list[list[int]] = [[] for _ in range(STREAMS)]
    for number in range(1, FRAMES):
        for stream in range(STREAMS):
            if drawn.random() < 0.2:
                act(drawn, stage, stream, number, shown[stream])
        for stream, result in enumerate(stage.step()):
            if isinstance(result, StepError):
                continue
            assert isinstance(result, TrackUpdate)
            present = [track.id for track in result.tracks if track.state is not TrackState.GONE]
            gone = [track.id for track in result.tracks if track.state is TrackState.GONE]
            assert len(set(present)) == len(present) <= MOST
            assert not set(present) & ended[stream], "an id was used again"
            assert all(new > max(known[stream], default=0) for new in set(present) - known[stream]), "ids count up"
            known[stream] |= set(present)
            ended[stream] |= set(gone)
            shown[stream] = present
            for track in result.tracks:
                x0, y0, x1, y1 = track.box_xyxy_px
                assert 0 <= x0 <= x1 <= SIZE[0]
                assert 0 <= y0 <= y1 <= SIZE[1]
                assert track.mask is None or track.state in (TrackState.LIVE, TrackState.TENTATIVE)
        held = sum(len(tracker._scene.objects) for tracker in stage.trackers)
        assert CAPACITY - len(stage.stepper.bank.free) == held
    assert all(len(ids) > 5 for ids in known)
    assert stage.engine.counters["begin_again"] >= 1
    for tracker in stage.trackers:
        tracker.close()
    assert len(stage.stepper.bank.free) == CAPACITY


ROUND = 50
"""Frames after which everything was removed, so that the state must be what it was."""
MOST_MIB = 1.0
"""Growth of resident memory in the last half; tensors and objects are counted exactly."""


def worn_engine(steps: int) -> Growth:
    """The whole engine with a tiny model: each round words, a click and a box are asked for, corrected and removed."""
    network = Network(made_sure(tiny_model(0, side=56)), device=torch.device("cpu"), dtype=torch.float32)
    engine = Sam3Engine.of(network, LetterTokens(), capacity=8, policy=replace(Policy(), restore_s=0.1, history_s=0.5))
    tracker, growth = engine.open_tracker(), Growth()
    state, held, most = engine.parts.stepper.nbytes, [], 0
    for step in range(steps):
        turn, phase = divmod(step, ROUND)
        number = 3 * turn + 1
        point = (Point(0.4 * SIZE[0], 0.5 * SIZE[1]),)
        if phase == 0:
            tracker.add_prompt(Prompt(number, PromptKind.POINTS, points=point))
            tracker.add_prompt(Prompt(number + 1, PromptKind.BOX, box_xyxy_px=(20, 20, 200, 160)))
        elif phase == 10:
            tracker.add_prompt(Prompt(number + 2, PromptKind.TEXT, text="thing"))
        elif phase == 30:
            for prompt in range(number, number + 3):
                tracker.remove_prompt(prompt)
        (update,) = engine.step([(tracker, frame_of(0, step))])
        assert isinstance(update, TrackUpdate)
        most = max(most, len(update.tracks))
        if phase == ROUND - 1:
            assert not engine.parts.stepper.bank.used
            gc.collect()
            held.append((tensor_bytes(), len(gc.get_objects())))
            growth.sample(step)
    assert most >= 2
    assert engine.parts.stepper.nbytes == state
    assert len({tensors for tensors, _ in held[2:]}) == 1, held
    # The interpreter's own caches come and go by a few.
    assert max(objects for _, objects in held[len(held) // 2 :]) <= max(objects for _, objects in held[2:4]) + 10, held
    return growth


@pytest.mark.soak
@pytest.mark.usefixtures("one_thread")
def test_2000_frames_through_the_whole_engine_leave_nothing_behind() -> None:
    samples = [mib for _, mib in worn_engine(2_000).samples]
    assert max(samples[len(samples) // 2 :]) - samples[len(samples) // 2] <= MOST_MIB, samples
