"""The sam3 engine as a whole: what it makes of a known world, and that with stock's policy it is stock."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from transformers import Sam3VideoModel

from kernels import cpu
from stream.engines.sam3.detection import ConceptStore, Doubt, crosses, is_due
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.tracker import Parts
from stream.relief import FULL
from stream.types import Prompt, PromptKind, TrackUpdate
from tests.sam3_scene import pictures
from tests.sam3_stock import Appearance, LetterTokens, Stock, StockNetwork, StockStepper
from tests.sam3_world import Stage, Thing, Words, World, frame_of, seen, still
from tests.tiny_sam3 import tiny_model

pytestmark = pytest.mark.usefixtures("one_thread")

SIDE = 112
FRAMES = 124
GAIN = 0.7
"""How much of the amplification is kept: with all of it the last bit of a number decides the picture after a second."""


def follow(stage: Stage, words: str, stream: int = 0) -> None:
    stage.trackers[stream].add_prompt(Prompt(1, PromptKind.TEXT, text=words))


def states(update: TrackUpdate) -> dict[int, str]:
    return {track.id: track.state.value for track in update.tracks}


# --- the detector's pace


def test_the_detector_looks_now_and_then_and_at_once_where_something_is_in_doubt() -> None:
    policy, calm = Policy(), Doubt(asked=False, tentative=False, lost=False)
    assert [is_due(since, calm, policy) for since in (1, 3, 4)] == [False, False, True]
    assert [is_due(since, replace(calm, lost=True), policy) for since in (1, 2)] == [False, True]
    assert is_due(1, replace(calm, tentative=True), policy)
    assert is_due(1, replace(calm, asked=True), policy)


def test_reconditioning_comes_round_whatever_the_pace() -> None:
    assert [frame for frame in range(1, 40) if crosses(frame, frame - 1, 16)] == [16, 32]
    assert [frame for frame in range(7, 40, 4) if crosses(frame, frame - 4, 16)] == [19, 35]
    assert not crosses(16, 15, 0)


def test_a_calm_stream_is_looked_at_every_fourth_frame() -> None:
    stage = Stage(World({"cup": Thing("cup", still(0.1, 0.1, 0.4, 0.4))}))
    follow(stage, "cup")
    stage.see(10)
    before = len(stage.network.asked)
    stage.see(20)
    assert len(stage.network.asked) - before == 5


def test_with_less_effort_it_looks_half_as_often_and_keeps_its_tracks() -> None:
    stage = Stage(World({"cup": Thing("cup", still(0.1, 0.1, 0.4, 0.4))}))
    follow(stage, "cup")
    before = stage.see(16)
    stage.engine.make_do(stage.engine.efforts[0])
    asked = len(stage.network.asked)
    after = stage.see(32)
    assert len(stage.network.asked) - asked == 4
    assert states(after) == states(before)
    stage.engine.make_do(FULL)
    asked = len(stage.network.asked)
    stage.see(16)
    assert len(stage.network.asked) - asked == 4


# --- lives


def test_a_ghost_of_the_detector_goes_again() -> None:
    def flash(frame: int) -> float:
        return 0.9 if frame == 4 else 0.0

    stage = Stage(World({"ghost": Thing("cup", still(0.1, 0.1, 0.4, 0.4), score=flash)}))
    follow(stage, "cup")
    assert states(stage.see(5)) == {1: "tentative"}
    assert states(stage.see(7)) == {1: "tentative"}
    assert states(stage.see()) == {1: "gone"}
    assert states(stage.see()) == {}


def test_what_the_detector_gives_up_is_lost_though_it_has_a_mask() -> None:
    def fades(frame: int) -> float:
        return 0.9 if frame < 20 or frame > 90 else 0.0

    stage = Stage(World({"cup": Thing("cup", still(0.1, 0.1, 0.4, 0.4), score=fades)}))
    follow(stage, "cup")
    assert states(stage.see(45)) == {1: "live"}
    assert states(stage.see(15)) == {1: "lost"}
    assert states(stage.see(40)) == {1: "live"}


@pytest.mark.parametrize("followed", [True, False])
def test_an_object_that_comes_back_has_its_id(followed: bool) -> None:
    """By the memory, and where that has lost it by the look of what the detector finds, without another id between."""
    cup = Thing("cup", seen(still(0.1, 0.1, 0.4, 0.4), until=10, again=30), followed=followed)
    stage = Stage(World({"cup": cup, "mug": Thing("cup", still(0.6, 0.6, 0.9, 0.9))}))
    follow(stage, "cup")
    stage.see(10)
    seen_ids = set()
    for _ in range(30):
        seen_ids |= set(states(stage.see()))
    assert seen_ids == {1, 2}
    assert states(stage.see()) == {1: "live", 2: "live"}
    assert len(stage.stepper.bank.free) == stage.stepper.bank.capacity - 2


def test_another_thing_gets_another_id() -> None:
    first = Thing("cup", seen(still(0.1, 0.1, 0.4, 0.4), until=10), followed=False)
    second = Thing("cup", lambda frame: (0.5, 0.5, 0.8, 0.8) if frame > 20 else None)
    stage = Stage(World({"first": first, "second": second}))
    follow(stage, "cup")
    stage.see(10)
    assert states(stage.see(20)) == {1: "lost", 2: "live"}


def test_what_is_gone_for_long_ends_and_its_id_is_not_used_again() -> None:
    world = World({"cup": Thing("cup", seen(still(0.1, 0.1, 0.4, 0.4), until=10, again=80))})
    stage = Stage(world, policy=replace(Policy(), keep_lost_s=1.0))
    follow(stage, "cup")
    stage.see(10)
    ended = [state for _ in range(60) for state in states(stage.see()).values() if state == "gone"]
    assert ended == ["gone"]
    assert states(stage.see(20)) == {2: "live"}


def test_of_two_tracks_on_one_thing_the_later_ends() -> None:
    """Two things that the detector tells apart become one."""
    merged = World({
        "left": Thing("cup", still(0.2, 0.2, 0.5, 0.5)),
        "right": Thing("cup", lambda f: (0.6, 0.2, 0.9, 0.5) if f < 12 else (0.22, 0.2, 0.52, 0.5)),
    })  # fmt: skip
    stage = Stage(merged)
    follow(stage, "cup")
    assert len(stage.see(11).tracks) == 2
    kept = stage.see(40)
    assert list(states(kept)) == [1]


def test_pixels_are_one_objects_at_most_within_a_prompt() -> None:
    world = World({
        "a": Thing("cup", still(0.1, 0.1, 0.5, 0.5)), "b": Thing("cup", still(0.45, 0.1, 0.9, 0.5)),
        "c": Thing("dog", still(0.1, 0.1, 0.6, 0.6)),
    })  # fmt: skip
    stage = Stage(world)
    stage.tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="cup"))
    stage.tracker.add_prompt(Prompt(2, PromptKind.TEXT, text="dog"))
    update = stage.see(6)
    a, b, c = (cpu.rle_decode(track.mask.size, track.mask.counts) for track in update.tracks if track.mask)
    assert not (a & b).any()
    assert (a & c).any()


def test_sure_tracks_are_vouched_for_and_every_track_is_remembered_in_every_frame() -> None:
    stage = Stage(World({"cup": Thing("cup", still(0.1, 0.1, 0.4, 0.4))}))
    follow(stage, "cup")
    stage.see(40)
    kinds = {frame: kind for (frame, _), (kind, _) in stage.stepper.stored.items()}
    assert sorted(kinds) == list(range(40))
    assert kinds[0] == "pinned"
    assert sum(kind == "rolling" for kind in kinds.values()) == 2


# --- many streams


def test_streams_are_stepped_in_one_call_and_do_not_mix() -> None:
    worlds = [World({"cup": Thing("cup", still(0.1, 0.1, 0.3 + 0.1 * n, 0.4))}) for n in range(4)]
    stage = Stage(*worlds)
    for stream in range(4):
        follow(stage, "cup", stream)
    updates = stage.step(5)
    assert [len(queries) for queries in stage.network.asked[:3]] == [4, 4, 4]
    widths = [update.tracks[0].box_xyxy_px[2] for update in updates]
    assert widths == sorted(widths)
    assert [update.tracks[0].id for update in updates] == [1] * 4
    assert stage.engine.max_batch == 4


def test_a_stream_that_is_opened_again_goes_on_counting() -> None:
    stage = Stage(World({"cup": Thing("cup", still(0.1, 0.1, 0.4, 0.4))}))
    stage.trackers = [stage.engine.open_tracker(first_track_id=7)]
    follow(stage, "cup")
    assert list(states(stage.see())) == [7]


def test_texts_are_embedded_once_and_few_are_kept() -> None:
    words = Words()
    stage = Stage(World({}))
    store = ConceptStore(stage.network, words, most=3)
    for word in ("cup", "Cup ", "dog", "cat", "cup", "bird", "cup"):
        store.get(word)
    assert len(store) == 3
    assert stage.network.embedded == 4


def test_frames_of_different_sizes_go_together(tiny: Sam3VideoModel) -> None:
    from stream.engines.sam3.network import Network

    network = Network(tiny, device=torch.device("cpu"), dtype=torch.float32)
    engine = Sam3Engine.of(network, LetterTokens())
    trackers = [engine.open_tracker() for _ in range(2)]
    frames = [frame_of(0, 0), _larger()]
    for tracker, frame in zip(trackers, frames, strict=True):
        engine.step([(tracker, frame)])
        box = (0.25 * frame.width, 0.25 * frame.height, 0.75 * frame.width, 0.75 * frame.height)
        tracker.add_prompt(Prompt(1, PromptKind.BOX, box_xyxy_px=box))
    updates = engine.step(list(zip(trackers, frames, strict=True)))
    assert [(update.width, update.height) for update in updates if isinstance(update, TrackUpdate)] == [
        (320, 240), (640, 360),
    ]  # fmt: skip
    assert engine.notes[0].code == "slow"


# --- against stock


@dataclass
class Compared:
    """Of every frame: both sides' ids, shares of equal pixels; of every mask its area; what changed."""

    ids: list[tuple[list[int], list[int]]] = field(default_factory=list)
    equal: list[float] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    vouched: int = 0


