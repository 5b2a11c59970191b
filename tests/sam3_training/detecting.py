"""Learning to detect: all shapes that answer to a word, or look like the one in a box (DETR, Carion et al., 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional
from transformers import Sam3Model
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from tests.moving_shapes import WORDS, Shape
from tests.sam3_training.losses import boxes_of, dice, focal, mask_loss, shrunk
from tests.tiny_sam3 import EXEMPLAR, tokens_of

LEAST_PX = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """What one picture is asked for: a word, perhaps a box `(4,)` as cx, cy, w, h; and the masks of what to find."""

    word: str
    box: Tensor | None
    wanted: Tensor


def ask(rng: np.random.Generator, shapes: list[Shape], masks: Tensor) -> Asked:
    """A word or an exemplar for a picture with `masks` `(n, S, S)`; sometimes a word for what is not there."""
    visible = masks.flatten(1).sum(1) > LEAST_PX
    clear = [index for index in range(len(shapes)) if masks[index].sum() > 80]
    if clear and rng.random() < 0.25:
        index = int(rng.choice(clear))
        x0, y0, x1, y1 = boxes_of(masks[index : index + 1])[0]
        box = torch.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0])
        model = shapes[index]
        alike = torch.tensor([(s.colour, s.kind) == (model.colour, model.kind) for s in shapes])
        return Asked(EXEMPLAR, box, masks[visible & alike])
    present = [word for shape in shapes for word in (shape.colour, shape.kind)]
    word = str(rng.choice(WORDS if rng.random() < 0.25 else present))
    return Asked(word, None, masks[visible & torch.tensor([shape.answers_to(word) for shape in shapes])])


def detect(model: Sam3Model, seen: Sam3VisionEncoderOutput, asked: list[Asked]) -> tuple[Tensor, int, int, int]:
    """The loss; how many were found, were to be found, and were claimed without being there."""
    outputs = model(vision_embeds=seen, **tokens_of([one.word for one in asked]), **_exemplars(asked))
    loss, found, wanted, claimed = torch.zeros(()), 0, 0, 0
    for index, one in enumerate(asked):
        logits, boxes, masks = outputs.pred_logits[index], outputs.pred_boxes[index], outputs.pred_masks[index]
        presence = outputs.presence_logits[index].flatten()
        there = torch.full_like(presence, float(len(one.wanted) > 0))
        loss = loss + functional.binary_cross_entropy_with_logits(presence, there)
        chosen = torch.zeros_like(logits)
        matched = torch.zeros(0, dtype=torch.long)
        if len(one.wanted):
            truth, true_boxes = shrunk(one.wanted, masks.shape[-1]), boxes_of(one.wanted)
            matched, target = _match(logits, boxes, masks, truth, true_boxes)
            chosen[matched] = 1
            loss = loss + mask_loss(masks[matched], truth[target]).sum()
            loss = loss + 3 * (boxes[matched] - true_boxes[target]).abs().sum()
        loss = loss + 2 * focal(logits, chosen)
        sure = logits.sigmoid() * presence.sigmoid() > 0.5
        found += int(sure[matched].sum())
        wanted += len(one.wanted)
        claimed += int(sure.sum()) - int(sure[matched].sum())
    return loss / len(asked), found, wanted, claimed


def _exemplars(asked: list[Asked]) -> dict[str, Tensor]:
    if all(one.box is None for one in asked):
        return {}
    nothing = torch.tensor([0.5, 0.5, 0.5, 0.5])
    boxes = torch.stack([nothing if one.box is None else one.box for one in asked])[:, None]
    labels = torch.tensor([[-10 if one.box is None else 1] for one in asked])
    return {"input_boxes": boxes, "input_boxes_labels": labels}


@torch.no_grad()
def _match(logits: Tensor, boxes: Tensor, masks: Tensor, truth: Tensor, true_boxes: Tensor) -> tuple[Tensor, Tensor]:
    queries, count = len(logits), len(truth)
    overlap = dice(masks.repeat_interleave(count, 0), truth.repeat(queries, 1, 1)).reshape(queries, count)
    cost = overlap - 2 * logits.sigmoid()[:, None] + 3 * torch.cdist(boxes, true_boxes, p=1)
    rows, columns = linear_sum_assignment(cost.numpy())
    return torch.as_tensor(rows), torch.as_tensor(columns)
