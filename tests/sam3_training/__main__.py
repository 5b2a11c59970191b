"""Train for so many minutes on one core, tell how it goes, and write `tests/data/tiny_sam3.npz`.

    python -m tests.sam3_training [--minutes 11] [--seed 0]

First single pictures, until what was clicked or framed is cut out well, then ever longer films. Beside it, two
heads that are thrown away afterwards read each cell's colour from the finest features, of which masks are made, and the
object's colour and place from the decoder's tokens: through the masks alone both learn slowly, and for long everything
that is no ground is cut out, whatever was clicked. The detector is not trained, only the backbone and the tracker.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Sam3VideoModel

from tests.moving_shapes import draw_shapes, film
from tests.sam3_training.following import Follower, Kind, Maps, Objects, look
from tests.tiny_sam3 import PATCH, TRAINED, pack, untrained_model

log = logging.getLogger(__name__)

RATE = 1.5e-3
REPORT = 50
AWAY = 0.25
"""The share of films that one shape leaves on the way."""
CLEAR_PX = 40
"""Objects with fewer visible pixels in the first picture are not pointed at."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Films of `frames` pictures, `stride` frames apart at most; `films` at a time, until `done` of all is done."""

    done: float
    frames: int
    films: int
    stride: int


STAGES = (Stage(0.35, 1, 20, 1), Stage(0.6, 3, 10, 2), Stage(0.85, 5, 8, 3), Stage(1.0, 10, 5, 2))


@dataclass(frozen=True, slots=True)
class Batch:
    """`pixels` `(B, T, 3, S, S)`, -1..1, and what is followed in them."""

    pixels: Tensor
    objects: Objects
    stride: int


def draw_batch(rng: np.random.Generator, stage: Stage) -> Batch:
    stride = int(rng.integers(1, stage.stride + 1))
    pixels, films, followed = [], [], []
    for number in range(stage.films):
        shapes = draw_shapes(rng, int(rng.integers(2, 5)))
        if stage.frames > 1 and rng.random() < AWAY:
            shapes[-1].away = range(int(rng.integers(1, stage.frames)), stage.frames)
        pictures = list(film(rng, shapes, stage.frames, stride))
        masks = np.stack([picture.masks for picture in pictures], axis=1)
        pixels.append(np.stack([picture.rgb for picture in pictures]))
        for mask in masks:
            if mask[0].sum() >= CLEAR_PX:
                films.append(number)
                followed.append(mask)
    normal = torch.tensor(np.stack(pixels)).permute(0, 1, 4, 2, 3).float() / 127.5 - 1
    film_of, masks = torch.tensor(films), torch.tensor(np.stack(followed))
    return Batch(normal, Objects(film_of, masks, traits_of(normal[film_of], masks)), stride)


def traits_of(pixels: Tensor, masks: Tensor) -> Tensor:
    """Mean colour and centre of each mask `(N, T, S, S)` on its picture `(N, T, 3, S, S)`: `(N, T, 5)`, -1..1."""
    side = masks.shape[-1]
    share = masks.float() / masks.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    colours = torch.einsum("nthw,ntchw->ntc", share, pixels)
    along = (torch.arange(side) + 0.5) / side * 2 - 1
    centre = [torch.einsum("nthw,w->nt", share, along), torch.einsum("nthw,h->nt", share, along)]
    return torch.cat((colours, torch.stack(centre, dim=-1)), dim=-1)