@pytest.fixture(scope="module")
def tiny() -> Sam3VideoModel:
    return _model(1)


@pytest.fixture(scope="module")
def compared() -> Compared:
    appearances = {
        0: [Appearance(1, (2, 2, 10, 10)), Appearance(2, (20, 20, 28, 28))],
        9: [Appearance(1, (20, 4, 28, 12))],
        40: [Appearance(2, (4, 22, 12, 30))],
        77: [Appearance(1, (12, 12, 20, 20))],
    }
    frames = pictures(FRAMES, SIDE)
    stock = Stock(_model(1), (1, 2), appearances)
    theirs = [stock.step(picture) for picture in frames]
    network = StockNetwork(_model(1), stock.recorded)
    policy = Policy.of(stock.model.config).like_stock()
    parts = Parts(
        network, StockStepper(network), ConceptStore(network, LetterTokens()),
        lambda given: torch.stack([frames[frame.index] for frame in given]), policy,
    )  # fmt: skip
    result = Compared()
    engine = Sam3Engine(parts)
    tracker = engine.open_tracker(first_track_id=0)
    for prompt in (1, 2):
        tracker.add_prompt(Prompt(prompt, PromptKind.TEXT, text=str(prompt)))
    before: dict[int, np.ndarray] = {}
    for number, wanted in enumerate(theirs):
        network.frame = number
        (update,) = engine.step([(tracker, frame_of(0, number))])
        assert isinstance(update, TrackUpdate)
        ours = {track.id: _drawn(track.mask, network.shape.mask) for track in update.tracks}
        result.ids.append((sorted(ours), sorted(wanted)))
        result.equal += [float((ours[id_] == mask.numpy()).mean()) for id_, mask in wanted.items() if id_ in ours]
        result.areas += [float(mask.float().mean()) for mask in wanted.values()]
        result.changes += [float((before[id_] != mask.numpy()).mean()) for id_, mask in wanted.items() if id_ in before]
        before = {id_: mask.numpy() for id_, mask in wanted.items()}
    result.vouched = sum(len(kept["cond_frame_outputs"]) - 1 for kept in stock.session.output_dict_per_obj.values())
    return result


