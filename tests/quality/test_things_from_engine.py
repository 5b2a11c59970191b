"""Somebody brings a thing and leaves it, and takes another away: what the rules tell of the light engine's own tracks.

A composed clip at 10 pictures a second, SAM on its virtual clock: the same tracks on every machine.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import cv2
import numpy as np
import pytest

from agent.rules import Firing
from agent.types import Region, RegionKind, RegionRule, RuleKind
from stream.engines.base import StepError
from stream.models.store import ModelStore
from stream.types import Prompt, PromptKind, TrackUpdate
from tests.composed_tracks import BEGIN, seconds
from tests.quality.cutouts import cutout
from tests.quality.run import WALKING_LATENCY_FRAMES, light_engine
from tests.quality.scenes import FPS, Mover, Scene, box_of
from tests.rule_scenes import fire

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
FRAMES, STEP = 9 * FPS, 3
PERSON, BROUGHT, TAKEN = 1, 2, 3
WALK = ((1.2, -80), (3.7, 200), (4.2, 200), (6.7, 520), (7.0, 520), (8.4, 720))
"""Where the person is, x in pixels by second: brings a thing until 3.7 s, is at the other one from 6.7 to 7 s."""
ASKED = {BROUGHT: 96, TAKEN: 6}
"""The frames on which a box is drawn around each thing."""
LEFT_S, GONE_S = 2.0, 1.0
ZONE = Region(
    "a" * 32,
    "Yard",
    RegionKind.ZONE,
    ((0.02, 0.4), (0.98, 0.4), (0.98, 0.98), (0.02, 0.98)),
    (
        RegionRule("1" * 32, RuleKind.LEFT, seconds=LEFT_S, cooldown_s=0),
        RegionRule("2" * 32, RuleKind.REMOVED, seconds=GONE_S, cooldown_s=0),
    ),
)


def mover(identity: int, name: str, height_px: int, y: float, path: tuple[tuple[float, float], ...]) -> Mover:
    picture = cutout(name).premultiplied
    width_px = max(1, round(picture.shape[1] * height_px / picture.shape[0]))
    shown = cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA).astype(np.float32)
    t, x = np.array(path).T
    positions = np.column_stack([np.interp(np.arange(FRAMES) / FPS, t, x), np.full(FRAMES, y)])
    flat = np.zeros(FRAMES)
    return Mover(identity, name, cutout(name).label, shown, positions, flat + 1, flat, identity)


def make_scene() -> Scene:
    beside = tuple((t, x + 25) for t, x in WALK)
    movers = (
        mover(PERSON, "person_blue", 220, 300, WALK),
        mover(BROUGHT, "orange", 80, 370, beside[:2]),
        mover(TAKEN, "ball_green", 80, 370, ((0.0, 545), *beside[4:])),
    )
    return Scene("things", "judged", 0, FRAMES, "town", np.zeros((FRAMES, 2)), movers, ())


def played(scene: Scene) -> list[tuple[TrackUpdate, datetime]]:
    engine = light_engine(scene, WALKING_LATENCY_FRAMES)
    tracker = engine.open_tracker()
    updates = []
    try:
        tracker.add_prompt(Prompt(PERSON, PromptKind.TEXT, text="person"))
        for k in range(0, scene.frames, STEP):
            frame, truth = scene.at(k)
            for thing in (identity for identity, asked in ASKED.items() if asked == k):
                box = box_of(truth.masks[thing])
                tracker.add_prompt(Prompt(thing, PromptKind.BOX, box_xyxy_px=box, frame=frame.ref))
            update = engine.step([(tracker, frame)])[0]
            if isinstance(update, StepError):
                raise update.error
            updates.append((update, BEGIN + timedelta(seconds=k / FPS)))
    finally:
        tracker.close()
        engine.close()
    return updates


@pytest.fixture(scope="module")
def told(model_store: ModelStore) -> dict[int, list[Firing]]:
    """What is told, by the thing that was asked for; 0 for anything else."""
    assert model_store.ready
    updates = played(make_scene())
    asked = {track.id: track.prompt_id for update, _ in updates for track in update.tracks}
    found: dict[int, list[Firing]] = {}
    for firing in fire([ZONE], iter(updates)):
        found.setdefault(asked[firing.track_ids[0]] or 0, []).append(firing)
    return found


def test_a_thing_that_is_put_down_and_stays_is_told_once_whoever_brought_it_is_away(
    told: dict[int, list[Firing]],
) -> None:
    [firing] = told[BROUGHT]
    assert firing.rule.kind is RuleKind.LEFT
    # The person begins to go at 4.2 s, and is a third of the thing's size away from it at 5.2 s.
    assert seconds(firing.at) == pytest.approx(5.2 + LEFT_S, abs=0.4)


def test_a_thing_that_is_taken_is_told_with_when_it_was_last_in_its_place(told: dict[int, list[Firing]]) -> None:
    [firing] = told[TAKEN]
    assert firing.rule.kind is RuleKind.REMOVED
    assert seconds(firing.at) == pytest.approx(7.1, abs=0.4)


def test_nothing_else_is_told(told: dict[int, list[Firing]]) -> None:
    """Not of the person, and of no thing that was there before or stays."""
    assert set(told) == {BROUGHT, TAKEN}
