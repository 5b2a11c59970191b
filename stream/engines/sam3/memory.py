"""What the tracker remembers of its objects, in tensors that are allocated once and never grow.

Each object has `4 + 6` memories and `4 + 15` pointers: those of its conditioning frames, which a prompt or a
reconditioning vouched for, and those of the frames just before ("SAM 2: Segment Anything in Images and Videos"). Which
row holds which frame is known on the host, so that nothing has to be read back from the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from stream.engines.sam3.shape import CONDITIONING, MEMORY_DTYPE, Shape
from stream.errors import LimitReached

Conditioning = Literal["none", "pinned", "rolling"]


@dataclass(slots=True)
class Vouched:
    """A conditioning frame: its number and its place among the object's rows."""

    frame: int
    place: int
    pinned: bool


@dataclass(slots=True, eq=False)
class Slot:
    """One object's place in the bank. Rings are indexed by the frame's number, so that a frame finds its own place."""

    index: int
    vouched: list[Vouched] = field(default_factory=list)
    """In the order in which they were stored."""
    memories: list[int | None] = field(default_factory=list)
    """The frame that each place of the ring holds."""
    pointers: list[int | None] = field(default_factory=list)
    open: bool = True


@dataclass(frozen=True, slots=True)
class Recall:
    """Which rows one object's memory attention reads, oldest frame first after the conditioning frames."""

    memory_rows: tuple[int, ...]
    offsets: tuple[int, ...]
    """Frames ago, 0 for conditioning frames."""
    pointer_rows: tuple[int, ...]
    ages: tuple[int, ...]
    """Frames ago."""

    @property
    def size(self) -> tuple[int, int]:
        """Memories and pointers: objects of equal size can be batched."""
        return len(self.memory_rows), len(self.pointer_rows)


@dataclass(frozen=True, slots=True)
class Place:
    """Rows that a new memory and its pointer go to."""

    memory_row: int
    pointer_row: int