def test_with_stocks_policy_objects_are_stocks(compared: Compared) -> None:
    assert len(compared.ids) == FRAMES
    for ours, theirs in compared.ids:
        assert ours == theirs
    assert len(compared.ids[-1][0]) >= 5


def test_with_stocks_policy_masks_are_stocks(compared: Compared) -> None:
    assert np.mean(compared.equal) >= 0.999
    areas = np.array(compared.areas)
    assert ((areas > 0.02) & (areas < 0.98)).mean() > 0.8
    assert np.mean(compared.changes) > 0.02
    assert compared.vouched > 0


def _drawn(mask: object, side: int) -> np.ndarray:
    if mask is None:
        return np.zeros((side, side), np.bool_)
    return cpu.rle_decode(mask.size, mask.counts).astype(np.bool_)  # type: ignore[attr-defined]


def _model(seed: int) -> Sam3VideoModel:
    model = tiny_model(seed, side=SIDE, high_iou_thresh=0.5, high_conf_thresh=0.5)
    with torch.no_grad():
        for parameter in model.tracker_model.parameters():
            if parameter.dim() >= 2:
                parameter.mul_(GAIN)
    return model


def _larger() -> object:
    small = frame_of(1, 0)
    return replace(small, y=np.full((360, 640), 90, np.uint8), uv=np.full((180, 320, 2), 128, np.uint8))
