"""What works and what does not, in words."""

from __future__ import annotations

from stream.session import StreamState
from web.state import State
from web.wire import Json


def checks(state: State) -> list[Json]:
    """The engine, WebRTC and each stream; those that are not `ok` say what to do."""
    engine = state.hub.engine
    found = [_check("engine", True, f"{engine.name} on {engine.device}")]
    found += [_check("engine", False, note.message, note.action) for note in engine.notes]
    found += [_check("webrtc", False, note.message, note.action) for note in state.webrtc_notes]
    for session in state.hub.list():
        name = f"stream {session.id}"
        if session.error is not None:
            found.append(_check(name, False, session.error.message, session.error.action))
        elif session.state is StreamState.STALLED:
            found.append(_check(name, False, "No pictures come.", "Check its source."))
        else:
            found.append(_check(name, True, session.state.value))
    return found


def _check(name: str, ok: bool, message: str, action: str = "") -> Json:
    return {"name": name, "ok": ok, "message": message, "action": action}
