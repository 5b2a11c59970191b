"""The agent of one stream: three loops that never block each other.

1. Perception, with every track update: the scene's log, events from it, pictures worth keeping.
2. The gate: which events are worth asking about, for watches; which objects want describing.
3. The worker: one question, alert or description at a time, at whatever pace the model has.

Tracking waits for none of them. All of it runs on the event loop; pictures are made in threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agent.alerts import Alerts
from agent.backend import Backend, Query
from agent.conversation import Conversation, new_question
from agent.describe import Describer
from agent.keyframes import Keyframe, Keyframes, Shot
from agent.perceive import Perception
from agent.referring import Referring
from agent.regions import RegionBook
from agent.rules.history import TrackHistory
from agent.scene import SceneLog
from agent.toolbox import StreamToolbox
from agent.tools import CHANGING, LOOKING, Tools
from agent.types import (
    Event,
    EventFact,
    EventKind,
    Moment,
    Question,
    Region,
    Severity,
    Speech,
    Watch,
    WatchFact,
)
from agent.watches import WatchBook
from agent.worker import Worker
from stream.errors import FrameTooOld, LimitReached, NotFound
from stream.facts import PromptFact, TrackFact
from stream.privacy.settings import Zone
from stream.session import StreamSession
from stream.types import FrameRef, TrackUpdate

if TYPE_CHECKING:
    from agent.clips.recorder import StreamClips
    from agent.recorder import Recorder

log = logging.getLogger(__name__)

LOOK_BACK_S = 60.0
MOST_PROVING = 8
UNTOLD = frozenset({EventKind.TICK, EventKind.CHANGE})
"""Kinds that only the agent itself wants to know of."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """`describe`: whether objects are described by themselves, at most `descriptions_per_minute`."""

    describe: bool = True
    descriptions_per_minute: int = 6


class StreamAgent:
    """Watches a stream until it is closed. Made and run by `Agents`."""

    def __init__(self, session: StreamSession, backend: Backend, settings: AgentSettings | None = None) -> None:
        self.session = session
        self.backend = backend
        self.settings = settings or AgentSettings()
        self.scene = SceneLog()
        self.keyframes = Keyframes()
        self.watches = WatchBook()
        self.worker = Worker()
        self.conversation = Conversation(session.facts, self.worker, lambda: self.backend)
        self.alerts = Alerts(self)
        self.describer = Describer(self)
        self.referring = Referring(self)
        self.recorder: Recorder | None = None
        self.clips: StreamClips | None = None
        self._perception = Perception()
        self.zones = RegionBook(self._regions_changed, session.facts.publish)
        self.history = TrackHistory()
        self._encoding: asyncio.Task[Keyframe] | None = None
        self._proving: set[asyncio.Task[None]] = set()
        session.screen.forgetters.append(self._forget_pictures)

    async def run(self) -> None:
        """Until the stream is closed."""
        async with asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(self.worker.run(), name=f"agent worker {self.session.id}")
            await self._perceive()
            worker.cancel()
        await asyncio.gather(*self._proving, *([self._encoding] if self._encoding else ()), return_exceptions=True)

    # --- perception -----------------------------------------------------------------------------------------------

    async def _perceive(self) -> None:
        subscription = self.session.facts.subscribe()
        try:
            while True:
                try:
                    facts, update = await subscription.next()
                except LimitReached:
                    # A burst of facts; of these the agent wants to know the least, so it goes on from here.
                    subscription.close()
                    subscription = self.session.facts.subscribe()
                    continue
                if not facts and update is None:
                    return
                for fact in facts:
                    self._hear(fact.body)
                if update is not None:
                    self._see(update)
        finally:
            subscription.close()

    def _hear(self, body: object) -> None:
        if isinstance(body, TrackFact) and body.change == "removed":
            self.scene.remove(body.track_id)
        elif isinstance(body, PromptFact):
            self.referring.hear(body)

    def _see(self, update: TrackUpdate) -> None:
        at = datetime.now(UTC)
        self.scene.update(update, at)
        # Before the events of this update: its frame is their picture.
        frame = self.session.latest_frame
        if frame is not None and frame.ref == FrameRef(update.epoch, update.rtp):
            shot = self.keyframes.offer(frame, update, at)
            if shot is not None:
                self._keep(shot)
        for event in self._perception.step(update, at):
            self.scene.add_event(event)
            if event.kind not in UNTOLD:
                self.tell(event)
            self.alerts.consider(event, at)
            self.describer.changed(event)
        if self._perception.observed is not None:
            for firing in self.zones.running.step(self._perception.observed):
                self.alerts.fire(firing)
        self.history.add(update, at)
        self.referring.consider(update)
        self.describer.consider(update, at)

    def _keep(self, shot: Shot) -> None:
        """Encode a picture beside everything else; a machine that cannot keep up keeps fewer."""
        if self._encoding is not None and not self._encoding.done():
            return
        if self._encoding is not None:
            self.keyframes.add(self._encoding.result())
        self._encoding = asyncio.create_task(asyncio.to_thread(shot.keyframe))

    def tell(self, event: Event) -> str | None:
        """Tell an event, with a picture that shows it, which is not yet or no longer kept otherwise. Returns the id of
        its clip, if it has one."""
        thumb = self.recorder is not None and self.recorder.expect(event)
        clip = self.clips.expect(event) if self.clips is not None else None
        self.session.facts.publish(EventFact(event, thumb, clip))
        try:
            found = self.keyframes.showing(event.frame, event.track_ids)
        except (NotFound, FrameTooOld):
            return clip
        if isinstance(found, Keyframe):
            self.keyframes.keep_proof(event.frame, found)
        elif len(self._proving) < MOST_PROVING:
            task = asyncio.create_task(self._prove(event.frame, found))
            self._proving.add(task)
            task.add_done_callback(self._proving.discard)
        return clip

    async def _prove(self, frame: FrameRef, shot: Shot) -> None:
        self.keyframes.keep_proof(frame, await asyncio.to_thread(shot.keyframe))

    # --- questions ------------------------------------------------------------------------------------------------

    async def moment(self, frame: FrameRef | None = None) -> Moment:
        """The frame and its tracks, frozen. Raises `NotFound` or `FrameTooOld`."""
        return await asyncio.to_thread(self.keyframes.find(frame).moment)

    async def ask(
        self,
        text: str,
        *,
        client: str,
        track_ids: Iterable[int] = (),
        frame: FrameRef | None = None,
        follows: str | None = None,
        speech: Speech | None = None,
    ) -> Question:
        """Take on a question about what is in the picture now, or was on `frame`; the answer comes as facts. `speech`:
        it was spoken.

        Raises `BadInput`, `NotFound` (unknown_track, unknown_question), `FrameTooOld` or `LimitReached` (busy).
        """
        if self.session.attention is not None:
            self.session.attention.ask()
        scene = self.scene.snapshot()
        previous = self.conversation.previous(follows)
        moment = await self.moment(frame)
        question = new_question(text, client=client, moment=moment, track_ids=track_ids, follows=follows, speech=speech)
        known = {thing.id for thing in scene.objects} | {track.id for track in moment.tracks}
        for track_id in question.track_ids:
            if track_id not in known:
                raise NotFound(f"There is no track {track_id}.", code="unknown_track")
        keyframes = tuple(self.keyframes.between(moment.at - timedelta(seconds=LOOK_BACK_S), moment.at))
        tools = Tools(StreamToolbox(self, moment), (*LOOKING, *CHANGING), known)
        wav = speech.wav if speech is not None else None
        self.conversation.ask(Query(question, moment, scene, previous, keyframes, tools, wav))
        return question

    async def jpeg(self, frame: FrameRef) -> bytes:
        """The picture of what happened on a frame, or of a moment of the last minute. Raises `NotFound` or
        `FrameTooOld`."""
        found = self.keyframes.proof(frame)
        if isinstance(found, Shot):
            found = await asyncio.to_thread(found.keyframe)
        return found.jpeg

    # --- watches and regions --------------------------------------------------------------------------------------

    def add_watch(
        self, condition: str, *, cooldown_s: float = 60.0, severity: Severity = Severity.WARN, enabled: bool = True
    ) -> Watch:
        """Raises `BadInput` or `LimitReached`."""
        watch = self.watches.add(condition, self.regions, cooldown_s=cooldown_s, severity=severity, enabled=enabled)
        return self._watching(watch)

    def change_watch(
        self,
        watch_id: str,
        *,
        condition: str | None = None,
        cooldown_s: float | None = None,
        severity: Severity | None = None,
        enabled: bool | None = None,
    ) -> Watch:
        """What is None stays. Raises `NotFound` or `BadInput`."""
        watch = self.watches.change(
            watch_id, self.regions, condition=condition, cooldown_s=cooldown_s, severity=severity, enabled=enabled
        )
        self.worker.cancel(key=watch_id)
        self.alerts.forget(watch_id)
        return self._watching(watch)

    def remove_watch(self, watch_id: str) -> None:
        """Raises `NotFound`."""
        watch = self.watches.remove(watch_id)
        self.worker.cancel(key=watch_id)
        self.alerts.forget(watch_id)
        self._perception.replace_rules(self.watches.rules)
        self.session.facts.publish(WatchFact(watch, removed=True))

    def restore(self, regions: Iterable[Region], watches: Iterable[Watch], armed: bool = True) -> None:
        """Take back what the stream had when it was last open."""
        self.zones.restore(regions, armed)
        for watch in watches:
            self._watching(self.watches.restore(watch, self.regions))

    @property
    def regions(self) -> tuple[Region, ...]:
        return self.zones.all()

    @property
    def needs_tracks(self) -> bool:
        """Whether a rule or a watch waits for what is tracked, whoever looks on."""
        return self.zones.running.waits or bool(self.watches.rules)

    def described(self, track_id: int, text: str) -> None:
        """An object's description is known now."""
        self.scene.describe(track_id, text)
        self.session.captions[track_id] = text
        self._perception.described(track_id)

    def _watching(self, watch: Watch) -> Watch:
        self._perception.replace_rules(self.watches.rules)
        self.session.facts.publish(WatchFact(watch))
        return watch

    def _regions_changed(self, regions: tuple[Region, ...]) -> None:
        self._perception.replace_regions(regions)
        self.scene.regions = regions
        for region in regions:
            self.session.screen.follow(Zone(region.points, region.id))

    def _forget_pictures(self) -> None:
        """Something is hidden from now on: no picture from before is shown, or shown to a model, any more."""
        self.keyframes.forget()
        self.worker.cancel_all()
