"""All streams of a process: opened, published, watched and closed, within limits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from stream.engines.base import Engine
from stream.errors import BadInput, Conflict, LimitReached, MediaError, NotFound, SourceError
from stream.hardware import Hardware
from stream.relief import Load
from stream.scheduler import Scheduler
from stream.session import StreamSession
from stream.sources.base import Source
from stream.sources.webrtc import Publisher, Viewer, WebRtcConfig
from stream.status import NextIds
from stream.tasks import end

log = logging.getLogger(__name__)

STREAM_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
REMEMBERED_STREAMS = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HubLimits:
    """`max_sessions` counts publishers, `max_viewers` those who watch, whose packets are only passed on; `linger_s` is
    how long a stream outlives its publisher."""

    max_streams: int = 16
    max_sessions: int = 16
    max_viewers: int = 64
    max_pixels: int = 4096 * 2304
    linger_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A WHIP or WHEP session and the SDP that answers its offer."""

    session: str
    sdp: str


class StreamHub:
    """Owns the engine thread and every stream's task. An async context manager; event loop only."""

    def __init__(
        self,
        engine: Engine,
        *,
        webrtc: WebRtcConfig,
        limits: HubLimits | None = None,
        on_open: Callable[[StreamSession], object] = lambda session: None,
        on_unview: Callable[[str], object] = lambda session: None,
        boot: str | None = None,
        hardware: Hardware | None = None,
    ) -> None:
        """`on_open` hears of each stream before anything happens in it, `on_unview` of each viewer's session that has
        ended; `boot` names this life of the server, `hardware` where frames are decoded, None for the host."""
        self.engine = engine
        self.boot = boot or uuid.uuid4().hex
        self.limits = limits or HubLimits()
        self._webrtc = webrtc
        self._on_open = on_open
        self._on_unview = on_unview
        self._scheduler = Scheduler(engine, hardware=hardware)
        self._streams: dict[str, StreamSession] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._publishers: dict[str, Publisher] = {}
        self._viewers: dict[str, Viewer] = {}
        self._pending = {"publishers": 0, "viewers": 0}
        self._next_ids: OrderedDict[str, NextIds] = OrderedDict()

    @property
    def hardware(self) -> Hardware | None:
        return self._scheduler.hardware

    async def __aenter__(self) -> Self:
        self._scheduler.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream_id in list(self._streams):
            with contextlib.suppress(NotFound):
                await self.close(stream_id)
        await end(*self._tasks.values())
        await asyncio.to_thread(self._scheduler.close)

    @property
    def load(self) -> Load:
        """Of the engine thread, in the last whole second."""
        return self._scheduler.load

    @property
    def engine_turn_age_s(self) -> float:
        """How long the engine thread has been at what it does now."""
        return time.monotonic() - self._scheduler.turn_s

    async def run_on_engine(self, work: Callable[[], T]) -> T:
        """Do `work` on the engine thread between two steps."""
        return await self._scheduler.run(work)

    # --- streams ----------------------------------------------------------------------------------------------

    def list(self) -> list[StreamSession]:
        return list(self._streams.values())

    def get(self, stream_id: str) -> StreamSession:
        """Raises `NotFound`."""
        try:
            return self._streams[stream_id]
        except KeyError:
            raise NotFound(f"There is no stream “{stream_id[:63]}”.") from None

    async def open(self, source: Source, *, stream_id: str | None = None, name: str | None = None) -> StreamSession:
        """A new stream fed by `source`. Raises `BadInput`, `Conflict` or `LimitReached`."""
        stream_id = stream_id or f"{source.kind}-{secrets.token_hex(4)}"
        if stream_id in self._streams:
            raise Conflict(f"A stream “{stream_id}” exists already.")
        session = await self._create(stream_id, name or source.kind)
        session.attach(source)
        await self._spawn(f"source {stream_id}", session.run_source(source))
        return session

    async def feed_from(self, stream_id: str, source: Source) -> None:
        """Feed a stream from another source from now on; its prompts and ids stay. Raises `NotFound`."""
        session = self.get(stream_id)
        await end(self._tasks.get(f"source {stream_id}"))
        session.attach(source)
        await self._spawn(f"source {stream_id}", session.run_source(source))

    async def close(self, stream_id: str) -> None:
        """End a stream, its source and its viewers. Raises `NotFound`."""
        session = self.get(stream_id)
        del self._streams[stream_id]
        self._publishers.pop(stream_id, None)
        await end(self._tasks.get(f"source {stream_id}"), self._tasks.get(f"linger {stream_id}"))
        await session.close()
        self._next_ids[stream_id] = session.next_ids
        while len(self._next_ids) > REMEMBERED_STREAMS:
            self._next_ids.popitem(last=False)

    async def _create(self, stream_id: str, name: str) -> StreamSession:
        if not STREAM_ID.fullmatch(stream_id):
            message = "A stream's id is 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit."
            raise BadInput(message, action="Choose another id.")
        if len(self._streams) >= self.limits.max_streams:
            raise LimitReached(f"At most {self.limits.max_streams} streams at once.", action="Close one first.")
        ids = self._next_ids.pop(stream_id, NextIds())
        session = StreamSession(stream_id, name, self._scheduler, ids=ids, max_pixels=self.limits.max_pixels)
        self._streams[stream_id] = session
        try:
            await session.open()
        except BaseException:
            self._streams.pop(stream_id, None)
            raise
        self._on_open(session)
        return session

    # --- WHIP -------------------------------------------------------------------------------------------------

    async def publish(self, stream_id: str, offer_sdp: str, *, if_match: str | None = None) -> Answer:
        """Answer a publisher's offer. The stream is made if there is none; one that waits goes on with a new epoch.

        Raises `Conflict` while another publisher feeds the stream, unless `if_match` names its session; then that one
        is replaced.
        """
        self._require_room(stream_id, if_match)
        with self._place_for_publisher():
            publisher, answer_sdp = await Publisher.accept(offer_sdp, self._webrtc)
            try:
                # Somebody else may have come while this offer was answered, or the one to be replaced may have gone.
                while (held := self._require_room(stream_id, if_match)) is not None:
                    with contextlib.suppress(NotFound):
                        await self.unpublish(stream_id, held.id)
                self._publishers[stream_id] = publisher
                session = self._streams.get(stream_id) or await self._create(stream_id, stream_id)
            except BaseException:
                if self._publishers.get(stream_id) is publisher:
                    del self._publishers[stream_id]
                await publisher.close()
                raise
            await self._spawn(f"source {stream_id}", self._feed(session, publisher))
        return Answer(publisher.id, answer_sdp)

    def _require_room(self, stream_id: str, if_match: str | None) -> Publisher | None:
        """The publisher that is to be replaced, if there is one. Raises `Conflict` where it may not be."""
        held = self._publishers.get(stream_id)
        if held is not None and if_match != held.id:
            raise Conflict(f"Stream “{stream_id}” has a publisher already.")
        if held is None and stream_id in self._streams and self._streams[stream_id].kind != "webrtc":
            raise Conflict(f"Stream “{stream_id}” is not fed by a publisher.")
        return held

    async def unpublish(self, stream_id: str, session: str) -> None:
        """End a publisher's session. Raises `NotFound`."""
        publisher = self._publishers.get(stream_id)
        if publisher is None or publisher.id != session:
            raise NotFound("There is no such session.")
        await end(self._tasks[f"source {stream_id}"])

    async def _feed(self, session: StreamSession, publisher: Publisher) -> None:
        try:
            await session.run_source(publisher)
        finally:
            await publisher.close()
            if self._publishers.get(session.id) is publisher:
                del self._publishers[session.id]
                await self._spawn(f"linger {session.id}", self._linger(session))

    async def _linger(self, session: StreamSession) -> None:
        await asyncio.sleep(self.limits.linger_s)
        if self._streams.get(session.id) is session and session.source is None:
            self._tasks.pop(f"linger {session.id}", None)
            await self.close(session.id)

    # --- WHEP -------------------------------------------------------------------------------------------------

    async def view(self, stream_id: str, offer_sdp: str) -> Answer:
        """Answer a viewer's offer with the stream's own packets. Raises `NotFound`, `MediaError`, `LimitReached`."""
        stream = self.get(stream_id)
        codec = await _codec_of(stream)
        with self._place_for_viewer():
            viewer, answer_sdp = await Viewer.accept(offer_sdp, codec, self._webrtc, stream.request_keyframe)
            self._viewers[viewer.id] = viewer
            await self._spawn(f"viewer {viewer.id}", self._serve(stream, viewer))
        return Answer(viewer.id, answer_sdp)

    async def unview(self, stream_id: str, session: str) -> None:
        """End a viewer's session. Raises `NotFound`."""
        if self.get(stream_id).relay.get(session) is None:
            raise NotFound("There is no such session.")
        await end(self._tasks[f"viewer {session}"])

    async def viewer_rtp_offset(self, stream_id: str, session: str) -> int:
        """What to take from the RTP timestamps that this viewer sees (mod 2^32) to get the stream's own, in its epoch.

        Waits until the first picture of that has been sent. Raises `NotFound`.
        """
        stream = self.get(stream_id)
        if stream.relay.get(session) is None:
            raise NotFound("There is no such session.")
        offset: int = await self._viewers[session].rtp_offset(stream.epoch)
        return offset

    async def _serve(self, stream: StreamSession, viewer: Viewer) -> None:
        if not stream.relay.add(viewer):
            stream.request_keyframe()
        try:
            await viewer.run()
        except SourceError as error:
            log.info("viewer %s of %s: %s", viewer.id, stream.id, error.message)
        finally:
            stream.relay.remove(viewer.id)
            del self._viewers[viewer.id]
            self._on_unview(viewer.id)
            await viewer.close()

    # --- tasks ------------------------------------------------------------------------------------------------

    def _place_for_publisher(self) -> AbstractContextManager[None]:
        most = self.limits.max_sessions
        action = "End one first, or raise webrtc.max_sessions."
        full = LimitReached(f"At most {most} publishers at once.", action=action)
        return self._place("publishers", len(self._publishers), most, full)

    def _place_for_viewer(self) -> AbstractContextManager[None]:
        most = self.limits.max_viewers
        action = "Close another window that shows cameras, or raise webrtc.max_viewers."
        full = LimitReached(f"At most {most} viewers at once.", action=action)
        return self._place("viewers", len(self._viewers), most, full)

    @contextlib.contextmanager
    def _place(self, kind: str, taken: int, most: int, full: LimitReached) -> Iterator[None]:
        """A place among the sessions while an offer is being answered. Raises `full` where there is none."""
        if taken + self._pending[kind] >= most:
            raise full
        self._pending[kind] += 1
        try:
            yield
        finally:
            self._pending[kind] -= 1

    async def _spawn(self, key: str, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that the hub owns, and let it come to its first wait: one that is cancelled before it has
        begun would never clean up after itself."""
        task = asyncio.create_task(work, name=key)
        self._tasks[key] = task
        task.add_done_callback(lambda done: self._tasks.pop(key) if self._tasks.get(key) is done else None)
        await asyncio.sleep(0)


async def _codec_of(stream: StreamSession) -> Any:
    """The stream's codec, once its first picture has come."""
    for _ in range(50):
        if stream.codec is not None:
            return stream.codec
        await asyncio.sleep(0.1)
    raise MediaError("The stream has no picture yet.", action="Try again when it is live.")
