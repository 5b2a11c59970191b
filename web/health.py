"""What works and what does not, in words."""

from __future__ import annotations

from agent.sinks.dispatch import SinkState
from stream.errors import ModelMissing, VoiceMissing
from stream.hardware import Hardware
from stream.status import StreamState
from web.state import State
from web.wire import Json

STUCK_S = 30.0
"""The engine thread takes a turn at least once a second, unless a step or a model that is loaded takes longer."""


def is_ready(state: State) -> bool:
    """Whether it is of use to send anybody here: not that all is well, which one camera that is off decides."""
    return state.hub.engine_turn_age_s < STUCK_S


def checks(state: State) -> list[Json]:
    """The engine, WebRTC, the model, the event store, sinks and each stream; those that are not `ok` say what to do."""
    engine = state.hub.engine
    found = [_check("engine", True, f"{engine.name} on {engine.device}")]
    if not is_ready(state):
        message = f"The engine has been at one step for {state.hub.engine_turn_age_s:.0f} s."
        found[0] = _check("engine", False, message, "Wait if a model is being loaded; otherwise start Onlooker again.")
    found += [_check("engine", False, note.message, note.action) for note in engine.notes]
    found.append(_decoding_check(state.hub.hardware))
    found += [_check("webrtc", False, note.message, note.action) for note in state.webrtc_notes]
    found += _model_checks(state)
    found.append(_voice_check(state))
    found.append(store_check(state))
    found.append(_clips_check(state))
    found += [_sink_check(sink) for sink in state.recording.sinks.states()]
    for session in state.hub.list():
        name = f"stream {session.id}"
        if session.error is not None:
            found.append(_check(name, False, session.error.message, session.error.action))
        elif session.state is StreamState.STALLED:
            found.append(_check(name, False, "No pictures come.", "Check its source."))
        else:
            decoding = session.decoding.in_words if session.decoding else None
            found.append(_check(name, True, f"{session.state.value}; {decoding}" if decoding else session.state.value))
    return found


def _decoding_check(hardware: Hardware | None) -> Json:
    """Where video is decoded. A codec that the GPU refuses is no fault: the processor decodes it."""
    if hardware is None:
        return _check("decoding", True, "on the processor")
    words = f"{hardware.name} on {hardware.device.words}"
    refused = [f"{codec} on the processor: {why}" for codec, why in hardware.refused.items()]
    return _check("decoding", True, "; ".join([words, *refused]))


def _model_checks(state: State) -> list[Json]:
    """What answers questions. No model is no fault; one that was asked for and does not answer is."""
    server = state.model_server.state
    if server.error is not None:
        return [_check("language model", False, server.error.message, server.error.action)]
    if server.config.url is not None and server.profile is None:
        return [_check("language model", True, "being asked what it can do; until then the tracks alone answer")]
    backend = state.agents.backend
    can = ", ".join(sorted(backend.can)) or "text"
    message = f"{backend.name} ({can})" if backend.is_model else "none; the tracks alone answer"
    return [_check("language model", True, message)]


def _voice_check(state: State) -> Json:
    """What turns speech into words. None is no fault, unless one was asked for."""
    status, config = state.voice.status, state.config.voice
    if status.error is None:
        return _check("voice", True, status.name or "being looked for")
    if status.error.code in (VoiceMissing.code, ModelMissing.code) and not (config.model or config.url):
        return _check("voice", True, f"none: {status.error.message} {status.error.action}")
    return _check("voice", False, status.error.message, status.error.action)


def store_check(state: State) -> Json:
    store = state.recording.state()
    if store.error is not None:
        return _check("event store", False, store.error.message, store.error.action)
    lost = f"{store.lost} facts could not be stored since the start"
    if store.losing:
        return _check("event store", False, lost, "Use a faster or larger disk; the log says when it began.")
    return _check("event store", True, f"{store.where}; {lost}" if store.lost else store.where)


def _clips_check(state: State) -> Json:
    clips = state.clips.state()
    if clips.error is not None:
        lost = f" Clips given up since the start: {clips.given_up}." if clips.given_up else ""
        return _check("clips", False, f"{clips.error.message}{lost}", clips.error.action)
    held = f"{clips.where}; {clips.bytes / 1e9:.1f} GB; written since the start: {clips.written}"
    return _check("clips", True, f"{held}; given up: {clips.given_up}" if clips.given_up else held)


def _sink_check(sink: SinkState) -> Json:
    name = f"sink {sink.name}"
    if sink.fault is not None:
        action = "Check its address and whether it runs; /v1/sinks lists what could not be delivered."
        return _check(
            name, False, f"{sink.fault} Alerts that could not be delivered since the start: {sink.dead}.", action
        )
    return _check(name, True, f"alerts delivered: {sink.delivered}, waiting: {len(sink.queue)}")


def _check(name: str, ok: bool, message: str, action: str = "") -> Json:
    return {"name": name, "ok": ok, "message": message, "action": action}
