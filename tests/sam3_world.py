"""SAM 3's network and memory replaced by a known world, so that what the engine makes of them can be told exactly.

Things are boxes on paths. The detector finds those in sight by the word that they go by; the memory follows the thing
that an object was begun on, as long as it is in sight, and knows it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stream.engines.sam3.detection import ConceptStore
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.memory import Slot, Vouched
from stream.engines.sam3.network import Concept, Detections, Features, Query
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.shape import Shape
from stream.engines.sam3.stepping import Asked, Given, Outcome
from stream.engines.sam3.tracker import Parts, Sam3Tracker
from stream.errors import LimitReached
from stream.types import Frame, TrackUpdate

MASK = 64
CANDIDATES = 12
HIDDEN = 8
SIZE = (320, 240)
Box = tuple[float, float, float, float]
"""In [0, 1] of the picture."""
Path = Callable[[int], Box | None]
"""Frame → where the thing is; None where it is out of sight."""


def still(*box: float) -> Path:
    place = (box[0], box[1], box[2], box[3])
    return lambda frame: place


def seen(path: Path, *, until: int, again: int = 10**9) -> Path:
    """Out of sight from `until` to `again`."""
    return lambda frame: None if until <= frame < again else path(frame)


@dataclass
class Thing:
    """`score`: the detector's, a number or one for each frame. `followed`: whether the memory knows it again after it
    was out of sight; the detector does in any case."""

    word: str
    path: Path
    score: float | Callable[[int], float] = 0.95
    followed: bool = True


@dataclass
class World:
    """What one stream's camera sees. `faults`: frame → how the network fails on it, `"nan"`, `"raise"` or `"oom"`."""

    things: dict[str, Thing]
    faults: dict[int, str] = field(default_factory=dict)

    def masks(self, frame: int) -> dict[str, Tensor]:
        return {name: draw(box) for name, thing in self.things.items() if (box := thing.path(frame)) is not None}


def draw(box: Box) -> Tensor:
    """Logits `(MASK, MASK)` of a box."""
    x0, y0, x1, y1 = (round(value * MASK) for value in box)
    made = torch.full((MASK, MASK), -5.0)
    made[y0:y1, x0:x1] = 5.0
    return made


class Words:
    """Tokens that are the word's number."""

    def __init__(self) -> None:
        self.known: list[str] = ["visual"]

    def normalised(self, text: str) -> str:
        return text.strip().lower()

    def tokens(self, text: str) -> tuple[Tensor, Tensor]:
        word = self.normalised(text)
        if word not in self.known:
            self.known.append(word)
        return torch.tensor([[self.known.index(word)]]), torch.ones(1, 1, dtype=torch.int64)


class WorldNetwork:
    """Stands for `Network`. Pictures hold the stream's and the frame's numbers."""

    device = torch.device("cpu")
    dtype = torch.float32
    shape = Shape(side=224, patch=14, hidden=HIDDEN, memory=4, recent=6, pointers=15, text=1)

    def __init__(self, worlds: Sequence[World], words: Words) -> None:
        self.worlds = worlds
        self.words = words
        self.asked: list[list[Query]] = []
        self.embedded = 0
        self.encoded = 0

    def put(self, host: Tensor) -> Tensor:
        return host

    def encode(self, pictures: Tensor) -> Features:
        self.encoded += len(pictures)
        for stream, frame in pictures[:, :2, 0, 0].int().tolist():
            fault = self.worlds[stream].faults.get(frame)
            if fault == "raise":
                raise RuntimeError("the picture cannot be encoded")
            if fault == "oom":
                raise torch.OutOfMemoryError("out of memory")
        spoilt = pictures.clone()
        for row, (stream, frame) in enumerate(pictures[:, :2, 0, 0].int().tolist()):
            if self.worlds[stream].faults.get(frame) == "nan":
                spoilt[row] = torch.nan
        return Features(pictures, (pictures, pictures, spoilt))

    def embed_text(self, input_ids: Tensor, attention_mask: Tensor) -> Concept:
        self.embedded += 1
        return Concept(input_ids, attention_mask.bool())

    def detect(self, features: Features, queries: Sequence[Query]) -> Detections:
        self.asked.append(list(queries))
        scores = torch.zeros(len(queries), CANDIDATES)
        masks = torch.full((len(queries), CANDIDATES, MASK, MASK), -5.0)
        for row, query in enumerate(queries):
            stream, frame = features.tracker[0][query.picture, :2, 0, 0].int().tolist()
            word = self.words.known[int(query.concept.tokens[0, 0])]
            for at, (score, mask) in enumerate(self._found(self.worlds[stream], frame, word, query)):
                scores[row, at], masks[row, at] = score, mask
        return Detections(torch.zeros(len(queries), CANDIDATES, 4), scores, masks)

    def _found(self, world: World, frame: int, word: str, query: Query) -> list[tuple[float, Tensor]]:
        shown = world.masks(frame)
        labels = [] if query.box_labels is None else query.box_labels.tolist()
        boxes = [] if query.boxes_cxcywh is None else query.boxes_cxcywh.tolist()
        marked = [self._under(shown, box) for box in boxes]
        like = {world.things[name].word for name, label in zip(marked, labels, strict=True) if name and label}
        unlike = {name for name, label in zip(marked, labels, strict=True) if not label}
        wanted = like if word == "visual" else {word}
        found = []
        for name, mask in shown.items():
            thing = world.things[name]
            if thing.word in wanted and name not in unlike:
                found.append((thing.score(frame) if callable(thing.score) else thing.score, mask))
        return found

    def _under(self, shown: dict[str, Tensor], box: list[float]) -> str | None:
        cx, cy, w, h = box
        return best_on(shown, draw((cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)) > 0)