class Trainer:
    def __init__(self, model: Sam3VideoModel, seed: int) -> None:
        self._model = model
        self._rng = np.random.default_rng(seed)
        self._follower = Follower(model.tracker_model)
        self._colours = nn.Conv2d(model.tracker_model.mask_decoder.conv_s0.out_channels, 3, 1)
        trained = [
            *model.detector_model.vision_encoder.backbone.parameters(), *model.tracker_neck.parameters(),
            *self._follower.parameters(), *self._colours.parameters(),
        ]  # fmt: skip
        self._parameters = trained
        self._optimiser = torch.optim.AdamW(trained, lr=RATE, weight_decay=1e-3, betas=(0.9, 0.98))
        self._step = 0

    def step(self, done: float) -> tuple[float, float, float, float]:
        """One step, where `done` of the training is over: loss of following and colours, IoU first and last."""
        stage = next(one for one in STAGES if done <= one.done)
        for group in self._optimiser.param_groups:
            group["lr"] = RATE * min(1, (self._step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * done)) + 0.02)
        kinds: tuple[Kind, ...] = ("point", "box") if stage.frames == 1 else ("point", "box", "mask")
        batch = draw_batch(self._rng, stage)
        maps = look(self._model, batch.pixels)
        loss, fits = self._follower.run(maps, batch.objects, kinds[self._step % len(kinds)], batch.stride)
        colours = self._colour_loss(maps, batch.pixels)
        self._optimiser.zero_grad()
        (loss + colours).backward()
        nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimiser.step()
        self._step += 1
        return loss.item(), colours.item(), fits[0], fits[-1]

    def _colour_loss(self, maps: Maps, pixels: Tensor) -> Tensor:
        seen = self._colours(maps.fine.flatten(0, 1))
        return functional.mse_loss(seen, functional.interpolate(pixels.flatten(0, 1), seen.shape[-2:], mode="area"))


def train(model: Sam3VideoModel, minutes: float, seed: int, output: Path) -> None:
    trainer = Trainer(model, seed)
    began_s, reports = time.process_time(), []
    while (done := (time.process_time() - began_s) / (60 * minutes)) < 1:
        reports.append(trainer.step(done))
        if len(reports) % REPORT == 0:
            loss, colours, first, last = np.mean(reports[-REPORT:], axis=0)
            log.info("%5d %3.0f %%  loss %.3f  colours %.4f  IoU %.3f … %.3f",
                     len(reports), 100 * done, loss, colours, first, last)  # fmt: skip
        if len(reports) % (10 * REPORT) == 0:
            pack(model, output)


@torch.no_grad()
def draw_weights(model: Sam3VideoModel, seed: int) -> None:
    """Weights whose outputs vary as much as their inputs, where transformers' own are far smaller and learn slowly.

    Queries and keys begin alike, so that attention looks at what is alike, and a click at where it is.
    """
    torch.manual_seed(seed)
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.dim() >= 2 and parameter.shape[0] > 1:
                inputs = len(parameter) if isinstance(module, nn.ConvTranspose2d) else parameter[0].numel()
                parameter.normal_(std=min(1.0, inputs**-0.5))
    for module in model.modules():
        query, key = getattr(module, "q_proj", None), getattr(module, "k_proj", None)
        if query is not None and key is not None and query.weight.shape == key.weight.shape:
            key.weight.copy_(query.weight)
    embeddings = model.detector_model.vision_encoder.backbone.embeddings
    embeddings.position_embeddings.normal_(std=0.02)
    patches = embeddings.patch_embeddings.projection
    patches.weight.copy_(cosines(len(patches.weight), PATCH))


def cosines(count: int, size: int) -> Tensor:
    """`(count, 3, size, size)`: the lowest spatial frequencies of each colour, so that no patch is blurred at first."""
    at = (torch.arange(size) + 0.5) * math.pi / size
    waves = torch.stack([torch.cos(frequency * at) for frequency in range(size)])
    order = sorted(((y, x) for y in range(size) for x in range(size)), key=lambda one: (sum(one), one))
    kernels = torch.zeros(count, 3, size, size)
    for index in range(count):
        y, x = order[index // 3]
        plane = waves[y][:, None] * waves[x][None]
        kernels[index, index % 3] = 2 * plane / plane.norm() / size
    return kernels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=11, help="of one core's time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TRAINED)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    model = untrained_model()
    model.tracker_model.mask_decoder.dynamic_multimask_via_stability = False
    draw_weights(model, options.seed)
    train(model, options.minutes, options.seed, options.output)
    pack(model, options.output)


if __name__ == "__main__":
    main()
