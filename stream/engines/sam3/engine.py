"""The sam3 engine: one step for the newest frames of up to four streams, each of which may fail alone."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch

from stream.engines.base import Note, StepError, Tracker
from stream.engines.sam3.detection import ConceptStore, Tokens
from stream.engines.sam3.finder import Sam3Finder
from stream.engines.sam3.looking import Look, Looker
from stream.engines.sam3.network import Network
from stream.engines.sam3.policy import Policy
from stream.engines.sam3.preprocess import Preprocessor
from stream.engines.sam3.sides import Sides
from stream.engines.sam3.stepping import Stepper
from stream.engines.sam3.tracker import Parts, Sam3Tracker
from stream.engines.sam3.turn import Orders, Turn
from stream.errors import EngineError, OnlookerError
from stream.models.sam3_memory import OBJECTS, PICTURES
from stream.relief import Effort
from stream.stages import StageClock, timed
from stream.types import Frame, PromptKind, TrackUpdate

log = logging.getLogger(__name__)

KINDS = frozenset({PromptKind.TEXT, PromptKind.POINTS, PromptKind.BOX, PromptKind.MASK, PromptKind.EXEMPLAR})
DEFAULT = Policy()

EFFORTS = (Effort(looks=0.5), Effort(looks=0.25))
"""What is tried before smaller input sides."""

WARM_UP_WORD = "person"

SLOW = Note(
    "slow", "SAM 3 runs on the processor, which takes seconds for a picture.",
    "Use a machine with a CUDA GPU, or --engine light, which is made for processors.",
)  # fmt: skip


@dataclass(slots=True)
class _Part:
    """One stream in a step."""

    tracker: Sam3Tracker
    turn: Turn | None = None
    orders: Orders | None = None
    result: TrackUpdate | StepError | None = None


class Sam3Engine:
    """Implements `stream.engines.base.Engine`. `where` is the device in words, `pictures` how many one step takes,
    `sides` are the smaller input sides to give way to."""

    def __init__(
        self, parts: Parts, *, where: str | None = None, pictures: int = PICTURES, sides: Sequence[int] = ()
    ) -> None:
        self.parts = parts
        self._pictures = pictures
        self._sides = Sides(parts, sides)
        self._trackers: weakref.WeakSet[Sam3Tracker] = weakref.WeakSet()
        self._ready: set[int] = set()
        """The sides that were warmed up."""
        self._looker = self._looking()
        self._where = where or str(parts.network.device)
        self._counters = {"detect": 0, "begin_again": 0, "step_alone": 0, "change_side": 0}

    @classmethod
    def of(
        cls, network: Network, tokens: Tokens, *, capacity: int = OBJECTS, policy: Policy = DEFAULT,
        where: str | None = None, pictures: int = PICTURES, sides: Sequence[int] = (),
    ) -> Self:  # fmt: skip
        """`tokens` makes tokens of words; `capacity` is how many objects all streams together may have; `policy` should
        be that of the model's configuration (`Policy.of`)."""
        preprocessor = Preprocessor(network.shape.side, device=network.device, dtype=network.dtype)
        stepper = Stepper(network, capacity)
        clock = StageClock(cuda=network.device.type == "cuda")
        parts = Parts(network, stepper, ConceptStore(network, tokens), preprocessor, policy, clock=clock)
        return cls(parts, where=where, pictures=pictures, sides=sides)

    @property
    def name(self) -> str:
        return "sam3"

    @property
    def device(self) -> str:
        return self._where

    @property
    def kinds(self) -> frozenset[PromptKind]:
        return KINDS

    @property
    def words(self) -> tuple[str, ...] | None:
        return None

    @property
    def notes(self) -> tuple[Note, ...]:
        return () if self.parts.network.device.type == "cuda" else (SLOW,)

    @property
    def counters(self) -> Mapping[str, int]:
        return dict(self._counters)

    @property
    def max_batch(self) -> int:
        return self._pictures

    @property
    def gpu(self) -> int | None:
        device = self.parts.network.device
        return (device.index or 0) if device.type == "cuda" else None

    def enter_thread(self) -> None:
        """Have the engine's work on a stream of its own: on the default one it would wait for FFmpeg's decoders, and
        they for it."""
        if self.gpu is not None:
            torch.cuda.synchronize(self.gpu)
            torch.cuda.set_stream(torch.cuda.Stream(self.gpu))  # type: ignore[no-untyped-call]

    @property
    def efforts(self) -> tuple[Effort, ...]:
        least, sides = EFFORTS[-1], self._sides
        return (*EFFORTS, *(replace(least, detail=side / sides.full) for side in sides.lower))

    def measure(self, on: bool) -> None:
        self.parts.clock.on = on

    def make_do(self, effort: Effort) -> None:
        """Another input side takes as long as a step; at the first time also as long as recording what is in use."""
        self.parts.effort = effort
        side = self._sides.nearest(effort.detail)
        if side == self._sides.present:
            return
        try:
            self._use(side)
            if self._ready and side not in self._ready:
                used, buckets = self.parts.stepper.bank.used, self.parts.network.run.buckets
                objects = next((size for size in buckets if size >= used), None)
                self._record(range(1, max(1, min(len(self._trackers), self.max_batch)) + 1), objects)
            self._counters["change_side"] += 1
        except Exception as error:  # noqa: BLE001 - told, and every step is made at the side that there is
            self._make_room()
            log.warning("the input side of %d px could not be made ready: %s", side, error)

    def warm_up(self, streams: int | None = None, *, all_sides: bool = False) -> None:
        """Record and compile what steps of up to so many streams need (`max_batch` if None), at the full side or at
        all of them; takes seconds, with compiling minutes."""
        for side in (*(self._sides.lower if all_sides else ()), self._sides.full):
            self._use(side)
            self._record(range(1, (streams or self.max_batch) + 1))

    def _use(self, side: int) -> None:
        self._sides.use(side, self._trackers)
        self._looker = self._looking()

    def _looking(self) -> Looker:
        parts = self.parts
        return Looker(parts.network, parts.stepper, parts.concepts, parts.policy, parts.clock)

    def _record(self, pictures: Iterable[int], objects: int | None = None) -> None:
        concept = self.parts.concepts.get(WARM_UP_WORD)
        for count in pictures:
            self.parts.stepper.warm_up(count, concept=concept, objects=objects)
        self._ready.add(self._sides.present)

    def finder(self, concepts: Sequence[str]) -> Sam3Finder:
        return Sam3Finder(self.parts, concepts)

    def open_tracker(self, first_track_id: int = 1) -> Sam3Tracker:
        tracker = Sam3Tracker(self.parts, first_track_id)
        self._trackers.add(tracker)
        return tracker

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        parts = [self._begin(tracker, frame) for tracker, frame in batch]
        ready = [part for part in parts if part.turn is not None and not part.turn.idle]
        if ready and not self._advance(ready, last_try=len(ready) == 1):
            # Each alone, so that it is known whose fault it is, and a smaller batch finds its memory.
            for part in ready:
                self._counters["step_alone"] += 1
                self._advance([part], last_try=True)
        results = [part.result or StepError(EngineError("Nothing came of it.")) for part in parts]
        return timed(results, self.parts.clock.take())

    def _begin(self, tracker: Tracker, frame: Frame) -> _Part:
        assert isinstance(tracker, Sam3Tracker)
        part = _Part(tracker)
        try:
            part.turn = tracker.begin(frame)
            if part.turn.idle:
                part.result = tracker.rest(part.turn)
        except Exception as error:  # noqa: BLE001 - told to the stream
            self._failed(part, error)
        return part

    def _advance(self, parts: list[_Part], *, last_try: bool) -> bool:
        """One step of these streams; False where it failed before anything was changed, and may be tried again."""
        turns = [part.turn for part in parts if part.turn is not None]
        try:
            look, sights = self._looker.look(turns)
        except Exception as error:  # noqa: BLE001 - logged, or told to the stream
            self._make_room()
            if last_try:
                self._failed(parts[0], error)
            else:
                log.warning("a step of %d streams failed and is tried with each: %s", len(turns), error)
            return last_try
        self._counters["detect"] += any(turn.wanted for turn in turns)
        for part, turn, sight in zip(parts, turns, sights, strict=True):
            try:
                with self.parts.clock.part("decide"):
                    part.orders, part.result = part.tracker.finish(turn, sight)
            except Exception as error:  # noqa: BLE001 - told to the stream
                self._failed(part, error)
        self._remember(look, parts, turns)
        return True

    def _remember(self, look: Look, parts: list[_Part], turns: list[Turn]) -> None:
        try:
            with self.parts.clock.part("memory_encoder"):
                self._looker.remember(look, turns, [part.orders for part in parts])
            return
        except Exception as error:  # noqa: BLE001 - it is tried again below, and told there
            log.warning("remembering of %d streams failed and is tried with each: %s", len(parts), error)
            self._make_room()
        for part in parts:
            try:
                self._looker.remember(look, turns, [part.orders if other is part else None for other in parts])
            except Exception as error:  # noqa: BLE001 - told to the stream
                self._failed(part, error)

    def _failed(self, part: _Part, error: Exception) -> None:
        """Begin a stream's tracking again, and tell it why."""
        self._counters["begin_again"] += 1
        if isinstance(error, OnlookerError):
            told = error
        elif isinstance(error, torch.OutOfMemoryError):
            told = EngineError(
                "The GPU has no memory left for this picture.", action="Remove tracks, or use a smaller input side."
            )
        else:
            log.error("a step failed", exc_info=error)
            told = EngineError(f"Tracking failed on one picture: {error}", action="It goes on by itself.")
        part.tracker.reset(told)
        part.orders, part.result = None, StepError(told)

    def _make_room(self) -> None:
        """Give the memory that nothing uses back to the device."""
        if self.parts.network.device.type == "cuda":
            torch.cuda.empty_cache()

    def close(self) -> None:
        """Weights and state go with the engine; there is nothing that runs beside it."""
