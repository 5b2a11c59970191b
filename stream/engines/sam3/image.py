"""Image mode: one picture and any prompts, or a list of concepts, to masks, with the weights that follow streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kernels import cpu
from stream.engines import pointing
from stream.engines.sam3 import masks
from stream.engines.sam3.detection import MOST_EXAMPLES, VISUAL, Wanted, queries_of
from stream.engines.sam3.network import Features
from stream.engines.sam3.objects import Box01
from stream.engines.sam3.prompts import phrases, to_01, to_given
from stream.engines.sam3.stepping import Asked
from stream.engines.sam3.tracker import LABEL, Parts
from stream.errors import BadInput
from stream.types import BoxXyxyPx, Frame, Prompt, PromptKind, Rle

MOST_CONCEPTS = 64
MOST_AT_ONCE = 8
"""Concepts in one call of the detector: more would take more memory and no less time."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One object in a picture. `score` in [0, 1]; `box_xyxy_px` in pixels of the picture, half-open; `mask` stretched
    over the whole picture; `prompt_id` None where it was proposed rather than asked for."""

    label: str
    score: float
    box_xyxy_px: BoxXyxyPx
    mask: Rle
    prompt_id: int | None


class ImageMode:
    """Segments single pictures with an engine's parts. All calls on the engine's thread; nothing is kept of a
    picture, and streams are not disturbed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def segment(self, picture: Frame, asked: Sequence[Prompt]) -> list[Segment]:
        """What the prompts mean: everything that a text or an example names, the one thing at points, a box or a mask.

        Prompts of all kinds may be mixed. Examples of what is not wanted hold for all texts and examples. Ordered by
        prompt, then by falling score. Raises `BadInput`, and `LimitReached` where streams leave no room for the objects
        that were pointed at.
        """
        size = (picture.width, picture.height)
        for prompt in asked:
            pointing.check(prompt, size)
            if prompt.track_id is not None:
                raise BadInput("There are no tracks in a picture.", code="unsupported_prompt", action="Leave it out.")
        with torch.inference_mode():
            features = self._parts.network.encode(self._parts.preprocessor([picture]))
            found = self._found(features, _wanted(asked, size), picture, self._parts.policy.score_least)
            placed = [prompt for prompt in asked if prompt.kind not in (PromptKind.TEXT, PromptKind.EXEMPLAR)]
            found += self._placed(features, placed, picture) if placed else []
        order = {prompt.id: number for number, prompt in enumerate(asked)}
        return sorted(found, key=lambda one: (order[one.prompt_id or 0], -one.score))

    def propose(self, picture: Frame, concepts: Sequence[str], *, score_least: float | None = None) -> list[Segment]:
        """Everything in the picture that one of at most 64 concepts names, by falling score; of things that several
        name, the best.

        Raises `BadInput` for a concept that cannot be looked for.
        """
        if len(concepts) > MOST_CONCEPTS:
            raise BadInput(
                f"At most {MOST_CONCEPTS} concepts can be looked for at once.", code="too_long", action="Name fewer."
            )
        for concept in concepts:
            self._parts.concepts.check(concept)
        wanted = [Wanted(0, concept, concept) for concept in concepts]
        with torch.inference_mode():
            features = self._parts.network.encode(self._parts.preprocessor([picture]))
            found: list[Segment] = []
            for first in range(0, len(wanted), MOST_AT_ONCE):
                least = self._parts.policy.score_least if score_least is None else score_least
                part = self._found(features, wanted[first : first + MOST_AT_ONCE], picture, least)
                found += [Segment(one.label, one.score, one.box_xyxy_px, one.mask, None) for one in part]
        return _without_repeats(sorted(found, key=lambda one: -one.score), self._parts.policy.keep_iou)

    def _found(self, features: Features, wanted: list[Wanted], picture: Frame, least: float) -> list[Segment]:
        """What the detector finds, queries of one prompt suppressing each other's doubles."""
        if not wanted:
            return []
        network, policy = self._parts.network, self._parts.policy
        queries, keys = queries_of([(0, one) for one in wanted], self._parts.concepts)
        made = network.detect(features, queries)
        picked = masks.pick(made.scores, made.masks, least, policy.most_detections)
        none = torch.zeros(0, *picked.logits.shape[1:], device=network.device)
        digest = masks.digest(
            none, none[:, 0, 0], [], picked, picked.queries.float(), keys=network.put(torch.tensor(keys)),
            fill_area=policy.fill_area, nms_iou=policy.nms_iou,
        )  # fmt: skip
        block, numbers = digest.read()
        found = []
        for row, code, number in zip(block.rows, block.codes, numbers.tolist(), strict=False):
            if row["keep"] and code is not None and row["stats"][1] > 0:
                one = wanted[int(number)]
                score, side = float(row["score"]), network.shape.mask
                found.append(_segment(one.label, score, row["stats"], code, picture, side, one.prompt_id))
        return found

    def _placed(self, features: Features, asked: Sequence[Prompt], picture: Frame) -> list[Segment]:
        """What was pointed at, each by itself; nothing where nothing can be told apart."""
        network, stepper, policy = self._parts.network, self._parts.stepper, self._parts.policy
        size, side = (picture.width, picture.height), network.shape.side
        given = [to_given(prompt, size, side, network.put) for prompt in asked]
        slots = []
        try:
            for _ in asked:
                slots.append(stepper.open())
            made = stepper.start(features, [Asked(slot, 0, 0) for slot in slots], given)
        finally:
            for slot in slots:
                stepper.close(slot)
        scores: Tensor = made.scores.float().sigmoid()
        digest = masks.digest(
            made.masks, made.scores, [], None, scores, keys=None, fill_area=policy.fill_area, nms_iou=0.0
        )
        block, numbers = digest.read()
        found = []
        for prompt, row, code, score in zip(asked, block.rows, block.codes, numbers.tolist(), strict=True):
            if code is not None and row["stats"][1] > 0 and np.isfinite(score):
                found.append(_segment(LABEL, score, row["stats"], code, picture, network.shape.mask, prompt.id))
        return found


