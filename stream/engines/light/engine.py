"""The light engine: real-time object masks on a processor, with models where they are there and without."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import cv2

from stream.engines.base import Note, StepError, Tracker
from stream.engines.light.effort import EFFORTS
from stream.engines.light.fallback import MOVING, PlainSight
from stream.engines.light.finder import LightFinder
from stream.engines.light.tracker import Eyes, LightTracker
from stream.engines.light.tuning import TUNING, Tuning
from stream.engines.light.worker import Worker
from stream.engines.words import COCO_NAMES
from stream.errors import EngineError, ModelMissing, OnlookerError
from stream.models.store import ModelStore
from stream.relief import Effort
from stream.seldom import Seldom
from stream.stages import StageClock, timed
from stream.types import Frame, PromptKind, TrackUpdate

log = logging.getLogger(__name__)

KINDS = frozenset({PromptKind.TEXT, PromptKind.POINTS, PromptKind.BOX, PromptKind.MASK})


class LightEngine:
    """Implements `stream.engines.base.Engine`, `Yielding` and `Finding`.

    Without models (`None`, or a store that lacks some) it follows what moves and what is pointed at with what OpenCV
    has built in, and `notes` says so. `background=False` runs SAM inline on a virtual clock, its answers coming
    `sam_latency_frames` steps after their picture, so that results do not depend on the machine. `eyes` replaces
    models and fallback.
    """

    def __init__(
        self,
        models: ModelStore | None,
        *,
        background: bool = True,
        sam_latency_frames: int = 0,
        tuning: Tuning = TUNING,
        eyes: Eyes | None = None,
    ) -> None:
        cv2.setNumThreads(1)
        self._tuning = tuning
        self._stages = StageClock()
        self._log_now = Seldom()
        self._models = models
        self._eyes = eyes or Eyes(PlainSight(tuning), detector=False)
        self._error: OnlookerError | None = None
        self._worker = Worker(background=background, latency_frames=sam_latency_frames)
        if models is not None and eyes is None:
            self.load_models(models)()

    def load_models(self, models: ModelStore) -> Callable[[], None]:
        """Load the models in `models`, which takes seconds, since each is run once. Any thread, beside the steps.

        Returns what makes the engine use them, to be called on the engine thread: streams go on with their tracks.
        Those that are missing or cannot be used are in `notes` then.
        """
        from stream.engines.light.samsight import SamSight

        eyes: Eyes | None = None
        failure: ModelMissing | None = None
        if models.ready:
            try:
                eyes = Eyes(SamSight.load(models, self._tuning), detector=True)
            except ModelMissing as error:
                log.warning("models cannot be used: %s", error.message)
                failure = error

        def use() -> None:
            self._models, self._error = models, failure
            if eyes is not None:
                self._eyes = replace(eyes, effort=self._eyes.effort)

        return use

    @property
    def name(self) -> str:
        return "light"

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def kinds(self) -> frozenset[PromptKind]:
        return KINDS

    @property
    def words(self) -> tuple[str, ...] | None:
        return (*COCO_NAMES, MOVING) if self._eyes.detector else (MOVING,)

    @property
    def notes(self) -> tuple[Note, ...]:
        if self._error is not None:
            return (Note(self._error.code, self._error.message, self._error.action),)
        if self._eyes.detector:
            return ()
        if self._models is not None:
            return self._models.missing()
        return (
            Note(
                "model_missing",
                "No models are installed: words are not understood, and masks are rougher.",
                ModelMissing.default_action,
            ),
        )

    @property
    def counters(self) -> Mapping[str, int]:
        return dict(self._worker.begun)

    @property
    def max_batch(self) -> int:
        return 1

    @property
    def efforts(self) -> tuple[Effort, ...]:
        return EFFORTS

    def measure(self, on: bool) -> None:
        self._stages.on = on

    def make_do(self, effort: Effort) -> None:
        self._eyes = replace(self._eyes, effort=effort)

    def finder(self, concepts: Sequence[str]) -> LightFinder:
        return LightFinder(self._models, concepts)

    def open_tracker(self, first_track_id: int = 1) -> LightTracker:
        return LightTracker(lambda: self._eyes, self._worker.join(), self._tuning, first_track_id, self._stages)

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        results = [self._step(tracker, frame) for tracker, frame in batch]
        return timed(results, self._stages.take())

    def _step(self, tracker: Tracker, frame: Frame) -> TrackUpdate | StepError:
        assert isinstance(tracker, LightTracker)
        try:
            return tracker.step(frame)
        except OnlookerError as error:
            return StepError(error)
        except Exception as error:
            # A mistake of ours on one picture of one stream: the others go on.
            if self._log_now():
                log.exception("a picture of %d x %d could not be tracked", frame.width, frame.height)
            return StepError(EngineError(f"Tracking failed on one picture: {error}"))

    def close(self) -> None:
        self._worker.close()
