"""`/v1/streams/{id}/live`: one client's websocket.

1. The guard has checked host, origin and token. Version and stream are checked here; then `hello`, then what the
   client missed (`?after=N&boot=B`).
2. The writer sends facts in order and the newest update after them; nothing else is queued, so a client that stops
   reading costs one encoded update, the facts that wait, and what the sockets buffer.
3. The reader answers each message before it reads the next: one that sends faster than it reads is held by TCP.
4. The first task to end, ends the others, and the close code says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic_core import to_json
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.loop import StreamAgent
from stream.attention import held
from stream.errors import LimitReached, NotFound, OnlookerError
from stream.facts import Fact, FactLog, Subscription
from stream.session import StreamSession
from web.commands import Commands
from web.limits import FlowControl
from web.protocol.parts import SUBPROTOCOL
from web.state import SERVER_NAME, State, get_state
from web.voice import microphone_address
from web.wire import fact_message, hello_message

log = logging.getLogger(__name__)
router = APIRouter()

BLOCKED_S = 5.0
"""A client that takes nothing for this long is let go; it gets its facts again when it comes back."""
STATUS_S = 1.0
MAX_CLIENTS = 256


class Closing(Exception):
    """The connection ends with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@router.websocket("/v1/streams/{stream_id}/live")
async def live(websocket: WebSocket, stream_id: str) -> None:
    state = get_state(websocket)
    offered = websocket.scope["subprotocols"]
    if SUBPROTOCOL not in offered:
        # A browser hides the reason of a refused handshake, so the connection is accepted to say it.
        await websocket.accept(subprotocol=offered[0] if offered else None)
        await websocket.close(4406, f"This server speaks {SUBPROTOCOL}; reload the page.")
        return
    await websocket.accept(subprotocol=SUBPROTOCOL)
    if state.live_clients >= MAX_CLIENTS:
        await websocket.close(4429, f"At most {MAX_CLIENTS} clients at once.")
        return
    try:
        session = state.hub.get(stream_id)
        agent = state.agents.of(session)
    except NotFound as error:
        await websocket.close(4404, error.message[:120])
        return
    state.live_clients += 1
    try:
        with held(session.attention):
            await LiveClient(websocket, session, agent, state).run()
    finally:
        state.live_clients -= 1


class LiveClient:
    def __init__(self, websocket: WebSocket, session: StreamSession, agent: StreamAgent, state: State) -> None:
        self._websocket = websocket
        self._session = session
        self._state = state
        self._fanout = state.fanouts.of(session)
        self._flow = FlowControl()
        self._sending = asyncio.Lock()
        self._pending = False
        self._agent = agent
        self._client = secrets.token_hex(16)
        self._commands = Commands(
            session, self._agent, state.hub, self._flow, self._send, self._flush, state.voice.service
        )

    async def run(self) -> None:
        """Serve the client until either side ends. Never raises but for cancellation."""
        subscription = _subscribe(self._session.facts, self._websocket.query_params, self._state.hub.boot)
        try:
            async with (
                self._state.voice.client(self._client, self._session.id, self._commands.listener),
                asyncio.TaskGroup() as tasks,
            ):
                await self._send(self._hello())
                self._pending = self._session.latest is not None
                tasks.create_task(self._commands.listener.run())
                tasks.create_task(self._write(subscription))
                tasks.create_task(self._status())
                tasks.create_task(self._commands.views())
                tasks.create_task(self._read())
        except* WebSocketDisconnect:
            pass
        except* Closing as group:
            await self._close(_first(group))
        finally:
            subscription.close()

    def _hello(self) -> str:
        hub = self._state.hub
        return _text(
            hello_message(
                self._session,
                hub.engine,
                self._agent,
                self._state.voice.status,
                boot=hub.boot,
                server=SERVER_NAME,
                microphone=microphone_address(self._session.id, self._client),
            )
        )

    async def _write(self, subscription: Subscription) -> None:
        while True:
            facts, update, ended = await self._news(subscription)
            for fact in facts:
                await self._send(_text(fact_message(fact)))
            self._pending = self._pending or update
            await self._flush()
            if ended:
                raise Closing(4404, "The stream was closed.")

    async def _news(self, subscription: Subscription) -> tuple[list[Fact], bool, bool]:
        """`(facts, there is an update, the stream has ended)`; all empty when a held-back update is due."""
        wait_s = self._flow.due_in(time.monotonic()) if self._pending else None
        try:
            async with asyncio.timeout(wait_s):
                facts, update = await subscription.next()
        except TimeoutError:
            return [], False, False
        except LimitReached as error:
            raise Closing(4503, error.message) from None
        return facts, update is not None, not facts and update is None

    async def _flush(self) -> None:
        """Send the newest update if there is one that the client has not seen and may be sent now."""
        async with self._sending:
            now_s = time.monotonic()
            if not self._pending or self._flow.due_in(now_s) != 0:
                return
            self._pending = False
            encoded = self._fanout.tracks(self._session, masks=self._flow.masks)
            if encoded is not None:
                seq, text = encoded
                self._flow.sent(seq, now_s)
                await self._put(text)

    async def _status(self) -> None:
        while True:
            state = self._state
            status = self._fanout.status(self._session, state.hub.engine, self._agent, state.voice.status)
            await self._send(status)
            await asyncio.sleep(STATUS_S)

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            try:
                await self._commands.handle(message.get("text"))
            except OnlookerError as error:
                raise Closing(4429 if error.code == "rate_limited" else 4400, error.message) from None

    async def _send(self, text: str) -> None:
        async with self._sending:
            await self._put(text)

    async def _put(self, text: str) -> None:
        try:
            async with asyncio.timeout(BLOCKED_S):
                await self._websocket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise Closing(4503, "This client does not read.") from None
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise WebSocketDisconnect(1006, str(error)) from None

    async def _close(self, closing: Closing) -> None:
        drop: Callable[[int, str], None] | None = self._websocket.scope.get("state", {}).get("drop")
        if drop is not None:
            drop(closing.code, closing.reason)
            return
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._websocket.close(closing.code, closing.reason)


def _subscribe(facts: FactLog, query: Any, boot: str) -> Subscription:
    """From the fact that the client names on; all that are kept when it knew another life of the server."""
    after = query.get("after", "")
    if not after.isascii() or not after.isdigit() or len(after) > 15:
        return facts.subscribe()
    known = int(after) if query.get("boot") == boot and int(after) <= facts.seq else 0
    return facts.subscribe(known)


def _first(group: BaseExceptionGroup[Closing]) -> Closing:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Closing)
    return error


def _text(message: dict[str, Any]) -> str:
    return to_json(message).decode()