def _wanted(asked: Sequence[Prompt], size: tuple[int, int]) -> list[Wanted]:
    unlike: list[tuple[Box01, bool]] = []
    for prompt in asked:
        if prompt.kind is PromptKind.EXEMPLAR and not prompt.positive and prompt.box_xyxy_px is not None:
            unlike.append((to_01(prompt.box_xyxy_px, size), False))
    wanted = []
    for prompt in asked:
        if prompt.kind is PromptKind.TEXT:
            others = tuple(unlike[:MOST_EXAMPLES])
            wanted += [Wanted(prompt.id, text, text, others) for text in phrases(prompt.text or "")]
        elif prompt.kind is PromptKind.EXEMPLAR and prompt.positive and prompt.box_xyxy_px is not None:
            boxes = ((to_01(prompt.box_xyxy_px, size), True), *unlike)
            wanted.append(Wanted(prompt.id, VISUAL, LABEL, boxes[:MOST_EXAMPLES]))
    return wanted


def _segment(
    label: str, score: float, stats: NDArray[np.int32], code: bytes, picture: Frame, side: int, prompt_id: int | None
) -> Segment:
    x0, y0, x1, y1 = (int(value) / side for value in stats[2:6])
    box = (x0 * picture.width, y0 * picture.height, x1 * picture.width, y1 * picture.height)
    return Segment(label, score, box, Rle((side, side), code.decode("ascii")), prompt_id)


def _without_repeats(found: Sequence[Segment], iou: float) -> list[Segment]:
    """Those that none before overlaps by more than `iou`."""
    if not found:
        return []
    each = np.stack([cpu.rle_decode(one.mask.size, one.mask.counts) for one in found])
    overlap = cpu.iou(each, each)
    kept: list[int] = []
    for index in range(len(found)):
        if all(overlap[index, other] <= iou for other in kept):
            kept.append(index)
    return [found[index] for index in kept]