def best_on(shown: dict[str, Tensor], place: Tensor) -> str | None:
    overlap = {name: overlap_of(mask > 0, place) for name, mask in shown.items()}
    best = max(overlap, key=lambda name: overlap[name], default=None)
    return best if best is not None and overlap[best] > 0 else None


def overlap_of(a: Tensor, b: Tensor) -> float:
    return float((a & b).sum() / (a | b).sum().clamp(min=1))


class WorldBank:
    """Stands for `MemoryBank`: two rows of pointers an object, that of its first frame and the newest."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.free = list(range(capacity))[::-1]
        self.pointers = torch.zeros(2 * capacity, HIDDEN)

    def newest(self, index: int) -> int:
        return 2 * index + 1

    def recall(self, slot: Slot, frame: int) -> Any:
        @dataclass
        class Recall:
            pointer_rows: tuple[int, ...]

        return Recall((2 * slot.index,))


class WorldStepper:
    """Stands for `Stepper`. `stored` holds for each frame and slot how it was remembered."""

    def __init__(self, network: WorldNetwork, capacity: int) -> None:
        self.network = network
        self.bank = WorldBank(capacity)
        self.stored: dict[tuple[int, int], tuple[str, bool]] = {}
        self.refined: list[Given] = []
        self._thing: dict[Slot, str | None] = {}
        self._missed: set[Slot] = set()

    def open(self) -> Slot:
        if not self.bank.free:
            raise LimitReached("No more objects can be followed at once.")
        return Slot(self.bank.free.pop())

    def close(self, slot: Slot) -> None:
        if slot.open:
            slot.open = False
            self.bank.free.append(slot.index)

    def forget_since(self, slot: Slot, frame: int) -> bool:
        slot.vouched = [vouched for vouched in slot.vouched if vouched.frame < frame]
        return bool(slot.vouched)

    def propagate(self, features: Features, asked: Sequence[Asked]) -> Outcome:
        return self._outcome(features, asked, new=False)

    def start(self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given]) -> Outcome:
        self._point(features, asked, prompts)
        return self._outcome(features, asked, new=True)

    def refine(self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given]) -> Outcome:
        self.refined += prompts
        self._point(features, asked, prompts)
        return self._outcome(features, asked, new=False)

    def _point(self, features: Features, asked: Sequence[Asked], prompts: Sequence[Given]) -> None:
        for one, prompt in zip(asked, prompts, strict=True):
            shown = self._world(features, one).masks(self._frame(features, one))
            place = torch.zeros(MASK, MASK, dtype=torch.bool)
            if prompt.mask is not None:
                place = prompt.mask if prompt.mask.shape[-1] == MASK else _resized(prompt.mask)
            elif prompt.box_xyxy is not None:
                x0, y0, x1, y1 = (value / 224 for value in prompt.box_xyxy)
                place = draw((x0, y0, x1, y1)) > 0
            else:
                at = next(point for point, label in zip(prompt.points, prompt.labels, strict=True) if label)
                place[min(MASK - 1, int(at[1] / 224 * MASK)), min(MASK - 1, int(at[0] / 224 * MASK))] = True
            self._thing[one.slot] = best_on(shown, place)
            self._missed.discard(one.slot)

    def _outcome(self, features: Features, asked: Sequence[Asked], *, new: bool) -> Outcome:
        masks, scores, pointers = [], [], []
        for one in asked:
            world, frame = self._world(features, one), self._frame(features, one)
            name = self._thing[one.slot]
            box = world.things[name].path(frame) if name is not None else None
            if name is None or box is None:
                self._missed.add(one.slot)
            known = name is not None and (world.things[name].followed or one.slot not in self._missed)
            mask = draw(box) if box is not None and known else torch.full((MASK, MASK), -1024.0)
            pointer = torch.zeros(HIDDEN)
            if box is not None and known:
                pointer[list(world.things).index(name or "") % HIDDEN] = 1.0
            if world.faults.get(frame) == "nan":
                mask = torch.full((MASK, MASK), torch.nan)
            self.bank.pointers[self.bank.newest(one.slot.index)] = pointer
            masks.append(mask)
            scores.append(10.0 if box is not None and known else -10.0)
            pointers.append(pointer)
        return Outcome(torch.stack(masks), torch.tensor(scores), torch.stack(pointers))

    def remember(
        self,
        features: Features,
        asked: Sequence[Asked],
        masks: Tensor,
        scores: Tensor,
        *,
        conditioning: str,
        from_prompt: bool,
    ) -> None:
        assert masks.shape == (len(asked), MASK, MASK)
        assert scores.shape == (len(asked),)
        for one in asked:
            assert one.slot.open, "an object that was dropped is remembered"
            fault = self._world(features, one).faults.get(self._frame(features, one))
            if fault == "memory":
                raise RuntimeError("the memory cannot be written")
            self.stored[one.frame, one.slot.index] = conditioning, from_prompt
            if conditioning != "none":
                self.bank.pointers[2 * one.slot.index] = self.bank.pointers[2 * one.slot.index + 1]
                one.slot.vouched = [Vouched(one.frame, 0, conditioning == "pinned")]

    def _world(self, features: Features, one: Asked) -> World:
        return self.network.worlds[int(features.tracker[0][one.picture, 0, 0, 0])]

    def _frame(self, features: Features, one: Asked) -> int:
        return int(features.tracker[0][one.picture, 1, 0, 0])


def _resized(mask: Tensor) -> Tensor:
    return torch.nn.functional.interpolate(mask[None, None].float(), (MASK, MASK))[0, 0] > 0


class Stage:
    """An engine in a world, and one tracker a stream."""

    def __init__(self, *worlds: World, policy: Policy | None = None, capacity: int = 64) -> None:
        self.words = Words()
        self.network: Any = WorldNetwork(worlds, self.words)
        self.stepper: Any = WorldStepper(self.network, capacity)
        parts = Parts(
            self.network, self.stepper, ConceptStore(self.network, self.words), pictures_of, policy or Policy()
        )
        self.engine = Sam3Engine(parts)
        self.trackers: list[Sam3Tracker] = [self.engine.open_tracker() for _ in worlds]
        self.next = 0
        self.last: list[Any] = []

    @property
    def tracker(self) -> Sam3Tracker:
        return self.trackers[0]

    def step(self, count: int = 1) -> list[Any]:
        """So many frames of every stream; the results of the last one."""
        for _ in range(count):
            frames = [frame_of(stream, self.next) for stream in range(len(self.trackers))]
            self.next += 1
            self.last = self.engine.step(list(zip(self.trackers, frames, strict=True)))
        return self.last

    def see(self, count: int = 1) -> TrackUpdate:
        """The same of the first stream, which must not fail."""
        update = self.step(count)[0]
        assert isinstance(update, TrackUpdate), update
        return update


def frame_of(stream: int, index: int) -> Frame:
    """A picture that says which it is."""
    width, height = SIZE
    y = np.full((height, width), 40, np.uint8)
    y[0, 0] = stream
    uv = np.full((height // 2, width // 2, 2), 128, np.uint8)
    return Frame(index, 1, index * 3000, index * 3000, None, index / 30, index / 30, y, uv)


def pictures_of(frames: Sequence[Frame]) -> Tensor:
    return torch.tensor([[[[float(frame.y[0, 0])]], [[float(frame.index)]], [[0.0]]] for frame in frames])
