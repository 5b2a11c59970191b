"""Tells when a camera gives no pictures any more, or the same one for too long, and when it is well again."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.loop import StreamAgent
from agent.types import Event, EventKind, Severity
from stream.status import StreamState
from stream.types import FrameRef

log = logging.getLogger(__name__)

LOOK_S = 0.5
FRESH_S = 1.5
"""Pictures that came within this time are coming."""

AGAIN_S = 60.0
"""What could not be told is tried again after so long."""

UNTOLD = "This could not be told, the server's log says why:"


@dataclass(frozen=True, slots=True)
class Change:
    """`for_s`: how long it had been gone or frozen by then."""

    kind: EventKind
    for_s: float


class CameraHealth:
    """Pure: times are what `step` is told, on one monotonic clock from `opened_s` on. `frozen_s` 0 tells of none."""

    def __init__(self, opened_s: float, *, offline_s: float, frozen_s: float) -> None:
        self._offline_s = offline_s
        self._frozen_s = frozen_s
        self._since_s = opened_s
        self._offline = False
        self._frozen = False
        self._steady_s = opened_s
        """Since when the picture may be judged to be frozen: it changed, or came back."""

    def step(self, now_s: float, pictured_s: float | None, changed_s: float, looked_s: float) -> Change | None:
        """`pictured_s`: when the last picture came, None for never; `looked_s`: when one was last compared with the one
        before; `changed_s`: when they last differed."""
        coming = pictured_s is not None and now_s - pictured_s < FRESH_S
        gone_s = self._since_s
        if pictured_s is not None:
            self._since_s = max(self._since_s, pictured_s)
        if self._offline and coming:
            self._offline, self._frozen, self._steady_s = False, False, now_s
            return Change(EventKind.ONLINE, now_s - gone_s)
        if not self._offline and not coming and now_s - self._since_s >= self._offline_s:
            self._offline = True
            return Change(EventKind.OFFLINE, now_s - self._since_s)
        return self._judge_picture(changed_s, looked_s) if coming else None

    def _judge_picture(self, changed_s: float, looked_s: float) -> Change | None:
        same_s = looked_s - max(changed_s, self._steady_s)
        if self._frozen and changed_s > self._steady_s:
            since_s, self._frozen, self._steady_s = self._steady_s, False, changed_s
            return Change(EventKind.UNFROZEN, changed_s - since_s)
        if not self._frozen and self._frozen_s > 0 and same_s >= self._frozen_s:
            self._frozen, self._steady_s = True, max(changed_s, self._steady_s)
            return Change(EventKind.FROZEN, same_s)
        return None


async def watch_camera(agent: StreamAgent, *, offline_s: float, frozen_s: float) -> None:
    """Until the stream has ended. Its events go the way of alerts; one that could not be told, which the log and the
    stream's notes say, is told later."""
    session = agent.session
    health = CameraHealth(time.monotonic(), offline_s=offline_s, frozen_s=frozen_s)
    look_s = min(LOOK_S, offline_s / 4)
    event: Event | None = None
    while session.state is not StreamState.ENDED:
        now_s = time.monotonic()
        attention = session.attention
        changed_s, looked_s = (attention.changed_s, attention.looked_s) if attention is not None else (now_s, now_s)
        if event is None and (change := health.step(now_s, session.pictured_s, changed_s, looked_s)) is not None:
            event = _event(agent, change)
        if event is None or _told(agent, event):
            event = None
            await asyncio.sleep(look_s)
        else:
            await asyncio.sleep(AGAIN_S)


def _told(agent: StreamAgent, event: Event) -> bool:
    """Whatever goes wrong with what is told must not end the watch."""
    session, told = agent.session, True
    try:
        agent.tell(event)
    except Exception:
        log.exception("stream %s: “%s” could not be told", session.id, event.text)
        told = False
    if session.attention is not None:
        session.attention.trouble = None if told else f"{UNTOLD} {event.text}"
    return told


def _event(agent: StreamAgent, change: Change) -> Event:
    frame = agent.session.latest_frame
    error = agent.session.error
    ref, pts = (frame.ref, frame.pts) if frame is not None else (FrameRef(agent.session.epoch, 0), 0)
    bad = change.kind in (EventKind.OFFLINE, EventKind.FROZEN)
    return Event(
        uuid.uuid4().hex,
        change.kind,
        in_words(change, error.message if error is not None else None),
        (),
        ref,
        pts,
        datetime.now(UTC),
        severity=Severity.WARN if bad else Severity.INFO,
        value=round(change.for_s, 1),
    )


def in_words(change: Change, reason: str | None) -> str:
    """One sentence or two. `reason` is why there are no pictures, where it is known."""
    lasted = lasting(change.for_s)
    match change.kind:
        case EventKind.OFFLINE:
            return f"The camera is offline. {reason}" if reason else f"The camera has sent no picture for {lasted}."
        case EventKind.ONLINE:
            return f"The camera is back after {lasted}."
        case EventKind.FROZEN:
            return f"The picture has not changed at all for {lasted}: the camera may be frozen, or covered."
        case _:
            return f"The picture changes again after {lasted}."


def lasting(seconds: float) -> str:
    """Such as `40 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")
