"""From the stream's values to wire messages: plain dicts, pixels to [0, 1]. Pure functions.

Validating 30 messages a second with pydantic would cost more than making them, so these are plain dicts; a test
holds each of them against `web.protocol`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pydantic_core import to_json

from agent.loop import StreamAgent
from agent.speech.types import VoiceStatus
from stream.engines.base import Engine
from stream.errors import OnlookerError, UnknownWord
from stream.facts import Fact, GapFact, PromptFact, SourceFact, TrackFact
from stream.session import StreamSession
from stream.status import StreamStatus
from stream.types import BoxXyxyPx, Prompt, Rle, Track, TrackUpdate
from web.agent_wire import agent_fact, region_body, vlm_body, voice_body, watch_body
from web.privacy import privacy_body
from web.protocol.parts import VERSION
from web.times import time_at

Json = dict[str, Any]
_DIGITS = 5
"""1e-5 of the picture is 0.04 px at 4K."""


def without_credentials(url: str | None) -> str | None:
    """`url` without user name, password, query and fragment, any of which may carry a secret."""
    if url is None or "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


# --- state ---------------------------------------------------------------------------------------------------------


def tracks_text(update: TrackUpdate, seq: int, *, masks: bool, captions: Mapping[int, str]) -> str:
    """The `tracks` message as JSON text; `timings_ms.encode` is what its tracks took to encode."""
    start_s = time.perf_counter()
    bodies = [track_body(track, update.width, update.height, masks=masks) for track in update.tracks]
    for body in bodies:
        if (caption := captions.get(body["id"])) is not None:
            body["caption"] = caption
    tracks = to_json(bodies)
    encode_ms = (time.perf_counter() - start_s) * 1000
    timings_ms = {name: round(ms, 2) for name, ms in update.timings_ms.items()} | {"encode": round(encode_ms, 2)}
    head = to_json(
        {
            "type": "tracks",
            "seq": seq,
            "epoch": update.epoch,
            "index": update.index,
            "pts": update.pts,
            "rtp": update.rtp,
            "captured_unix_us": update.captured_unix_us,
            "width": update.width,
            "height": update.height,
            "timings_ms": timings_ms,
        }
    )
    return (head[:-1] + b',"tracks":' + tracks + b"}").decode()


def status_message(status: StreamStatus, engine: Engine, agent: StreamAgent, voice: VoiceStatus) -> Json:
    message: Json = {"type": "status", **status_body(status), "engine": engine_state(engine)}
    return {**message, "vlm": vlm_body(agent), "voice": voice_body(voice)}


def status_body(status: StreamStatus) -> Json:
    return {
        "state": status.state.value,
        "fps_in": status.fps_in,
        "fps_out": status.fps_out,
        "drops": status.drops,
        "skipped": status.skipped,
        "latency_ms": {"p50": status.latency_ms_p50, "p95": status.latency_ms_p95},
        "policy": list(status.policy),
        "viewers": status.viewers,
        "hidden": status.hidden,
    }


def stats_body(status: StreamStatus) -> Json:
    """The status with what was counted since the stream was opened."""
    totals = status.totals
    age_s = totals.last_frame_age_s
    counted = {"received": totals.received, "tracked": totals.tracked, "reconnects": totals.reconnects}
    return {**status_body(status), **counted, "last_frame_age_s": None if age_s is None else round(age_s, 2)}


def engine_state(engine: Engine) -> Json:
    notes = [
        {"code": note.code, "message": note.message, "action": note.action, "retryable": False} for note in engine.notes
    ]
    return {"name": engine.name, "device": engine.device, "notes": notes}


# --- facts ---------------------------------------------------------------------------------------------------------


def hello_message(
    session: StreamSession,
    engine: Engine,
    agent: StreamAgent,
    voice: VoiceStatus,
    *,
    boot: str,
    server: str,
    microphone: str,
) -> Json:
    """`microphone` is the address at which this client opens its microphone session."""
    return {
        "type": "hello",
        "version": VERSION,
        "boot": boot,
        "server": server,
        "stream": {
            "id": session.id,
            "source": session.kind,
            "state": session.state.value,
            "epoch": session.epoch,
            "width": session.width,
            "height": session.height,
        },
        "engine": {
            "name": engine.name,
            "device": engine.device,
            "kinds": sorted(kind.value for kind in engine.kinds),
            "words": None if engine.words is None else list(engine.words),
        },
        "vlm": vlm_body(agent),
        "voice": voice_body(voice),
        "microphone": microphone,
        "prompts": prompt_bodies(session.prompts),
        "regions": [region_body(region) for region in agent.regions],
        "armed": agent.zones.armed,
        "watches": [watch_body(watch) for watch in agent.watches.all()],
        "fact_seq": session.facts.seq,
        "at": time_at(datetime.now(UTC)),
    }


def fact_message(fact: Fact) -> Json:
    """Raises `TypeError` for a body that has no place on the wire."""
    match fact.body:
        case PromptFact() as body:
            message = prompt_message(body)
        case TrackFact() as body:
            message = {"type": "track", "id": body.track_id, "change": body.change, "label": body.label}
        case SourceFact() as body:
            message = _source(body)
        case GapFact() as body:
            message = {"type": "gap", "from": body.first, "to": body.last}
        case body:
            message = agent_fact(body)
    return {**message, "fact_seq": fact.seq, "at": time_at(fact.at)}


def prompt_message(fact: PromptFact) -> Json:
    message: Json = {"type": "prompt", "prompt": prompt_body(fact), "tracks": list(fact.track_ids)}
    if fact.alternatives:
        width, height = fact.picture_size_px
        message["choices"] = [
            {"name": name, "box_xyxy": unit_box(box, width, height)} for name, box in fact.alternatives
        ]
    return message


def prompt_body(fact: PromptFact) -> Json:
    prompt, (width, height) = fact.prompt, fact.picture_size_px
    body: Json = {
        "id": prompt.id,
        "kind": prompt.kind.value,
        "positive": prompt.positive,
        "state": fact.state.value,
        **_prompt_shape(prompt, width, height),
    }
    if prompt.track_id is not None:
        body["track_id"] = prompt.track_id
    if fact.message is not None:
        body["message"] = fact.message
    return body


def _prompt_shape(prompt: Prompt, width: int, height: int) -> Json:
    shape: Json = {}
    if prompt.text is not None:
        shape["text"] = prompt.text
    if prompt.points:
        shape["points"] = [
            {"x": _unit(point.x_px, width), "y": _unit(point.y_px, height), "positive": point.positive}
            for point in prompt.points
        ]
    if prompt.box_xyxy_px is not None:
        shape["box_xyxy"] = unit_box(prompt.box_xyxy_px, width, height)
    if prompt.mask is not None:
        shape["mask"] = _mask(prompt.mask)
    return shape


def _source(body: SourceFact) -> Json:
    message: Json = {
        "type": "source",
        "change": body.change,
        "epoch": body.epoch,
        "width": body.width,
        "height": body.height,
        "codec": body.codec,
    }
    if body.error is not None:
        message["error"] = body.error
    return message


# --- answers and parts ---------------------------------------------------------------------------------------------


def error_body(error: OnlookerError, ref: str | None = None) -> Json:
    body: Json = {
        "code": error.code,
        "message": error.message,
        "action": error.action,
        "retryable": error.retryable,
    }
    if isinstance(error, UnknownWord):
        body["nearest"] = list(error.nearest)
    if ref is not None:
        body["ref"] = ref
    return body


def stream_body(session: StreamSession) -> Json:
    body: Json = {
        "id": session.id,
        "name": session.name,
        "source": {"kind": session.kind, "url": without_credentials(session.url)},
        "state": session.state.value,
        "epoch": session.epoch,
        "width": session.width,
        "height": session.height,
        "fps": round(session.fps, 1),
        "codec": session.codec,
        "created_at": time_at(session.created_at),
        "privacy": privacy_body(session.screen.privacy),
    }
    if session.error is not None:
        body["error"] = error_body(session.error)
    return body


def unit_box(box: BoxXyxyPx, width: int, height: int) -> list[float]:
    x0, y0, x1, y1 = box
    return [_unit(x0, width), _unit(y0, height), _unit(x1, width), _unit(y1, height)]


def prompt_bodies(facts: Iterable[PromptFact]) -> list[Json]:
    return [prompt_body(fact) for fact in facts]


def track_body(track: Track, width: int, height: int, *, masks: bool = True) -> Json:
    return {
        "id": track.id,
        "prompt_id": track.prompt_id,
        "label": track.label,
        "score": round(min(1.0, max(0.0, float(track.score))), 3),
        "state": track.state.value,
        "box_xyxy": unit_box(track.box_xyxy_px, width, height),
        "mask": _mask(track.mask) if masks and track.mask is not None else None,
        "age_s": round(float(track.age_s), 2),
    }


def _mask(mask: Rle) -> Json:
    return {"size": list(mask.size), "counts": mask.counts}


def _unit(value_px: float, size_px: int) -> float:
    return round(min(1.0, max(0.0, float(value_px) / size_px)), _DIGITS)
