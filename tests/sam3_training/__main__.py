"""Train for so many minutes on one core, print how it goes, and write `tests/data/tiny_sam3.npz`."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import torch
import transformers.models.sam3.modeling_sam3 as stock
from torch import Tensor
from transformers import Sam3VideoModel
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from stream.engines.sam3.detr import box_features
from tests.moving_shapes import SIDE_PX, Shape, draw_shapes, film
from tests.sam3_training.detecting import ask, detect
from tests.sam3_training.tracking import Follower, Kind, Maps
from tests.tiny_sam3 import HIDDEN, PATCH, TRAINED, pack, unpack, untrained_model

GRID = SIDE_PX // PATCH
PICTURES = 24
RATE = 1.5e-3
REPORT = 50


@dataclass(frozen=True, slots=True)
class Batch:
    """`pixels` `(B * T, 3, S, S)`; of each film, its first masks, and of one object of each, all: `(B, T, S, S)`."""

    pixels: Tensor
    shapes: list[list[Shape]]
    first_masks: list[Tensor]
    followed: Tensor
    stride: int


def draw_batch(rng: np.random.Generator) -> Batch:
    frames, stride = int(rng.integers(3, 6)), int(rng.integers(1, 4))
    pixels, everything, first, followed = [], [], [], []
    for _ in range(PICTURES // frames):
        shapes = draw_shapes(rng, int(rng.integers(1, 4)), frames, distinct=rng.random() > 0.3)
        pictures = list(film(rng, shapes, frames, stride))
        masks = torch.tensor(np.stack([picture.masks for picture in pictures]))
        clear = [index for index in range(len(shapes)) if masks[0, index].sum() >= 60]
        chosen = int(rng.choice(clear)) if clear else int(masks[0].flatten(1).sum(1).argmax())
        pixels += [picture.rgb for picture in pictures]
        everything.append(shapes)
        first.append(masks[0])
        followed.append(masks[:, chosen])
    normal = torch.tensor(np.stack(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return Batch(normal, everything, first, torch.stack(followed), stride)


def losses(model: Sam3VideoModel, batch: Batch, kind: Kind, rng: np.random.Generator) -> tuple[Tensor, list[float]]:
    """The sum, and for the report: tracking loss, detection loss, mean IoU, found, to be found, claimed wrongly."""
    films, frames = batch.followed.shape[:2]
    vision, neck, decoder = model.detector_model.vision_encoder, model.tracker_neck, model.tracker_model.mask_decoder
    tokens = vision.backbone(batch.pixels).last_hidden_state
    spatial = tokens.view(films * frames, GRID, GRID, -1).permute(0, 3, 1, 2)
    fine, middle, coarse = (layer(spatial) for layer in neck.fpn_layers[:3])
    levels = [decoder.conv_s0(fine), decoder.conv_s1(middle), coarse]
    position = neck.position_encoding((1, HIDDEN, GRID, GRID), tokens.device, tokens.dtype)
    maps = Maps(*(level.reshape(films, frames, *level.shape[1:]) for level in levels), position)
    tracking, fits = Follower(model.tracker_model).run(maps, batch.followed, kind, batch.stride)
    first = torch.arange(films) * frames
    hidden, encodings = vision.neck(spatial[first])
    seen = Sam3VisionEncoderOutput(
        last_hidden_state=tokens[first], fpn_hidden_states=hidden, fpn_position_encoding=encodings
    )
    asked = [ask(rng, shapes, masks) for shapes, masks in zip(batch.shapes, batch.first_masks, strict=True)]
    detection, found, wanted, claimed = detect(model.detector_model, seen, asked)
    report = [tracking.item(), detection.item(), float(np.mean(fits)), found, wanted, claimed]
    return tracking + 0.5 * detection, report


def train(model: Sam3VideoModel, minutes: float, seed: int) -> None:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-4)
    began_s, step, reports = time.monotonic(), 0, []
    while (done := (time.monotonic() - began_s) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * done)) + 0.02)
        kind = (*get_args(Kind), "mask")[step % 4]
        loss, report = losses(model, draw_batch(rng), kind, rng)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        reports.append(report)
        step += 1
        if step % REPORT == 0:
            tracking, detection, fit, found, wanted, claimed = np.array(reports[-REPORT:]).T
            print(
                f"{step:5} {done:4.0%}  follow {tracking.mean():.3f}  IoU {fit.mean():.3f}  "
                f"detect {detection.mean():.3f}  found {found.sum():.0f} of {wanted.sum():.0f}, "
                f"{claimed.sum():.0f} wrongly",
                flush=True,
            )


@torch.no_grad()
def draw_weights(model: Sam3VideoModel, seed: int) -> None:
    """Weights whose outputs vary as much as their inputs; transformers' own are far smaller, and learn slowly."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.dim() >= 2 and parameter.shape[0] > 1:
            parameter.normal_(std=min(1.0, parameter[0].numel() ** -0.5))
    patches = model.detector_model.vision_encoder.backbone.embeddings.patch_embeddings.projection
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


def roi_align(features: Tensor, boxes: tuple[Tensor, ...], size: int) -> Tensor:
    """As torchvision's, which transformers calls and this environment lacks."""
    side = features.shape[-1]
    corners = torch.stack(boxes) / side
    centred = torch.cat([(corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]], dim=-1)
    return box_features(features, centred, size).flatten(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the weights that are there")
    parser.add_argument("--output", type=Path, default=TRAINED)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = untrained_model()
    if options.resume:
        unpack(model, TRAINED)
    else:
        draw_weights(model, options.seed)
    stock.torchvision = SimpleNamespace(ops=SimpleNamespace(roi_align=roi_align))
    train(model, options.minutes, options.seed)
    pack(model, options.output)


if __name__ == "__main__":
    main()
