"""Prompts of one stream as the network takes them: placed on the present picture, in the model's coordinates."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from kernels import cpu
from stream.engines.flow import MOST_MOMENTS, FlowHistory, Moment
from stream.engines.grid import Grid, shrink
from stream.engines.places import carry_box, carry_points, moment_of
from stream.engines.sam3.objects import Box01
from stream.engines.sam3.preprocess import shrunk
from stream.engines.sam3.stepping import Given
from stream.engines.words import split_concepts
from stream.errors import BadInput
from stream.surfaces import DeviceFrame
from stream.types import U8, BoxXyxyPx, Colour, Frame, FrameRef, Point, Prompt

LEFT = "It left the picture."
Uploads = Callable[[Tensor], Tensor]
"""Brings a host tensor to the device."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt by place that waits for the next picture, made on that of `moment`."""

    prompt: Prompt
    moment: Moment | None


@dataclass(frozen=True, slots=True)
class _Remote:
    """One picture, small, on its device."""

    step: int
    time_s: float
    ref: FrameRef
    colour: Colour
    y: Tensor
    uv: Tensor


class PlaceHistory:
    """What is kept of the last pictures, so that a place on one of them can be found on the newest.

    Of pictures on a device what is kept stays there, until somebody points at something: few do, and every picture
    would cost a copy.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._grid: Grid | None = None
        self._flows: FlowHistory | None = None
        self._step = 0
        self._there: deque[_Remote] = deque(maxlen=MOST_MOMENTS)

    @property
    def size(self) -> tuple[int, int] | None:
        """`(width, height)` of the newest picture."""
        return self._grid.frame if self._grid is not None else None

    def push(self, frame: Frame, now_s: float) -> None:
        grid = Grid.of(frame.width, frame.height)
        if self._flows is None or self._grid != grid:
            self._grid, self._flows = grid, FlowHistory(grid, self._seconds)
            self._there.clear()
        self._step += 1
        if not isinstance(frame, DeviceFrame):
            self._flows.push(self._step, now_s, frame.ref, _small(frame, grid))
            return
        self._there.append(_Remote(self._step, now_s, frame.ref, frame.colour, *shrunk(frame, grid.flow)))
        while self._there[0].time_s < now_s - self._seconds:
            self._there.popleft()

    def _fetch(self) -> None:
        """Bring what is still on a device; waits for it once."""
        if not self._there or self._flows is None:
            return
        ys = torch.stack([one.y for one in self._there]).cpu().numpy()
        uvs = torch.stack([one.uv for one in self._there]).cpu().numpy()
        for one, y, uv in zip(self._there, ys, uvs, strict=True):
            small = cpu.nv12_to_bgr(y, uv, matrix=one.colour.matrix, full_range=one.colour.full_range)
            self._flows.push(one.step, one.time_s, one.ref, small)
        self._there.clear()

    def request(self, prompt: Prompt) -> Request:
        """Raises `FrameTooOld` where the prompt names a picture that is not kept any more."""
        self._fetch()
        if self._flows is None or not len(self._flows):
            return Request(prompt, None)
        return Request(prompt, moment_of(prompt, self._flows) or self._flows.newest)

    def present(self, request: Request) -> Prompt | None:
        """The prompt with its points and box where the things under them are now; None where they left the picture, or
        the picture has another size now."""
        self._fetch()
        prompt, moment, flows = request.prompt, request.moment, self._flows
        if moment is None or flows is None or not any(flows.moments_after(moment.step)):
            return prompt if moment is None or flows is None or flows.at(moment.ref) is not None else None
        sx, sy = flows.grid.frame_per_mask
        if prompt.points:
            places = [(point.x_px / sx, point.y_px / sy, point.positive) for point in prompt.points]
            moved = carry_points(places, moment, flows, flows.grid)
            if not any(positive for _, _, positive in moved) and any(point.positive for point in prompt.points):
                return None
            prompt = replace(prompt, points=tuple(Point(x * sx, y * sy, positive) for x, y, positive in moved))
        if prompt.box_xyxy_px is not None:
            box = carry_box(flows.grid.box_from_frame(prompt.box_xyxy_px), moment, flows, flows.grid)
            prompt = replace(prompt, box_xyxy_px=flows.grid.box_to_frame(box))
        return prompt


def phrases(text: str) -> tuple[str, ...]:
    """The concepts that a text asks for, each looked for by itself."""
    return tuple(split_concepts(text)) or (text,)


def to_given(prompt: Prompt, size: tuple[int, int], side: int, put: Uploads) -> Given:
    """`prompt` on a picture of `size` `(width, height)` in pixels of the model's input, `side` each way.

    Raises `BadInput` for a mask that cannot be read.
    """
    sx, sy = side / size[0], side / size[1]
    if prompt.mask is not None:
        return Given(mask=put(read_mask(prompt)))
    points = tuple((point.x_px * sx, point.y_px * sy) for point in prompt.points)
    labels = tuple(int(point.positive and prompt.positive) for point in prompt.points)
    box = prompt.box_xyxy_px
    scaled = (box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy) if box is not None else None
    return Given(points, labels, scaled)


def read_mask(prompt: Prompt) -> Tensor:
    """bool `(h, w)` on the host. Raises `BadInput`."""
    assert prompt.mask is not None
    try:
        mask = cpu.rle_decode(prompt.mask.size, prompt.mask.counts)
    except ValueError as error:
        raise BadInput(f"The mask cannot be read: {error}.", action="Send COCO's compressed code.") from error
    if not mask.any():
        raise BadInput("The mask is empty.", code="unsupported_prompt", action="Paint the thing.")
    return torch.from_numpy(np.ascontiguousarray(mask)).bool()


def to_01(box: BoxXyxyPx, size: tuple[int, int]) -> Box01:
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]


def _small(frame: Frame, grid: Grid) -> U8:
    """The picture on the flow grid, `(h, w, 3)` uint8 BGR, from planes that are shrunk first, which costs less."""
    width, height = grid.flow
    y, uv = shrink(frame.y, (width, height)), shrink(frame.uv, (width // 2, height // 2))
    return cpu.nv12_to_bgr(y, uv, matrix=frame.colour.matrix, full_range=frame.colour.full_range)
