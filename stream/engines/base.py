"""The two protocols that every engine implements.

An `Engine` holds weights, once a process; a `Tracker` holds the state of one stream. All methods of both are called
on the engine thread only, never two at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from stream.errors import OnlookerError
from stream.relief import Effort
from stream.types import BoxXyxyPx, Frame, Prompt, PromptChange, PromptKind, TrackUpdate


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the engine cannot do at present, and what to do about it. Shown in `/health` and on the page."""

    code: str
    message: str
    action: str


@dataclass(frozen=True, slots=True)
class StepError:
    """One stream's frame failed; the others in the batch are not affected."""

    error: OnlookerError


class Tracker(Protocol):
    """The tracking state of one stream, of fixed size however long it runs.

    Changes take effect at the next `step`, with all other ids kept.
    """

    @property
    def busy(self) -> bool:
        """True while an answer is still being worked on beside `step`, so that stepping the same frame again (a
        still screen sends no new ones) will bring news."""
        ...

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        """Start following, or refine `prompt.track_id`.

        Raises `UnknownWord`, `FrameTooOld`, or `BadInput` with code `unsupported_prompt`, `out_of_picture` or
        `unknown_track`; the state is then unchanged.
        """
        ...

    def remove_prompt(self, prompt_id: int) -> None:
        """Forget the prompt and its tracks. Unknown ids are ignored."""
        ...

    def restore_prompt(self, prompt: Prompt) -> None:
        """Undo `remove_prompt`: the prompt's tracks come back under their old ids."""
        ...

    def remove_track(self, track_id: int) -> None:
        """Drop one track and leave a tombstone: a text prompt does not bring the same object back."""
        ...

    def restore_track(self, track_id: int) -> None:
        """Undo `remove_track` under the same id. Raises `NotFound` once the state is gone (60 s)."""
        ...

    def close(self) -> None:
        """Free the state. Idempotent."""
        ...


class Engine(Protocol):
    """Weights and compute, shared by all streams."""

    @property
    def name(self) -> str: ...

    @property
    def device(self) -> str: ...

    @property
    def kinds(self) -> frozenset[PromptKind]:
        """The kinds of prompt that it takes."""
        ...

    @property
    def words(self) -> tuple[str, ...] | None:
        """The concepts it knows by name; None where any text may be tried."""
        ...

    @property
    def notes(self) -> tuple[Note, ...]:
        """What is missing at present."""
        ...

    @property
    def counters(self) -> Mapping[str, int]:
        """How often each kind of work beside the frames was begun since the start, such as `refresh`; for metrics.
        May be read from any thread."""
        ...

    @property
    def max_batch(self) -> int:
        """The most frames that one `step` takes."""
        ...

    def open_tracker(self, first_track_id: int = 1) -> Tracker:
        """A tracker for a new stream, whose track ids count from `first_track_id` on."""
        ...

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        """Advance each tracker by its frame; one result a pair, in order. Never raises for one stream's fault."""
        ...

    def close(self) -> None:
        """Free weights and stop background threads. Idempotent."""
        ...


@runtime_checkable
class Yielding(Protocol):
    """What an engine has besides, that can do with less work while the machine cannot keep up. Engine thread only."""

    @property
    def efforts(self) -> tuple[Effort, ...]:
        """What it can do with, the first one the first to be tried; each includes those before it."""
        ...

    def make_do(self, effort: Effort) -> None:
        """Put so much work into each picture from the next step on, with all tracks and prompts kept."""
        ...


@runtime_checkable
class OnGpu(Protocol):
    """What an engine has besides, that may run on a CUDA GPU."""

    @property
    def gpu(self) -> int | None:
        """The GPU in whose memory it likes to have its frames; None where it runs on the processor."""
        ...

    def enter_thread(self) -> None:
        """Called once on the engine thread, before everything else there."""
        ...


class Finder(Protocol):
    """Finds all things of some concepts in single frames, beside all tracking: nothing is kept of a frame, and what is
    doubtful is said rather than left out."""

    @property
    def labels(self) -> Sequence[frozenset[str]]:
        """For each concept, what tracks of such things may be labelled."""
        ...

    @property
    def on_engine(self) -> bool:
        """Whether `find` may be called on the engine thread only; else on any thread."""
        ...

    def find(self, frame: Frame) -> Sequence[Sequence[BoxXyxyPx]]:
        """For each concept, in order, the boxes of what is there. Raises `EngineError` where it cannot look."""
        ...


@runtime_checkable
class Finding(Protocol):
    """What an engine has besides, that can look at frames one by one."""

    def finder(self, concepts: Sequence[str]) -> Finder:
        """Any thread; may take a second, in which models are loaded.

        Raises `UnknownWord`, `BadInput`, or `ModelMissing` where models have to be fetched first.
        """
        ...
