"""What clients ask over the websocket: each message is answered by one `ok` or `error` with its `ref`."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pydantic_core import to_json

from agent.loop import StreamAgent
from agent.orders import Done, Orders
from agent.speech.listener import About, Listener, Listening, Order
from agent.speech.service import SpeechService
from agent.speech.transcribe import wav_of
from agent.speech.types import Heard, SpeechNews
from agent.types import Speech
from stream.errors import BadInput, LimitReached, OnlookerError
from stream.hub import StreamHub
from stream.prompts import PromptDraft
from stream.session import StreamSession
from stream.types import FrameRef, PromptKind, Rle
from web.agent_wire import heard_message, speech_message
from web.limits import FlowControl, TokenBucket
from web.parsing import parse_client_message, ref_of
from web.problems import Internal
from web.protocol import client as protocol
from web.protocol.parts import MAX_MESSAGE_BYTES, PromptBody
from web.wire import Json, error_body

log = logging.getLogger(__name__)
MESSAGES_A_SECOND, BURST = 50, 100
REFUSALS_A_SECOND, REFUSALS = 5, 100
"""A client that goes on for this many refusals is cut off."""
MALFORMED_LIMIT = 10
ENGINE_S = 10.0
VIEW_S = 15.0
WAITING_VIEWS = 4


class TooMuch(OnlookerError):
    """The client is cut off: code `rate_limited` or `bad_message`."""


class Commands:
    """One client's messages. `send` sends text to it, `flush` an update that flow control held back."""

    def __init__(
        self,
        session: StreamSession,
        agent: StreamAgent,
        hub: StreamHub,
        flow: FlowControl,
        send: Callable[[str], Awaitable[None]],
        flush: Callable[[], Awaitable[None]],
        speech: SpeechService,
    ) -> None:
        self._session = session
        self._agent = agent
        self._client = uuid.uuid4().hex
        self._orders = Orders(agent, self._client)
        self.listener = Listener(speech, self._obey, self._now, self._tell)
        self._hub = hub
        self._flow = flow
        self._send = send
        self._flush = flush
        now_s = time.monotonic()
        self._rate = TokenBucket(MESSAGES_A_SECOND, BURST, now_s)
        self._refusals = TokenBucket(REFUSALS_A_SECOND, REFUSALS, now_s)
        self._malformed = 0
        self._views: asyncio.Queue[protocol.ViewRequest] = asyncio.Queue(WAITING_VIEWS)

    async def handle(self, text: str | None) -> None:
        """Answer one message; None is a binary one. Raises `TooMuch` when the client is to be cut off."""
        ref = None
        try:
            if text is None:
                raise BadInput("Messages are JSON text.", action="Send text, not bytes.")
            if len(text) > MAX_MESSAGE_BYTES or len(text.encode()) > MAX_MESSAGE_BYTES:
                message = f"A message has at most {MAX_MESSAGE_BYTES // 1024} KiB."
                raise BadInput(message, code="too_large", action="Send less.")
            ref = await self._answer(text)
        except OnlookerError as error:
            if isinstance(error, TooMuch):
                raise
            if ref is None and text is not None and error.code != "too_large":
                ref = ref_of(text)
            await self._send(_text({"type": "error", **error_body(error, ref)}))
            self._count(error)

    async def views(self) -> None:
        """Answer `view` messages, which wait for the viewer's first picture, one after the other."""
        while True:
            message = await self._views.get()
            try:
                async with asyncio.timeout(VIEW_S):
                    offset = await self._hub.viewer_rtp_offset(self._session.id, message.session)
            except TimeoutError:
                error: OnlookerError = LimitReached("No picture has gone to that viewer yet.", code="busy")
                await self._send(_text({"type": "error", **error_body(error, message.ref)}))
            except OnlookerError as error:
                await self._send(_text({"type": "error", **error_body(error, message.ref)}))
            else:
                await self._send(_text(_answer(message.ref, "view", session=message.session, rtp_offset=offset)))

    def _count(self, error: OnlookerError) -> None:
        if error.code == "rate_limited" and not self._refusals.take(time.monotonic()):
            raise TooMuch("Too many messages.", code="rate_limited")
        if error.code in ("bad_message", "too_large"):
            self._malformed += 1
            if self._malformed >= MALFORMED_LIMIT:
                raise TooMuch(f"{MALFORMED_LIMIT} malformed messages.")

    async def _answer(self, text: str) -> str | None:
        message = parse_client_message(text) if len(text) < 100 and '"ack"' in text else None
        if isinstance(message, protocol.Ack) and self._flow.acknowledge(message.seq):
            await self._flush()  # not counted: there are never more of these than updates sent
            return None
        if not self._rate.take(time.monotonic()):
            message_text = f"At most {MESSAGES_A_SECOND} messages a second."
            raise LimitReached(message_text, code="rate_limited", action="Send less often.")
        message = message or parse_client_message(text)
        if isinstance(message, protocol.Ack):
            return None
        try:
            async with asyncio.timeout(ENGINE_S):
                answer = await self._do(message)
        except TimeoutError:
            raise LimitReached("The engine is busy.", code="busy", action="Try again.") from None
        except OnlookerError:
            raise
        except Exception as error:
            log.exception("%s failed", message.type)
            raise Internal("Something went wrong in the server.") from error
        if answer is not None:
            await self._send(_text(answer))
        return message.ref

    async def _do(self, message: protocol.ClientMessage) -> Json | None:
        session = self._session
        match message:
            case protocol.PromptAdd():
                fact = await session.add_prompt(draft_of(message))
                return _answer(message.ref, prompt_id=fact.prompt.id)
            case protocol.PromptRemove():
                await session.remove_prompt(message.prompt_id)
                return _answer(message.ref, prompt_id=message.prompt_id)
            case protocol.PromptRestore():
                await session.restore_prompt(message.prompt_id)
                return _answer(message.ref, prompt_id=message.prompt_id)
            case protocol.TrackRemove():
                await session.remove_track(message.track_id)
                return _answer(message.ref, track_id=message.track_id)
            case protocol.TrackRestore():
                await session.restore_track(message.track_id)
                return _answer(message.ref, track_id=message.track_id)
            case protocol.TrackRename():
                session.rename_track(message.track_id, message.label)
                return _answer(message.ref, track_id=message.track_id)
            case _:
                return await self._do_for_client(message)

    async def _do_for_client(self, message: protocol.ClientMessage) -> Json | None:
        match message:
            case protocol.Ping():
                return {"type": "pong", "t": message.t}
            case protocol.Set():
                self._flow.set(masks=message.masks, max_fps=message.max_fps, ack=message.ack)
                await self._flush()
                return _answer(message.ref)
            case protocol.ViewRequest():
                self._queue_view(message)
                return None
            case protocol.Ask():
                question = await self._agent.ask(message.text, client=self._client, **asked_about(message))
                return _answer(message.ref, question_id=question.id)
            case protocol.AskStop():
                self._agent.conversation.stop(client=self._client, question_id=message.question_id)
                return _answer(message.ref)
            case protocol.Command():
                done = asdict(await self._orders.obey(message.text, **asked_about(message)))
                return _answer(message.ref, **{key: value for key, value in done.items() if value is not None})
            case protocol.Describe():
                self._agent.describer.on = message.on
                return _answer(message.ref)
            case protocol.Talk():
                self.listener.talk(message.on, About(**asked_about(message)), cancel=message.cancel)
                return _answer(message.ref)
            case protocol.Listen():
                languages = (message.language,) if message.language else tuple(message.languages or ())
                self.listener.listen(Listening(message.open, message.muted, message.wake_word, languages))
                return _answer(message.ref)
            case _:
                raise BadInput(f"“{message.type}” has no answer.", code="unknown_type")

    # --- speech ---------------------------------------------------------------------------------------------------

    async def _obey(self, order: Order) -> Done:
        about = order.about
        wav = await asyncio.to_thread(wav_of, order.samples) if "audio" in self._agent.backend.can else None
        return await self._orders.obey(
            order.text,
            track_ids=about.track_ids,
            frame=about.frame,
            follows=about.follows,
            speech=Speech(order.language, wav),
        )

    def _now(self) -> FrameRef | None:
        update = self._session.latest
        return FrameRef(update.epoch, update.rtp) if update is not None else None

    async def _tell(self, news: SpeechNews | Heard) -> None:
        await self._send(_text(speech_message(news) if isinstance(news, SpeechNews) else heard_message(news)))

    def _queue_view(self, message: protocol.ViewRequest) -> None:
        try:
            self._views.put_nowait(message)
        except asyncio.QueueFull:
            raise LimitReached("Other `view` messages are waiting.", code="busy", action="Wait for them.") from None


def asked_about(body: protocol.QuestionBody | protocol.Talk) -> dict[str, Any]:
    """What a question is about, as the agent takes it."""
    frame = FrameRef(body.frame.epoch, body.frame.rtp) if body.frame else None
    return {"track_ids": tuple(body.track_ids or ()), "frame": frame, "follows": body.follows}


def draft_of(body: PromptBody) -> PromptDraft:
    """A prompt as the stream takes it."""
    return PromptDraft(
        kind=PromptKind(body.kind),
        text=body.text,
        points=tuple((point.x, point.y, point.positive) for point in body.points or ()),
        box_xyxy=body.box_xyxy,
        mask=Rle(body.mask.size, body.mask.counts) if body.mask else None,
        positive=body.positive,
        track_id=body.track_id,
        frame=FrameRef(body.frame.epoch, body.frame.rtp) if body.frame else None,
    )


def _answer(ref: str | None, kind: str = "ok", **values: Any) -> Json:
    message: Json = {"type": kind, **values}
    if ref is not None:
        message["ref"] = ref
    return message


def _text(message: Json) -> str:
    return to_json(message).decode()
