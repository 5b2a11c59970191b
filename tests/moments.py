"""Moments, scenes and an agent's surroundings made by hand, on a 320×240 picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.loop import AgentSettings
from agent.scene import Scene, SceneLog
from agent.types import Event, EventKind, Moment, Question, Verdict, VerdictKind
from agent.views import View
from agent.worker import Job
from kernels.cpu import rle
from stream.errors import ModelServerError
from stream.types import FrameRef, Rle, Track, TrackState, TrackUpdate
from tests.composed_tracks import at
from tests.staged import GREY, SIZE, Block

U8 = NDArray[np.uint8]
FRAME = FrameRef(1, 90_000)


def masked(number: int, label: str, mask: U8, *, age_s: float = 10.0, prompt_id: int | None = 1) -> Track:
    """A track with a mask `(240, 320)` uint8 of 0 and 1."""
    ys, xs = np.nonzero(mask)
    box = (float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1))
    return Track(number, label, 0.9, box, Rle(mask.shape, rle(mask)), TrackState.LIVE, prompt_id, age_s)


def block(number: int, label: str, box: tuple[int, int, int, int], **more: Any) -> Track:
    mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    return masked(number, label, mask, **more)


def moment(tracks: Iterable[Track], t: float = 10.0, *, picture: U8 | None = None) -> Moment:
    if picture is None:
        picture = np.full((SIZE[1], SIZE[0], 3), GREY, np.uint8)
    return Moment(FRAME, 90_000, at(t), SIZE[0], SIZE[1], tuple(tracks), View(picture))


def update(tracks: Iterable[Track], t: float = 10.0) -> TrackUpdate:
    pts = round(t * 90_000)
    return TrackUpdate(1, round(t * 10), pts, pts, None, SIZE[0], SIZE[1], tuple(tracks))


def scene(tracks: Iterable[Track], t: float = 10.0, events: Iterable[Event] = ()) -> Scene:
    """What is known at second `t` of tracks that have been where they are for ten seconds."""
    log, tracks = SceneLog(), tuple(tracks)
    for k in range(11):
        log.update(update(tracks, t - 10 + k), at(t - 10 + k))
    for event in events:
        log.add_event(event)
    return log.snapshot()


def event(t: float, kind: EventKind, text: str, *track_ids: int, labels: tuple[str, ...] = ("person",)) -> Event:
    boxes = ((0.1, 0.1, 0.4, 0.4),) * len(track_ids)
    return Event("e" * 32, kind, text, track_ids, FRAME, 90_000, at(t), boxes_xyxy=boxes, labels=labels)


def question(text: str, *track_ids: int) -> Question:
    return Question("f" * 32, text, "ann", FRAME, at(10.0), track_ids)


def staged(blocks: Iterable[Block]) -> list[Track]:
    return [block(b.id, b.label, b.box_xyxy_px) for b in blocks]


class FakeBackend:
    """Says what it is told to, in turn; an error is raised. What it was asked is in `asked`."""

    name = "fake"
    is_model = True
    missing: ModelServerError | None = None

    def speaks(self, language: str | None) -> str | None:
        return language

    def __init__(self, *replies: Any, can: Iterable[str] = ("image",)) -> None:
        self.replies = list(replies)
        self.can = frozenset(can)
        self.asked: list[tuple[Any, ...]] = []

    async def describe(self, *asked: Any) -> Any:
        return self._reply(asked)

    async def verify(self, *asked: Any) -> Any:
        return self._reply(asked)

    async def choose(self, *asked: Any) -> Any:
        return self._reply(asked)

    def _reply(self, asked: tuple[Any, ...]) -> Any:
        self.asked.append(asked)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


YES, NO, UNSURE = (Verdict(kind, (5,), "Seen.") for kind in (VerdictKind.YES, VerdictKind.NO, VerdictKind.UNSURE))
BUSY = ModelServerError("Busy.", action="Wait.", retryable=True)
BROKEN = ModelServerError("Broken.", action="Mend it.")


class FakeWorker:
    """Holds jobs until the test lets them run."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    @property
    def idle(self) -> bool:
        return not self.jobs

    def submit(self, job: Job) -> None:
        self.jobs.append(job)

    async def run(self) -> None:
        """All that wait."""
        while self.jobs:
            await self.jobs.pop(0).work()


class FakeSession:
    """Remembers what it is told and asked to do."""

    def __init__(self) -> None:
        self.facts = self
        self.published: list[Any] = []
        self.removed: list[int] = []
        self.told: list[tuple[int, str]] = []

    def publish(self, body: Any) -> None:
        self.published.append(body)

    def tell_prompt(self, prompt_id: int, message: str) -> None:
        self.told.append((prompt_id, message))

    async def remove_track(self, track_id: int) -> None:
        self.removed.append(track_id)


class FakeAgent:
    """What the parts of an agent have around them, without a stream, a clock or a model."""

    def __init__(self, backend: FakeBackend, tracks: Iterable[Track] = (), **parts: Any) -> None:
        self.backend, self.tracks = backend, list(tracks)
        self.settings = AgentSettings(descriptions_per_minute=3)
        self.worker, self.session, self.keyframes = FakeWorker(), FakeSession(), parts.pop("keyframes", None)
        self.scene = SceneLog()
        self.told: list[Event] = []
        self.now = 10.0
        self.__dict__.update(parts)

    async def moment(self) -> Moment:
        return moment(self.tracks, self.now)

    def tell(self, event: Event) -> None:
        self.told.append(event)

    def described(self, track_id: int, text: str) -> None:
        self.scene.describe(track_id, text)

    def see(self, consider: Callable[[TrackUpdate, datetime], None], t: float) -> None:
        """Let a part consider the present tracks at second `t`."""
        self.now = t
        seen = update(self.tracks, t)
        self.scene.update(seen, at(t))
        consider(seen, at(t))
