"""One frame for many objects of many streams: following, starting and correcting them, and remembering the outcome.

A step plans on the host which rows of the memory bank are read and written, brings the plan to the device in one copy,
and runs one batch for each group of objects that remember equally much. Nothing in it waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from stream.engines.sam3.graphs import Progress, split, warm_up
from stream.engines.sam3.memory import Conditioning, MemoryBank, Place, Recall, Slot, batches_of
from stream.engines.sam3.network import LOGIT_LIMIT, Concept, Features, Network, Query
from stream.engines.sam3.shape import CONDITIONING

BOX_CORNERS = (2, 3)
"""The labels of a box's first and second corner."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One object in one picture. `frame` counts the frames that its stream has processed."""

    slot: Slot
    picture: int
    frame: int


@dataclass(frozen=True, slots=True)
class Given:
    """What a user or the detector says about one object: points, a box or both, or else a mask.

    Coordinates are pixels of the model's input (0 to `shape.side`). `points`: `((x, y), …)`, `labels`: 1 on the object,
    0 off it. `mask`: `(h, w)`, bool or logits, on the device, of any size; `shape.mask` costs the least.
    """

    points: tuple[tuple[float, float], ...] = ()
    labels: tuple[int, ...] = ()
    box_xyxy: tuple[float, float, float, float] | None = None
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.points) != len(self.labels):
            raise ValueError(f"{len(self.points)} points have {len(self.labels)} labels")
        if (self.mask is None) == (not self.marks):
            raise ValueError("either points and a box, or a mask must be given")

    @property
    def marks(self) -> tuple[tuple[tuple[float, float], int], ...]:
        """Points with labels, a box as its two corners first, as SAM 2 has them."""
        points = tuple(zip(self.points, self.labels, strict=True))
        if self.box_xyxy is None:
            return points
        corners = (self.box_xyxy[:2], self.box_xyxy[2:])
        return (*zip(corners, BOX_CORNERS, strict=True), *points)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of N objects, in the order asked, on the device."""

    masks: Tensor
    """`(N, mask, mask)` logits in the model's dtype."""
    scores: Tensor
    """`(N,)` logits of being in the picture."""
    pointers: Tensor
    """`(N, hidden)`."""


