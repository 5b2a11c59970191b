"""One stream's life: packets in, frames decoded, tracks out, prompts kept.

1. A source pushes complete compressed pictures (`push`, event loop).
2. They go to the decoder's thread and, unless something is hidden, to the viewers as they are.
3. Decoded frames go into the lane (decoder thread), the newest that is due is stepped (engine thread).
4. The screen hides what is private, or lets pass; the update comes back to the event loop and to every client.

A stream outlives its source: prompts and ids are kept while it waits for the next one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from stream.attention import Attention
from stream.changes import TrackHistory, with_labels
from stream.clock import RtpUnwrapper
from stream.decode import DecoderThread, Decoding
from stream.engines.base import StepError
from stream.errors import BadInput, NotFound, OnlookerError
from stream.facts import FactLog, PromptFact, SourceChange, SourceFact, TrackFact
from stream.lane import Lane, StepResult
from stream.meters import StreamMeters
from stream.privacy.screen import Screen
from stream.promptbook import PromptBook
from stream.prompts import PromptDraft, check_label
from stream.relay import PacketRelay
from stream.scheduler import Scheduler
from stream.snapshot import encode_jpeg
from stream.sources.base import Received, Source
from stream.status import NextIds, StreamState, StreamStatus, state_while_open
from stream.types import EncodedFrame, Frame, PromptChange, PromptState, TrackUpdate

log = logging.getLogger(__name__)


class StreamSession:
    """One stream. All methods run on the event loop's thread; errors are `OnlookerError`.

    Made by `StreamHub`, which calls `open` before anything else and `close` at the end.
    """

    def __init__(self, stream_id: str, name: str, scheduler: Scheduler, *, ids: NextIds, max_pixels: int) -> None:
        self.id = stream_id
        self.name = name
        self.created_at = datetime.now(UTC)
        self.error: OnlookerError | None = None
        self.epoch = 0
        self.width = self.height = 0
        self.codec: str | None = None
        self.latest: TrackUpdate | None = None
        self.latest_frame: Frame | None = None
        self.labels: dict[int, str] = {}
        self.captions: dict[int, str] = {}
        """Descriptions of tracks, as whoever looks at them writes here."""
        self.facts = FactLog(ids.fact)
        self.source: Source | None = None
        self.relay = PacketRelay()
        self.attention: Attention | None = None
        self.screen = Screen(stream_id, self.relay, scheduler, self._post, self._deliver)
        self.screen.forgetters.append(self._forget_picture)
        self._kind = "webrtc"
        self._url: str | None = None
        self._scheduler = scheduler
        self._max_pixels = max_pixels
        self._loop = asyncio.get_running_loop()
        self._lane: Lane | None = None
        self._decoder: DecoderThread | None = None
        self._unwrapper = RtpUnwrapper()
        self._history = TrackHistory()
        self._book = PromptBook(ids.prompt)
        self._next_track_id = ids.track
        self._meters = StreamMeters()
        self._idle = 0
        self._ended = False

    # --- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        self._lane = await self._scheduler.open(self._result_from_engine, first_track_id=self._next_track_id)
        self._decoder = DecoderThread(
            f"decoder-{self.id}",
            on_frame=self._frame_from_decoder,
            request_keyframe=lambda: self._post(self.request_keyframe),
            on_drop=lambda stage, count: self._post(lambda: self.dropped(stage, count)),
            on_error=lambda error: self._post(lambda: self._failed(error)),
            max_pixels=self._max_pixels,
            hardware=self._scheduler.hardware,
        )

    async def close(self) -> None:
        """Stop decoding and tracking, end every client. Idempotent."""
        self._ended = True
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            await asyncio.to_thread(decoder.close)
        lane, self._lane = self._lane, None
        if lane is not None and not self._scheduler.closing:
            await self._scheduler.close_lane(lane)
        await self.screen.close()
        await self.relay.close()
        self.facts.close()

    def attach(self, source: Source) -> None:
        """This is what feeds the stream from now on."""
        self.source, self._kind, self._url, self.error = source, source.kind, source.url, None

    async def run_source(self, source: Source) -> None:
        """Feed from `source` until it ends; the reason, if it failed, is kept in `error` and told as a fact."""
        self.attach(source)
        try:
            await source.run(self)
        except OnlookerError as error:
            self.error = error
        finally:
            self.source = None
            reason = self.error.message if self.error else None
            self._tell_source("lost" if source.kind == "webrtc" else "ended", reason)

    @property
    def kind(self) -> str:
        return self._kind

    @property
    def url(self) -> str | None:
        return self._url

    @property
    def next_ids(self) -> NextIds:
        return NextIds(self._book.next_id, self._next_track_id, self.facts.seq)

    @property
    def lane(self) -> Lane | None:
        """Its place at the engine, where its rate, pause and gate are set; None before `open` and after `close`."""
        return self._lane

    @property
    def decoding(self) -> Decoding | None:
        """What decodes it at present; None before the first picture."""
        return self._decoder.decoding if self._decoder else None

    def attend(self, attention: Attention) -> None:
        """What decides from now on which pictures are worth decoding and a step."""
        self.attention = attention
        if self._lane is not None:
            self._lane.gate = attention

    # --- what the source calls (MediaSink) -----------------------------------------------------------------------

    def connected(self) -> None:
        self.epoch += 1
        self.error = None
        self._unwrapper = RtpUnwrapper()
        self.relay.reset()
        self._tell_source("connected")

    def lost(self, error: OnlookerError) -> None:
        first = self.error is None or self.error.message != error.message
        self.error = error
        if first:
            self._tell_source("lost", error.message)

    def push(self, received: Received) -> None:
        frame = EncodedFrame(
            received.codec, received.data, received.keyframe, self.epoch, self._unwrapper.unwrap(received.rtp),
            received.rtp, received.captured_unix_us, received.received_s,
        )  # fmt: skip
        self._meters.received(received.received_s)
        self.codec = self.screen.codec or received.codec
        self.screen.pass_on(frame)
        skips = self.attention is not None and self.screen.privacy is None and not self.attention.decodes(frame)
        self._idle += skips
        if self._decoder is not None and not skips:
            self._decoder.push(frame)

    def dropped(self, stage: str, count: int = 1) -> None:
        self._meters.dropped(stage, count)

    def request_keyframe(self) -> None:
        self.screen.request_keyframe()
        if self.source is not None:
            self.source.request_keyframe()

    # --- what clients ask ---------------------------------------------------------------------------------------

    @property
    def fps(self) -> float:
        return self._meters.fps

    @property
    def pictured_s(self) -> float | None:
        """`time.monotonic()` of the newest picture."""
        return self._meters.received_s

    @property
    def state(self) -> StreamState:
        if self._ended or (self.source is None and self._kind != "webrtc" and self.epoch > 0):
            return StreamState.ENDED
        return state_while_open(self.source, self._meters.received_s)

    def status(self) -> StreamStatus:
        lane, decoding = self._lane, self.decoding
        notes = (
            self.source.note if self.source else None,
            self.attention.trouble if self.attention else None,
            self.attention.policy if self.attention and self.error is None else None,
            decoding.in_words if decoding else None,
        )
        return self._meters.status(
            self.state,
            more_drops={"viewer": self.relay.drops}
            | ({"engine": lane.slot.drops, "load": lane.held_back} if lane else {}),
            skipped={"idle": self._idle} | (lane.skipped if lane else {}),
            viewers=self.relay.viewers,
            policy=(*(note for note in notes if note), *self._scheduler.policy),
            hidden=self.screen.words,
            reconnects=max(0, self.epoch - 1),
        )

    @property
    def prompts(self) -> tuple[PromptFact, ...]:
        return self._book.active

    async def add_prompt(self, draft: PromptDraft) -> PromptFact:
        """Start following what `draft` says, or refine a track.

        Raises `BadInput`, `UnknownWord`, `FrameTooOld`, `NotFound` or `LimitReached`; nothing is changed then.
        """
        if not self.width and draft.kind != "text":
            raise BadInput("There is no picture yet.", code="out_of_picture", action="Wait for the picture.")
        size_px = (self.width or 1, self.height or 1)
        prompt = self._book.number(draft, size_px)
        lane = self._open_lane()
        change = await self._scheduler.run(lambda: lane.tracker.add_prompt(prompt))
        fact = self._book.note(prompt, change, size_px)
        self.facts.publish(fact)
        return fact

    async def remove_prompt(self, prompt_id: int) -> None:
        """Stop following it and drop its tracks. Raises `NotFound`."""
        self._book.get(prompt_id)
        lane = self._open_lane()
        await self._scheduler.run(lambda: lane.tracker.remove_prompt(prompt_id))
        fact = self._book.remove(prompt_id)
        if fact is not None:
            self.facts.publish(replace(fact, state=PromptState.REMOVED, message=None))

    async def restore_prompt(self, prompt_id: int) -> None:
        """Undo `remove_prompt` within 60 s, with the same ids. Raises `NotFound`."""
        fact = self._book.removed(prompt_id)
        lane = self._open_lane()
        await self._scheduler.run(lambda: lane.tracker.restore_prompt(fact.prompt))
        self._book.restore(fact)
        self.facts.publish(fact)

    def tell_prompt(self, prompt_id: int, message: str) -> None:
        """Say something about a prompt in force. Raises `NotFound`."""
        now = self._book.get(prompt_id)
        fact = self._book.changed(PromptChange(prompt_id, now.state, message, now.track_ids))
        if fact is not None:
            self.facts.publish(fact)

    async def remove_track(self, track_id: int) -> None:
        """Drop one track; a prompt by text does not bring the same object back. Raises `NotFound`."""
        self._require_track(track_id)
        lane = self._open_lane()
        self._history.forget(track_id)
        await self._scheduler.run(lambda: lane.tracker.remove_track(track_id))
        self.facts.publish(TrackFact(track_id, "removed", self.labels.get(track_id)))

    async def restore_track(self, track_id: int) -> None:
        """Undo `remove_track` within 60 s, under the same id. Raises `NotFound`."""
        lane = self._open_lane()
        await self._scheduler.run(lambda: lane.tracker.restore_track(track_id))
        self._history.expect(track_id)
        self.facts.publish(TrackFact(track_id, "restored", self.labels.get(track_id)))

    def rename_track(self, track_id: int, label: str) -> None:
        """Show `label` for the track from now on. Raises `BadInput` or `NotFound`."""
        label = check_label(label)
        self._require_track(track_id)
        self.labels[track_id] = label
        self.facts.publish(TrackFact(track_id, "renamed", label))

    async def snapshot_jpeg(self, *, overlay: bool) -> bytes:
        """The newest frame as JPEG; with `overlay`, the tracks of the newest update on that update's own frame.

        Raises `NotFound` when there has been no picture.
        """
        frame = self.latest_frame
        if frame is None:
            raise NotFound("There has been no picture yet.", action="Wait for the picture.")
        latest = self.latest if overlay and self.latest and self.latest.rtp == frame.rtp else None
        tracks = latest.tracks if latest is not None else ()
        return await asyncio.to_thread(encode_jpeg, frame, tracks)

    # --- results, on their way to the event loop -----------------------------------------------------------------

    def _frame_from_decoder(self, frame: Frame) -> None:
        lane = self._lane
        if lane is None or lane.put(frame):
            return
        # Nobody asked for it to be tracked, but somebody looks; or it is the only one that there is to show.
        idle = self.attention is not None and self.attention.idle
        if idle or (self.relay.viewers and self.screen.privacy is not None):
            self.screen.offer(frame, None)

    def _result_from_engine(self, result: StepResult) -> None:
        lane = self._lane
        self.screen.offer(lane.last_frame if lane else None, result)

    def _post(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            log.debug("event loop has closed; a result of %s is dropped", self.id)

    def _deliver(self, result: StepResult | None, frame: Frame | None) -> None:
        """`frame` as everybody may see it; None where it may not be seen or was passed over."""
        if self._ended:
            return
        self.latest_frame = frame or self.latest_frame
        if result is None:
            self._resized(frame)
            return
        if isinstance(result, StepError):
            self.dropped("engine_error")
            self.error = result.error
            return
        self._resized(result)
        update = with_labels(result, self.labels)
        self._count(update, frame)
        self.latest = update
        for change in update.prompt_changes:
            prompt_fact = self._book.changed(change)
            if prompt_fact is not None:
                self.facts.publish(prompt_fact)
        for track in update.tracks:
            self._next_track_id = max(self._next_track_id, track.id + 1)
        for fact in self._history.changes(update.tracks):
            self.facts.publish(fact)
            if fact.change == "gone":
                self.labels.pop(fact.track_id, None)
                self.captions.pop(fact.track_id, None)
        self.facts.publish_update(update)

    def _forget_picture(self) -> None:
        """Something else is hidden from now on: go on with a picture of which that is true."""
        self.latest_frame, self.codec = None, self.screen.codec
        self.screen.offer(self._lane.last_frame if self._lane else None, None)
        self.request_keyframe()

    def _count(self, update: TrackUpdate, frame: Frame | None) -> None:
        """A busy tracker is stepped on the same picture again, which makes it no other picture."""
        if self.latest is None or self.latest.index != update.index:
            self._meters.tracked(frame.received_s if frame is not None and frame.ref.rtp == update.rtp else None)

    def _resized(self, shown: TrackUpdate | Frame | None) -> None:
        if shown is not None and (shown.width, shown.height) != (self.width, self.height):
            first = self.width == 0
            self.width, self.height = shown.width, shown.height
            if not first:
                self._tell_source("resized")

    def _tell_source(self, change: SourceChange, error: str | None = None) -> None:
        self.facts.publish(SourceFact(change, self.epoch, self.width, self.height, self.codec, error))

    def _failed(self, error: OnlookerError) -> None:
        if self.error is None or self.error.message != error.message:
            self.error = error
            log.warning("stream %s: %s", self.id, error.message)

    def _require_track(self, track_id: int) -> None:
        if self.latest is None or all(track.id != track_id for track in self.latest.tracks):
            raise NotFound(f"There is no track {track_id}.", code="unknown_track")

    def _open_lane(self) -> Lane:
        if self._lane is None:
            raise NotFound(f"Stream {self.id} has been closed.")
        return self._lane
