"""Parts of a step are timed where somebody measures, and cost and say nothing otherwise."""

from __future__ import annotations

from stream.engines.light.engine import LightEngine
from stream.stages import StageClock, Timed, timed
from stream.types import Prompt, PromptKind, TrackUpdate
from tests.sam3_world import Stage, Thing, World, still
from tests.unit.light_world import World as LightWorld
from tests.unit.light_world import two_things


def test_parts_of_one_name_are_added_and_taken_once() -> None:
    clock = StageClock()
    with clock.part("a"):
        pass
    assert clock.take() == {}
    clock.on = True
    for name in ("a", "b", "a"):
        with clock.part(name):
            pass
    taken = clock.take()
    assert set(taken) == {"a", "b"}
    assert min(taken.values()) >= 0
    assert clock.take() == {}


def test_results_without_times_are_as_they_were() -> None:
    update = TrackUpdate(1, 1, 1, 1, None, 4, 4, ())
    assert timed([update], {})[0] is update
    (with_times,) = timed([update], {"a": 2.0})
    assert isinstance(with_times, TrackUpdate)
    assert with_times.timings_ms == {"a": 2.0}


def test_the_light_engine_says_what_its_step_consists_of() -> None:
    world: LightWorld = two_things()
    engine = LightEngine(None, background=False)
    assert isinstance(engine, Timed)
    tracker = engine.open_tracker()
    (before,) = engine.step([(tracker, world.frame())])
    engine.measure(True)
    (after,) = engine.step([(tracker, world.frame())])
    assert isinstance(before, TrackUpdate)
    assert isinstance(after, TrackUpdate)
    assert before.timings_ms == {}
    assert list(after.timings_ms) == ["preprocess", "flow", "post", "encode_masks"]


def test_the_sam3_engine_says_what_its_step_consists_of() -> None:
    stage = Stage(World({"cup": Thing("cup", still(0.1, 0.1, 0.4, 0.4))}))
    stage.tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="cup"))
    assert stage.see(2).timings_ms == {}
    stage.engine.measure(True)
    assert set(stage.see().timings_ms) == {
        "preprocess", "backbone", "memory_attention", "detector", "post", "copy", "decide", "memory_encoder",
    }  # fmt: skip