class MemoryBank:
    """The state of up to `capacity` objects of all streams. One more slot takes what padding writes.

    `memories`: bfloat16 `((capacity + 1) * per, tokens, memory)`; `pointers`: `((capacity + 1) * per, hidden)`, the
    last row of each object its newest pointer, not yet stored for a frame; `logits`: `(capacity + 1, mask, mask)`,
    each object's newest mask. At smaller input sides memories and masks take the beginning of what was allocated.
    """

    def __init__(
        self, shape: Shape, capacity: int, *, device: torch.device, dtype: torch.dtype, ring: int | None = None
    ) -> None:
        """`ring`: places for recent memories, instead of as many as are read."""
        self.shape = self._full = shape
        self.capacity = capacity
        self._ring = ring or shape.recent
        self._per_memory = CONDITIONING + self._ring
        self._per_pointer = CONDITIONING + shape.pointers + 1
        rows = capacity + 1
        memories = rows * self._per_memory * shape.tokens * shape.memory
        self._room = (
            torch.zeros(memories, dtype=MEMORY_DTYPE, device=device),
            torch.zeros(rows * shape.mask * shape.mask, dtype=dtype, device=device),
        )
        self.pointers = torch.zeros(rows * self._per_pointer, shape.hidden, dtype=dtype, device=device)
        self.memories, self.logits = self._laid_out(shape)
        self._free = list(range(capacity))[::-1]
        self._slots: dict[int, Slot] = {}
        self._originals: list[tuple[Slot, int, Tensor]] = []
        """Slot, frame and memory of what was pinned when the full side was left."""

    def _laid_out(self, shape: Shape) -> tuple[Tensor, Tensor]:
        rows = self.capacity + 1
        memories, logits = (rows * self._per_memory, shape.tokens, shape.memory), (rows, shape.mask, shape.mask)
        first, second = self._room
        return first[: math.prod(memories)].view(memories), second[: math.prod(logits)].view(logits)

    @torch.inference_mode()
    def resize(self, shape: Shape) -> list[Slot]:
        """Go on at another input side, no larger than that which the bank was made for, in the same memory. Memories
        and masks of the objects that there are are stretched to its grid; pointers are of no size.

        What is pinned when the full side is left is kept beside, one memory an object, until it comes back: stretched
        to and fro it would blur. Returns those that have it back as it was."""
        if self.shape == self._full:
            self._originals = [
                (slot, vouched.frame, self.memories[self._rows(slot, vouched.place, 0).memory_row].clone())
                for slot in self._slots.values() for vouched in slot.vouched if vouched.pinned
            ]  # fmt: skip
        memories, logits = self._laid_out(shape)
        per, mask = self._per_memory, (shape.mask, shape.mask)
        # In this order nothing is written that is still to be read.
        for index in sorted(self._slots, reverse=shape.side > self.shape.side):
            rows = slice(index * per, (index + 1) * per)
            memories[rows] = _regridded(self.memories[rows], shape.grid)
            logits[index] = stretched(self.logits[None, index : index + 1], mask)[0, 0]
        self.shape, self.memories, self.logits = shape, memories, logits
        still: list[Slot] = []
        for slot, frame, original in self._originals:
            place = next((vouched.place for vouched in slot.vouched if vouched.frame == frame and slot.open), None)
            if place is not None:
                memories[self._rows(slot, place, 0).memory_row] = _regridded(original[None], shape.grid)[0]
                still.append(slot)
        if shape != self._full:
            return []
        self._originals = []
        return still

    @property
    def nbytes(self) -> int:
        """Bytes on the device, but for what `resize` keeps beside; never changes."""
        return sum(tensor.nbytes for tensor in (*self._room, self.pointers))

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """All of the state."""
        return self.memories, self.pointers, self.logits

    @property
    def used(self) -> int:
        return self.capacity - len(self._free)

    @property
    def scratch(self) -> int:
        """The slot index that padding may write to."""
        return self.capacity

    def open(self) -> Slot:
        """An empty slot. Raises `LimitReached`."""
        if not self._free:
            raise LimitReached(
                f"No more than {self.capacity} objects can be followed at once.",
                action="Remove objects or prompts that are no longer needed.",
            )
        slot = Slot(self._free.pop(), memories=[None] * self._ring, pointers=[None] * self.shape.pointers)
        self._slots[slot.index] = slot
        return slot

    def close(self, slot: Slot) -> None:
        """Give the slot back. Idempotent."""
        if slot.open:
            slot.open = False
            del self._slots[slot.index]
            self._free.append(slot.index)

    def forget_since(self, slot: Slot, frame: int) -> bool:
        """Keep only the conditioning frames before `frame`; whether there are any. Otherwise the slot must be closed or
        begun anew."""
        _check(slot)
        slot.memories[:] = [None] * len(slot.memories)
        slot.pointers[:] = [None] * len(slot.pointers)
        slot.vouched[:] = [vouched for vouched in slot.vouched if vouched.frame < frame]
        return bool(slot.vouched)

    def newest(self, index: int) -> int:
        """The row of a slot's newest pointer."""
        return (index + 1) * self._per_pointer - 1

    def recall(self, slot: Slot, frame: int) -> Recall:
        """What a step on `frame` reads. Raises ValueError where nothing is remembered yet."""
        _check(slot)
        memories = [(vouched.place, 0) for vouched in slot.vouched]
        for offset in range(self.shape.recent, 0, -1):
            place = (frame - offset) % self._ring
            if slot.memories[place] == frame - offset:
                memories.append((CONDITIONING + place, offset))
        pointers = [(vouched.place, frame - vouched.frame) for vouched in slot.vouched]
        for offset in range(1, self.shape.pointers + 1):
            place = (frame - offset) % self.shape.pointers
            if slot.pointers[place] == frame - offset:
                pointers.append((CONDITIONING + place, offset))
        if not memories:
            raise ValueError("the object was never remembered: start it before it is followed")
        first_memory, first_pointer = slot.index * self._per_memory, slot.index * self._per_pointer
        return Recall(
            memory_rows=tuple(first_memory + place for place, _ in memories),
            offsets=tuple(offset for _, offset in memories),
            pointer_rows=tuple(first_pointer + place for place, _ in pointers),
            ages=tuple(age for _, age in pointers),
        )

    def place(self, slot: Slot, frame: int, conditioning: Conditioning) -> Place:
        """Where to store `frame`; from now on it is recalled. Storing a frame again replaces it.

        A newly pinned frame makes the one pinned before a rolling one; a rolling one takes the place of the oldest.
        """
        _check(slot)
        memory, pointer = frame % self._ring, frame % self.shape.pointers
        known = next((vouched for vouched in slot.vouched if vouched.frame == frame), None)
        if known is None and conditioning == "none":
            slot.memories[memory] = slot.pointers[pointer] = frame
            return self._rows(slot, CONDITIONING + memory, CONDITIONING + pointer)
        if slot.memories[memory] == frame:
            slot.memories[memory] = None
        if slot.pointers[pointer] == frame:
            slot.pointers[pointer] = None
        if conditioning == "pinned":
            for vouched in slot.vouched:
                vouched.pinned = False
        if known is None:
            known = Vouched(frame, self._vacate(slot), pinned=False)
            slot.vouched.append(known)
        known.pinned = known.pinned or conditioning == "pinned"
        return self._rows(slot, known.place, known.place)

    def _vacate(self, slot: Slot) -> int:
        if len(slot.vouched) == CONDITIONING:
            oldest = next(vouched for vouched in slot.vouched if not vouched.pinned)
            slot.vouched.remove(oldest)
            return oldest.place
        taken = {vouched.place for vouched in slot.vouched}
        return next(place for place in range(CONDITIONING) if place not in taken)

    def _rows(self, slot: Slot, memory: int, pointer: int) -> Place:
        return Place(slot.index * self._per_memory + memory, slot.index * self._per_pointer + pointer)

    def scratch_place(self) -> Place:
        """Where padding is stored."""
        return Place(self.capacity * self._per_memory, self.capacity * self._per_pointer)


def stretched(values: Tensor, size: tuple[int, int]) -> Tensor:
    """`(N, C, h, w)` as `(N, C, *size)`: bilinear, antialiased where it becomes smaller; a new tensor."""
    made = functional.interpolate(values.float(), size, mode="bilinear", align_corners=False, antialias=True)
    return made.to(values.dtype)


def _regridded(memories: Tensor, grid: int) -> Tensor:
    """`(N, tokens, C)` on another grid; a new tensor."""
    old = math.isqrt(memories.shape[1])
    planes = memories.transpose(1, 2).view(len(memories), -1, old, old)
    return stretched(planes, (grid, grid)).flatten(2).transpose(1, 2)


def batches_of(recalls: Sequence[Recall]) -> dict[tuple[int, int], list[int]]:
    """Positions of the objects that can be batched, by how much they remember."""
    groups: dict[tuple[int, int], list[int]] = {}
    for position, recall in enumerate(recalls):
        groups.setdefault(recall.size, []).append(position)
    return groups


def _check(slot: Slot) -> None:
    if not slot.open:
        raise ValueError("the slot was closed")
