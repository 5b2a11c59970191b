"""Where alerts are told outside: how that goes, what could not be delivered, and what the open pages are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path
from fastapi.responses import StreamingResponse

from agent.sinks.browser import BrowserSink
from stream.errors import LimitReached
from web.agent_wire import Json, trial_text
from web.api.parameters import PathId
from web.api.shapes import DeadLetter, Page, Retried, SinkInfo, SinkTest
from web.sinks import sink_row
from web.state import State, StateDep

router = APIRouter(prefix="/v1", tags=["Events"])
SinkName = Annotated[str, Path(max_length=63)]
MOST_LETTERS = 1000
MOST_PAGES = 256
IDLE_S = 15.0
"""A page that hears nothing for so long is told so, which finds those that are gone."""
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


@router.get("/sinks", response_model=Page[SinkInfo], response_model_exclude_none=True)
async def sinks(state: StateDep) -> Json:
    """Where alerts are sent, as the operator configured it, and how that goes."""
    return {"items": [sink_row(found) for found in state.recording.sinks.states()], "next": None}


@router.get("/sinks/{name}/dead", response_model=Page[DeadLetter])
async def dead_letters(name: SinkName, state: StateDep) -> Json:
    """The alerts that could not be delivered, newest first."""
    letters = await state.recording.sinks.dead_letters(name)
    items = [
        {
            "id": letter.id,
            "event_id": letter.event_id,
            "at": letter.at,
            "tries": letter.tries,
            "error": letter.error,
            "body": letter.body,
        }
        for letter in letters[:MOST_LETTERS]
    ]
    return {"items": items, "next": None}


@router.post("/sinks/{name}/test", response_model=SinkTest, response_model_exclude_none=True)
async def try_sink(name: SinkName, state: StateDep) -> Json:
    """Send a delivery of type `test`, as an alert is sent, and say what came back. It is not tried again."""
    reply = await state.recording.sinks.test(name, trial_text(name))
    return {
        "delivered": reply.failure is None,
        "status": reply.status,
        "error": reply.failure.message if reply.failure is not None else None,
        "took_ms": round(reply.took_s * 1000, 1),
    }


@router.post("/sinks/{name}/dead/retry", status_code=202, response_model=Retried)
async def retry_all(name: SinkName, state: StateDep) -> Json:
    """Deliver all that could not be delivered, as if for the first time."""
    return {"waiting": await state.recording.sinks.retry(name)}


@router.post("/sinks/{name}/dead/{letter_id}/retry", status_code=202, response_model=Retried)
async def retry(name: SinkName, letter_id: PathId, state: StateDep) -> Json:
    """Deliver one of them."""
    return {"waiting": await state.recording.sinks.retry(name, letter_id)}


@router.get("/notifications", response_class=StreamingResponse, responses=STREAM)
async def notifications(state: StateDep, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
    """Alerts of all streams as they come, as server-sent events: for pages that show notifications. One that comes back
    is told what it missed of the newest hundred."""
    browser = _browser(state)
    if browser.pages >= MOST_PAGES:
        raise LimitReached(f"At most {MOST_PAGES} pages are told at once.", action="Close some.")
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    after = int(last_event_id or 0) if known and len(last_event_id or "") < 16 else None
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_told(browser, after), media_type="text/event-stream", headers=headers)


async def _told(browser: BrowserSink, after: int | None) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for told in browser.listen(after, IDLE_S):
        yield ": nothing\n\n" if told is None else f"id: {told[0]}\ndata: {told[1]}\n\n"


def _browser(state: State) -> BrowserSink:
    return next(found.sink for found in state.recording.sinks.states() if isinstance(found.sink, BrowserSink))
