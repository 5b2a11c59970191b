"""From the agent's values to wire messages. Pure functions; a test holds each of them against `web.protocol`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from pydantic_core import to_json

from agent.conversation import Asked
from agent.loop import StreamAgent
from agent.rules.plain import rule_plain
from agent.sinks.wording import Told
from agent.speech.types import Heard, SpeechNews, VoiceStatus
from agent.store.rows import StoredEvent
from agent.types import (
    AgentError,
    Answer,
    AnswerFact,
    ArmedFact,
    CaptionFact,
    DeltaFact,
    Event,
    EventFact,
    Evidence,
    Question,
    QuestionFact,
    Region,
    RegionFact,
    Rule,
    Watch,
    WatchFact,
)
from stream.errors import OnlookerError
from stream.types import FrameRef
from web.times import time_at

Json = dict[str, object]


def agent_fact(body: object) -> Json:
    """The message of a fact that the agent added, without its number. Raises `TypeError` for any other."""
    match body:
        case EventFact():
            return {"type": "event", "event": event_body(body.event, thumb=body.thumb, clip=body.clip)}
        case QuestionFact():
            return {"type": "question", **question_body(body.question)}
        case DeltaFact():
            return {"type": "delta", "question_id": body.question_id, "n": body.n, "text": body.text}
        case AnswerFact():
            return {"type": "answer", **answer_body(body.answer)}
        case CaptionFact():
            caption = body.caption
            return {"type": "track", "id": caption.track_id, "change": "described", "caption": caption.text}
        case RegionFact():
            return {"type": "region", "region": region_body(body.region), "removed": body.removed}
        case ArmedFact():
            return {"type": "armed", "armed": body.armed}
        case WatchFact():
            return {"type": "watch", "watch": watch_body(body.watch), "removed": body.removed}
        case _:
            raise TypeError(f"no wire message for {type(body).__name__}")


def vlm_body(agent: StreamAgent) -> Json:
    backend = agent.backend
    body: Json = {"name": backend.name if backend.is_model else None, "can": sorted(backend.can)}
    body["describes"] = agent.describer.on
    return body | _given(error=_error(backend.missing) if backend.missing else None)


def voice_body(status: VoiceStatus) -> Json:
    body: Json = {"ready": status.ready, "name": status.name}
    return body | _given(
        languages=None if status.languages is None else list(status.languages),
        error=_error(status.error) if status.error else None,
    )


def speech_message(news: SpeechNews) -> Json:
    body: Json = {"type": "speech", "state": news.state.value, "muted": news.muted, "final": news.final}
    return body | _given(
        level=None if news.level is None else round(news.level, 3),
        utterance=news.utterance,
        transcript=news.transcript,
        language=news.language,
        error=_error(news.error) if news.error else None,
    )


def heard_message(heard: Heard) -> Json:
    body: Json = {
        "type": "heard",
        "utterance": heard.utterance,
        "transcript": heard.transcript,
        "spoken_s": round(heard.spoken_s, 2),
        "timings_ms": {name: round(ms, 1) for name, ms in heard.timings_ms.items()},
    }
    return body | _given(
        language=heard.language,
        ignored=heard.ignored.value if heard.ignored else None,
        error=_error(heard.error) if heard.error else None,
        **(asdict(heard.done) if heard.done else {}),
    )


def event_body(event: Event, *, thumb: bool = False, clip: str | None = None) -> Json:
    """`thumb`: there is a picture of it, or will be in a moment; `clip` is the id of one that is or will be there."""
    body: Json = {
        "id": event.id,
        "kind": event.kind.value,
        "track_ids": list(event.track_ids),
        "severity": event.severity.value,
        "text": event.text,
        "frame": frame_body(event.frame),
        "pts": event.pts,
        "at": time_at(event.at),
    }
    return body | _given(
        region_id=event.region_id,
        watch_id=event.watch_id,
        rule_id=event.rule_id,
        thumb=f"/v1/events/{event.id}/thumb.jpg" if thumb else None,
        clip=f"/v1/clips/{clip}" if clip is not None else None,
        evidence=_evidence(event.evidence) if event.evidence else None,
    )


def stored_event_body(stored: StoredEvent, clip: tuple[str, float | None] | None = None) -> Json:
    """An event as the HTTP API lists it from the store; `clip` is the id of its clip and where in that it happened."""
    event = stored.event
    clip_id, offset_s = clip if clip is not None else (None, None)
    body = event_body(event, thumb="thumb" in stored.pictures, clip=clip_id)
    body |= {"stream": stored.stream, "boot": stored.boot, "labels": list(event.labels), "keep": stored.keep}
    return body | _given(
        note=stored.note,
        clip_offset_s=None if offset_s is None else round(offset_s, 6),
        value=event.value,
        frame_url=f"/v1/events/{event.id}/frame.jpg" if "frame" in stored.pictures else None,
    )


def alert_message(told: Told) -> Json:
    """What a sink is sent of an event."""
    event = told.fact.event
    body = event_body(event, thumb=told.fact.thumb, clip=told.fact.clip)
    data = {"stream": told.stream, "boot": told.boot, "event": body}
    return {"type": "alert", "timestamp": time_at(event.at), "data": data}


def trial_text(sink: str) -> str:
    """What a sink is sent to try it, as JSON."""
    words = {"title": "Onlooker: a test", "text": f"Alerts for “{sink}” arrive here."}
    return to_json({"type": "test", "timestamp": time_at(datetime.now(UTC)), "data": {"sink": sink}, **words}).decode()


def _evidence(evidence: Evidence) -> Json:
    masks = [
        {"track_id": track_id, "mask": {"size": list(mask.size), "counts": mask.counts}}
        for track_id, mask in evidence.masks
    ]
    frame = frame_body(evidence.frame)
    return {"prompt": evidence.prompt, "model": evidence.model, "frame": frame, "masks": masks}


def question_body(question: Question) -> Json:
    body: Json = {
        "id": question.id,
        "text": question.text,
        "asked_by": question.asked_by,
        "spoken": question.spoken,
        "frame": frame_body(question.frame),
        "track_ids": list(question.track_ids),
    }
    return body | _given(follows=question.follows, language=question.language)


def answer_body(answer: Answer) -> Json:
    body: Json = {
        "question_id": answer.question_id,
        "state": answer.state.value,
        "text": answer.text,
        "track_ids": list(answer.track_ids),
        "frame": frame_body(answer.frame),
        "frame_at": time_at(answer.frame_at),
        "frame_age_ms": answer.frame_age_ms,
        "ttft_ms": answer.ttft_ms,
        "total_ms": answer.total_ms,
        "backend": answer.backend,
    }
    return body | _given(language=answer.language, error=_error(answer.error) if answer.error else None)


def asked_body(asked: Asked) -> Json:
    """A question with its answer, as the HTTP API lists them."""
    answer = answer_body(asked.answer) if asked.answer is not None else None
    return {**question_body(asked.question), "at": time_at(asked.question.at), "answer": answer}


def region_body(region: Region) -> Json:
    return {
        "id": region.id,
        "name": region.name,
        "kind": region.kind.value,
        "points": [list(point) for point in region.points],
        "rules": [rule_plain(rule) for rule in region.rules],
    }


def watch_body(watch: Watch) -> Json:
    compiled: Json = {"rules": [_rule(rule) for rule in watch.rules], "verify": watch.verify}
    return {
        "id": watch.id,
        "condition": watch.condition,
        "cooldown_s": watch.cooldown_s,
        "severity": watch.severity.value,
        "enabled": watch.enabled,
        "compiled": compiled | _given(note=watch.note),
    }


def frame_body(frame: FrameRef) -> Json:
    return {"epoch": frame.epoch, "rtp": frame.rtp}


def _rule(rule: Rule) -> Json:
    body: Json = {"kind": rule.kind.value, "seconds": rule.seconds}
    return body | _given(
        label=rule.label, near_label=rule.near_label, region_id=rule.region_id, op=rule.op, value=rule.value
    )


def _error(error: AgentError | OnlookerError) -> Json:
    return {"code": error.code, "message": error.message, "action": error.action, "retryable": error.retryable}


def _given(**values: object) -> Json:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}