class Stepper:
    """Holds the memory of all objects of an engine. Called on the engine's thread only.

    What `propagate`, `start` and `refine` find becomes memory by `remember`, once for each frame and object, after the
    engine has decided on the masks.
    """

    def __init__(self, network: Network, capacity: int = 64, *, ring: int | None = None) -> None:
        self.network = network
        self.bank = MemoryBank(network.shape, capacity, device=network.device, dtype=network.dtype, ring=ring)

    @property
    def nbytes(self) -> int:
        """Bytes of state on the device; never changes."""
        return self.bank.nbytes

    def use(self, network: Network) -> list[Slot]:
        """Go on with the same weights at another input side (`Network.at`), no larger than the first. Returns the
        objects that have what was pinned there as it was."""
        still = self.bank.resize(network.shape)
        self.network = network
        return still

    def open(self) -> Slot:
        """Room for one object. Raises `LimitReached` when all of it is taken."""
        return self.bank.open()

    def close(self, slot: Slot) -> None:
        """Forget an object. Idempotent."""
        self.bank.close(slot)

    def forget_since(self, slot: Slot, frame: int) -> bool:
        """Have an object remember only what was vouched for before `frame`; whether that is anything."""
        return self.bank.forget_since(slot, frame)

    @torch.inference_mode()
    def propagate(self, features: Features, asked: Sequence[Asked]) -> Outcome:
        """Follow objects into the present pictures, by their memory."""
        recalls = [self.bank.recall(one.slot, one.frame) for one in asked]
        parts: list[tuple[list[int], Outcome]] = []
        for size, positions in batches_of(recalls).items():
            for taken, padded in split(len(positions), self.network.run.buckets):
                now, positions = positions[:taken], positions[taken:]
                rows = [_row(asked[at], recalls[at], self.bank.newest(asked[at].slot.index)) for at in now]
                scratch = [_scratch(rows[0], self.bank)] * (padded - taken)
                key = ("track", padded, *size, len(features.tracker[0]))
                plan = self.network.put(torch.tensor(rows + scratch))
                made = self.network.run(key, partial(self._track, size), plan, *features.tracker)
                parts.append((now, Outcome(*(output[:taken] for output in made))))
        return self._in_order(parts)

    @torch.inference_mode()
    def start(self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given]) -> Outcome:
        """Begin with objects in their first frame, without any memory."""
        return self._prompted(features, asked, prompts, remembering=False)

    @torch.inference_mode()
    def refine(self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given]) -> Outcome:
        """Correct objects: with their memory and, as a hint to the decoder, the last mask that was found for them.

        SAM 2's own predictor does so; transformers gives neither when the frame was not followed before, and never the
        mask. A mask given as a prompt replaces everything, as it does in both.
        """
        return self._prompted(features, asked, prompts, remembering=True)

    @torch.inference_mode()
    def remember(
        self, features: Features, asked: Sequence[Asked], masks: Tensor, scores: Tensor, *,
        conditioning: Conditioning, from_prompt: bool,
    ) -> None:  # fmt: skip
        """Store a frame of each object: its newest pointer, and a memory of the picture and the mask.

        `masks`: `(N, mask, mask)` logits, `scores`: `(N,)`, above 0 where the object is in the picture. `conditioning`
        says for how long: "none" for the next frames, "pinned" until a later one is pinned and pushed out, "rolling"
        until three later ones. `from_prompt`: the masks come from a person or are as certain.
        """
        places = [self.bank.place(one.slot, one.frame, conditioning) for one in asked]
        begin = 0
        for taken, padded in split(len(asked), self.network.run.buckets):
            part = slice(begin, begin + taken)
            begin += taken
            rows = [
                (one.picture, self.bank.newest(one.slot.index), *_rows(place), int(from_prompt))
                for one, place in zip(asked[part], places[part], strict=True)
            ]
            scratch = (rows[0][0], self.bank.newest(self.bank.scratch), *_rows(self.bank.scratch_place()), 0)
            plan = self.network.put(torch.tensor([*rows, *[scratch] * (padded - taken)]))
            key = ("remember", padded, len(features.tracker[0]))
            given = (_padded(masks[part], padded), _padded(scores[part], padded))
            self.network.run(key, self._remember, plan, *given, *features.tracker)

    @torch.inference_mode()
    def warm_up(
        self, pictures: int = 1, *, concept: Concept | None = None, objects: int | None = None,
        progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Record and compile what a stream in full swing needs, for batches of `pictures`. Takes seconds to minutes.

        `concept`: any, to warm the detector up for one query a picture; `objects`: the most to expect.
        """
        network, shape, run = self.network, self.network.shape, self.network.run
        blank = torch.zeros(pictures, 3, shape.side, shape.side, dtype=network.dtype, device=network.device)
        sizes = [size for size in run.buckets if size <= (objects or self.bank.capacity)] or [1]
        work: list[tuple[str, Callable[[], object]]] = [(f"encode {pictures}", partial(network.encode, blank))]
        for size in sizes:
            for vouched in range(1, CONDITIONING + 1):
                full = (shape.recent + vouched, shape.pointers + vouched)
                work.append((f"track {size} with {full[0]} memories", partial(self._rehearse, blank, size, full)))
            work.append((f"remember {size}", partial(self._rehearse_memory, blank, size)))
        if concept is not None:
            queries = [Query(picture, concept) for picture in range(pictures)]
            work.append((f"detect in {pictures}", partial(self._rehearse_detector, blank, queries)))
        warm_up(work, run, progress)

    def _track(self, size: tuple[int, int], plan: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        """`plan`: int64 `(N, 3 + 2 F + 2 P)`, rows as `_row` makes them. Masks, scores, pointers of N objects."""
        fine, middle, coarse = features
        pictures, newest, slots = plan[:, 0], plan[:, 1], plan[:, 2]
        fused = self._fuse((fine, middle, coarse), pictures, plan[:, 3:], size)
        made = self.network.decode((fine, middle, coarse), pictures, fused)
        self.bank.pointers.index_copy_(0, newest, made.pointers)
        self.bank.logits.index_copy_(0, slots, made.masks)
        return made.masks, made.scores, made.pointers

    def _fuse(
        self, features: tuple[Tensor, Tensor, Tensor], pictures: Tensor, recalled: Tensor, size: tuple[int, int]
    ) -> Tensor:
        frames, pointers = size
        shape, bank = self.network.shape, self.bank
        rows, offsets, pointer_rows, ages = torch.split(recalled, [frames, frames, pointers, pointers], dim=1)
        memories = bank.memories.index_select(0, rows.flatten()).view(-1, frames, shape.tokens, shape.memory)
        found = bank.pointers.index_select(0, pointer_rows.flatten()).view(-1, pointers, shape.hidden)
        return self.network.attend(features, pictures, memories, offsets, found, ages.float())

    def _remember(self, plan: Tensor, masks: Tensor, scores: Tensor, *features: Tensor) -> tuple[Tensor, ...]:
        """`plan`: int64 `(N, 5)`, picture, row of the newest pointer, rows to write, whether from a prompt."""
        fine, middle, coarse = features
        pictures, newest, memory_rows, pointer_rows, from_prompt = plan.unbind(1)
        made = self.network.remember((fine, middle, coarse), pictures, masks, scores, from_prompt.bool())
        self.bank.memories.index_copy_(0, memory_rows, made)
        self.bank.pointers.index_copy_(0, pointer_rows, self.bank.pointers.index_select(0, newest))
        return ()

    def _prompted(
        self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given], *, remembering: bool
    ) -> Outcome:
        groups: dict[tuple[object, ...], list[int]] = {}
        recalls: dict[int, Recall] = {}
        for at, (one, prompt) in enumerate(zip(asked, prompts, strict=True)):
            kind: tuple[object, ...] = ("mask", *prompt.mask.shape) if prompt.mask is not None else (len(prompt.marks),)
            if remembering and prompt.mask is None:
                recalls[at] = self.bank.recall(one.slot, one.frame)
                kind = (*kind, recalls[at].size)
            groups.setdefault(kind, []).append(at)
        parts = []
        for positions in groups.values():
            chosen = [asked[at] for at in positions]
            remembered = [recalls[at] for at in positions if at in recalls]
            parts.append((positions, self._decide(features, chosen, [prompts[at] for at in positions], remembered)))
        return self._in_order(parts)

    def _decide(
        self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given], recalls: Sequence[Recall]
    ) -> Outcome:
        """One batch of prompts of one kind; of objects without memory where `recalls` is empty."""
        network, bank = self.network, self.bank
        slots = network.put(torch.tensor([one.slot.index for one in asked]))
        pictures = network.put(torch.tensor([one.picture for one in asked]))
        if prompts[0].mask is not None:
            masks = torch.stack([_certain(prompt.mask) for prompt in prompts if prompt.mask is not None])
            made = network.take_masks(features.tracker, pictures, masks)
        else:
            marks = [prompt.marks for prompt in prompts]
            points = network.put(torch.tensor([[point for point, _ in row] for row in marks], dtype=torch.float32))
            labels = network.put(torch.tensor([[label for _, label in row] for row in marks]))
            hint = None
            if recalls:
                rows = [_row(one, recall, 0) for one, recall in zip(asked, recalls, strict=True)]
                plan = network.put(torch.tensor(rows))
                fused = self._fuse(features.tracker, pictures, plan[:, 3:], recalls[0].size)
                hint = bank.logits.index_select(0, slots).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)
            else:
                fused = network.without_memory(features.tracker, pictures)
            made = network.decode(features.tracker, pictures, fused, points, labels, hint)
        newest = network.put(torch.tensor([bank.newest(one.slot.index) for one in asked]))
        bank.pointers.index_copy_(0, newest, made.pointers)
        bank.logits.index_copy_(0, slots, made.masks)
        return Outcome(made.masks, made.scores, made.pointers)

    def _in_order(self, parts: Sequence[tuple[list[int], Outcome]]) -> Outcome:
        """The parts as one, in the order asked; what a replay would overwrite is copied."""
        shape = self.network.shape
        if not parts:
            none = torch.zeros(0, dtype=self.network.dtype, device=self.network.device)
            return Outcome(none.view(0, shape.mask, shape.mask), none, none.view(0, shape.hidden))
        order = [at for positions, _ in parts for at in positions]
        tensors = [
            torch.cat(column)
            for column in zip(*((part.masks, part.scores, part.pointers) for _, part in parts), strict=True)
        ]
        if order != sorted(order):
            back = self.network.put(torch.tensor(order).argsort())
            tensors = [tensor.index_select(0, back) for tensor in tensors]
        return Outcome(*tensors)

    def _rehearse(self, blank: Tensor, count: int, size: tuple[int, int]) -> None:
        """Follow objects that are not there, writing where padding does."""
        features = self.network.encode(blank)
        frames, pointers = size
        row = [0, self.bank.newest(self.bank.scratch), self.bank.scratch]
        plan = self.network.put(torch.tensor([row + [0] * (2 * frames + 2 * pointers)] * count))
        key = ("track", count, *size, len(features.tracker[0]))
        self.network.run(key, partial(self._track, size), plan, *features.tracker)

    def _rehearse_detector(self, blank: Tensor, queries: Sequence[Query]) -> None:
        self.network.detect(self.network.encode(blank), queries)

    def _rehearse_memory(self, blank: Tensor, count: int) -> None:
        features = self.network.encode(blank)
        row = [0, self.bank.newest(self.bank.scratch), *_rows(self.bank.scratch_place()), 0]
        masks, scores = self.bank.logits[:1].expand(count, -1, -1), self.bank.pointers[:1, 0].expand(count)
        key = ("remember", count, len(features.tracker[0]))
        plan = self.network.put(torch.tensor([row] * count))
        self.network.run(key, self._remember, plan, masks.clone(), scores.clone(), *features.tracker)


def _row(one: Asked, recall: Recall, newest: int) -> list[int]:
    return [
        one.picture, newest, one.slot.index, *recall.memory_rows, *recall.offsets, *recall.pointer_rows, *recall.ages
    ]  # fmt: skip


def _scratch(row: list[int], bank: MemoryBank) -> list[int]:
    """The same reads as those of a real row, but written where nobody looks."""
    return [row[0], bank.newest(bank.scratch), bank.scratch, *row[3:]]


def _rows(place: Place) -> tuple[int, int]:
    return place.memory_row, place.pointer_row


def _padded(tensor: Tensor, count: int) -> Tensor:
    missing = count - len(tensor)
    if not missing:
        return tensor
    return torch.cat((tensor, tensor[:1].expand(missing, *tensor.shape[1:])))


def _certain(mask: Tensor) -> Tensor:
    """A mask prompt as 0 and 1."""
    return mask if mask.dtype == torch.bool else mask > 0
