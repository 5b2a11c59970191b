"""One stream's part of a step: what it asks of the network, what it sees, and what it wants remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stream.engines.sam3.detection import Wanted
from stream.engines.sam3.objects import Followed
from stream.engines.sam3.prompts import Request
from stream.engines.sam3.stepping import Given
from stream.types import Frame

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prompted:
    """An object that the user begins or corrects in this frame."""

    thing: Followed
    given: Given
    request: Request


@dataclass(slots=True)
class Turn:
    """`number` counts the stream's processed frames. Objects are `followed` by memory, `corrected` or `begun` by the
    user; that is the order of their rows. `wanted` is empty where the detector does not look, `since` frames after it
    last did. `newcomers` are compared with `missing` objects. `picture`: `(1, 3, side, side)`, None where idle."""

    frame: Frame
    number: int
    followed: list[Followed]
    corrected: list[Prompted]
    begun: list[Prompted]
    wanted: list[Wanted]
    since: int
    newcomers: list[Followed]
    missing: list[Followed]
    picture: Tensor | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is asked of the network."""
        return not (self.followed or self.corrected or self.begun or self.wanted)

    @property
    def objects(self) -> list[Followed]:
        return [*self.followed, *(one.thing for one in self.corrected), *(one.thing for one in self.begun)]


@dataclass(frozen=True, slots=True)
class Seen:
    """The detections of one stream that nothing better covers, in the detector's order.

    `score` float32 `(D,)`; `wanted` int64 `(D,)`, index in `Turn.wanted`; `iou` float32 `(D, n)` with the objects;
    `rows`: `kernels.association.ROW` `(D,)`; `codes`: mask codes; `places`: rows of the step's detections.
    """

    score: F32
    wanted: I64
    iou: F32
    rows: NDArray[Any]
    codes: list[str | None]
    places: list[int]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one stream sees, on the host.

    `rows`: `kernels.association.ROW` `(n,)` of `Turn.objects`, with `codes` of the masks as shown and `iou` `(n, n)`;
    `places`: their rows in the step. `likeness`: float32 `(newcomers, missing)`. `finite`: False where the network's
    numbers are not.
    """

    rows: NDArray[Any]
    codes: list[str | None]
    iou: F32
    places: list[int]
    detections: Seen | None
    likeness: F32
    finite: bool
    mask_side: int


@dataclass(slots=True)
class Orders:
    """What is to be remembered of a turn. `tracked`: objects by memory, with their rows in the step; `rolling`: those
    that become conditioning frames, with the row of the detection that says so; `hidden`: those that gave way. `new`:
    objects with the detection's row that they begin with; `rejoined`: objects that were lost, with the row of the
    object that turned out to be them."""

    tracked: list[tuple[Followed, int]] = field(default_factory=list)
    rolling: dict[Followed, int] = field(default_factory=dict)
    hidden: set[Followed] = field(default_factory=set)
    prompted: list[tuple[Followed, int]] = field(default_factory=list)
    new: list[tuple[Followed, int]] = field(default_factory=list)
    rejoined: list[tuple[Followed, int]] = field(default_factory=list)
