"""SAM 3's whole path follows things: a tiny model that was trained to, on films that it has not seen.

From a click or a box on the first picture, by the engine, on decoded frames, to the masks of the last.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kernels import cpu
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.network import Network
from stream.types import Point, Prompt, PromptKind, TrackState, TrackUpdate
from tests.moving_shapes import SIDE_PX, Shape, draw_shapes, film
from tests.quality.scenes import box_of, inner_point, to_frame
from tests.sam3_stock import LetterTokens
from tests.sam3_training.__main__ import Trainer, draw_weights
from tests.tiny_sam3 import BACKBONE, pack, trained_model, unpack, untrained_model

log = logging.getLogger(__name__)
pytestmark = pytest.mark.usefixtures("one_thread")

FRAMES = 24
SCALE = 4
"""Frames are so many times as large as the model's input."""
FILMS = range(1000, 1005)
"""Seeds; those of the training are others."""
SHAPES = 3
CLEAR_PX = 15
Kind = Literal["click", "box"]


@dataclass
class Followed:
    """Of one shape: its ids, states and overlaps in the frames in which enough of it is to be seen."""

    ids: set[int] = field(default_factory=set)
    states: list[TrackState] = field(default_factory=list)
    overlaps: list[float] = field(default_factory=list)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(trained_model(), device=torch.device("cpu"), dtype=torch.float32)


def prompt_for(kind: Kind, number: int, mask: NDArray[np.bool_]) -> Prompt:
    large = np.kron(mask, np.ones((SCALE, SCALE), bool))
    if kind == "click":
        return Prompt(number, PromptKind.POINTS, points=(Point(*inner_point(large)),))
    return Prompt(number, PromptKind.BOX, box_xyxy_px=box_of(large))


def follow(network: Network, kind: Kind, seed: int) -> list[Followed]:
    """A film of shapes that are all pointed at in the first picture."""
    drawn = np.random.default_rng(seed)
    shapes: list[Shape] = draw_shapes(drawn, SHAPES)
    engine = Sam3Engine.of(network, LetterTokens(), capacity=SHAPES)
    tracker = engine.open_tracker()
    found = [Followed() for _ in shapes]
    for index, picture in enumerate(film(drawn, shapes, FRAMES)):
        large = cv2.resize(picture.rgb[..., ::-1], None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
        if index == 0:
            for number, mask in enumerate(picture.masks, start=1):
                tracker.add_prompt(prompt_for(kind, number, mask))
        (update,) = engine.step([(tracker, to_frame(large, index))])
        assert isinstance(update, TrackUpdate)
        for track in update.tracks:
            if picture.masks[track.prompt_id - 1].sum() < CLEAR_PX:
                continue
            one = found[track.prompt_id - 1]
            one.ids.add(track.id)
            one.states.append(track.state)
            one.overlaps.append(overlap(track.mask, picture.masks[track.prompt_id - 1]))
    return found


def overlap(mask: object, truth: NDArray[np.bool_]) -> float:
    """Intersection over union on the picture's grid; 0 where there is no mask."""
    if mask is None:
        return 0.0
    coarse = cpu.rle_decode(mask.size, mask.counts).astype(np.float32)  # type: ignore[attr-defined]
    fine = cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LINEAR) >= 0.5
    return float((fine & truth).sum() / (fine | truth).sum())


@pytest.mark.parametrize("kind", ["click", "box"])
def test_what_is_pointed_at_is_followed_under_its_id(network: Network, kind: Kind) -> None:
    found = [one for seed in FILMS for one in follow(network, kind, seed)]
    assert all(len(one.ids) == 1 for one in found), [one.ids for one in found]
    means = [float(np.mean(one.overlaps)) for one in found]
    log.info("%s: mean overlap %.2f; of each thing %s", kind, np.mean(means), [round(mean, 2) for mean in means])
    assert np.mean(means) >= 0.6, means
    assert np.mean(np.array(means) >= 0.5) >= 0.8, means
    last = [float(np.mean(one.overlaps[-5:])) for one in found]
    assert np.mean(last) >= 0.6, last


@pytest.mark.parametrize("done", [0.0, 1.0])
def test_every_stage_of_the_training_teaches_what_it_should(done: float) -> None:
    """Single pictures the backbone and the decoder, films the memory too; the detector is left alone."""
    torch.manual_seed(0)
    model = untrained_model()
    draw_weights(model, seed=0)
    loss, colours, *_ = Trainer(model, seed=0).step(done)
    assert np.isfinite((loss, colours)).all()
    taught = {name for name, kept in model.named_parameters() if kept.grad is not None and kept.grad.any()}
    for part, when in (
        ("vision_encoder.backbone", True),
        ("mask_decoder.transformer", True),
        ("memory_attention", done > 0),
    ):
        assert any(part in name for name in taught) == when, part
    assert not [name for name in taught if name.startswith("detector_model.") and not name.startswith(BACKBONE)]


def test_packed_weights_are_the_weights(tmp_path: Path) -> None:
    model, other = trained_model(), untrained_model()
    pack(model, tmp_path / "again.npz")
    unpack(other, tmp_path / "again.npz")
    for kept, again in zip(model.tracker_model.parameters(), other.tracker_model.parameters(), strict=True):
        torch.testing.assert_close(again, kept, rtol=0, atol=2e-3 * float(kept.detach().abs().max()) + 1e-6)
