"""From the agent's values to rows and back. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.rules.plain import rule_of, rule_plain
from agent.types import (
    AgentError,
    Answer,
    AnswerState,
    Caption,
    Event,
    EventKind,
    Evidence,
    Question,
    Region,
    RegionKind,
    Severity,
    Watch,
)
from stream.types import FrameRef, Rle

Row = dict[str, Any]
_REFERENCE = re.compile(r"\[#(\d+)\]")


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert on its way to the sink of that name. `body` is the JSON that is sent; `error` says why the last of
    `tries` failed."""

    id: str
    sink: str
    event_id: str
    body: str
    at: datetime
    tries: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact to be written. For an event: JPEGs of its objects and, for an alert, of the whole frame."""

    body: object
    at: datetime
    thumb: bytes | None = None
    frame: bytes | None = None
    deliveries: tuple[Delivery, ...] = ()

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return 1024 + len(self.thumb or b"") + len(self.frame or b"")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event, the stream and the life of the server that it comes from, and which pictures of it there are."""

    seq: int
    boot: str
    stream: str
    event: Event
    pictures: frozenset[str] = frozenset()
    keep: bool = False
    """It stays, with its clip, however old it gets."""
    note: str | None = None
    """What somebody wrote about it."""


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """`answer` is None where the server ended before it came."""

    seq: int
    boot: str
    stream: str
    question: Question
    answer: Answer | None


def clean(text: str) -> str:
    """PostgreSQL takes no NUL in a text."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


# --- to rows ---------------------------------------------------------------------------------------------------------


def event_row(entry: Entry, event: Event, boot: str, stream: str) -> Row:
    plain = _REFERENCE.sub(r"\1", event.text)
    return {
        "id": event.id,
        "boot": boot,
        "stream": stream,
        "kind": event.kind.value,
        "severity": event.severity.value,
        "text": clean(event.text),
        "words": clean(" ".join([plain, *event.labels])),
        "region_id": event.region_id,
        "watch_id": event.watch_id,
        "rule_id": event.rule_id,
        **_frame_row(event.frame),
        "pts": event.pts,
        "at": event.at,
        "value": event.value,
        "evidence": _evidence_json(event.evidence) if event.evidence else None,
        "picture_bytes": len(entry.thumb or b"") + len(entry.frame or b""),
    }


def track_rows(event: Event) -> list[Row]:
    def at(values: tuple[Any, ...], position: int) -> Any:
        return values[position] if position < len(values) else None

    return [
        {
            "event_id": event.id,
            "position": position,
            "track": track_id,
            "label": clean(label) if (label := at(event.labels, position)) else None,
            "box_xyxy": list(box) if (box := at(event.boxes_xyxy, position)) else None,
        }
        for position, track_id in enumerate(event.track_ids)
    ]


def picture_rows(entry: Entry, event: Event) -> list[Row]:
    jpegs = {"thumb": entry.thumb, "frame": entry.frame}
    return [{"event_id": event.id, "kind": kind, "jpeg": jpeg} for kind, jpeg in jpegs.items() if jpeg]


def caption_row(caption: Caption, boot: str, stream: str) -> Row:
    return {
        "boot": boot,
        "stream": stream,
        "track": caption.track_id,
        "words": clean(caption.text),
        **_frame_row(caption.frame),
        "at": caption.at,
        "backend": caption.backend,
    }


def question_row(question: Question, boot: str, stream: str) -> Row:
    return {
        "id": question.id,
        "boot": boot,
        "stream": stream,
        "text": clean(question.text),
        "words": clean(question.text),
        "asked_by": question.asked_by,
        "spoken": question.spoken,
        "follows": question.follows,
        **_frame_row(question.frame),
        "at": question.at,
        "track_ids": list(question.track_ids),
    }


def answer_row(answer: Answer) -> Row:
    """What an answer adds to its question's row."""
    error = answer.error
    return {
        "state": answer.state.value,
        "answer": clean(answer.text),
        "answer_track_ids": list(answer.track_ids),
        "frame_at": answer.frame_at,
        "frame_age_ms": answer.frame_age_ms,
        "ttft_ms": answer.ttft_ms,
        "total_ms": answer.total_ms,
        "backend": clean(answer.backend),
        "error": {"code": error.code, "message": error.message, "action": error.action, "retryable": error.retryable}
        if error
        else None,
    }


def region_row(region: Region, stream: str, at: datetime) -> Row:
    return {
        "stream": stream,
        "id": region.id,
        "name": clean(region.name),
        "kind": region.kind.value,
        "points": [list(point) for point in region.points],
        "rules": [rule_plain(rule) for rule in region.rules],
        "seen_at": at,
    }


def watch_row(watch: Watch, stream: str, at: datetime) -> Row:
    """Only what the user said: what it compiles to is found again from the words."""
    return {
        "stream": stream,
        "id": watch.id,
        "condition": clean(watch.condition),
        "cooldown_s": watch.cooldown_s,
        "severity": watch.severity.value,
        "enabled": watch.enabled,
        "seen_at": at,
    }


def delivery_row(delivery: Delivery) -> Row:
    return {
        "id": delivery.id,
        "sink": delivery.sink,
        "event_id": delivery.event_id,
        "body": clean(delivery.body),
        "at": delivery.at,
        "tries": delivery.tries,
        "dead": False,
        "error": delivery.error,
    }


def _frame_row(frame: FrameRef) -> Row:
    return {"epoch": frame.epoch, "rtp": frame.rtp}


def _evidence_json(evidence: Evidence) -> Row:
    masks = [{"track": track, "size": list(mask.size), "counts": mask.counts} for track, mask in evidence.masks]
    frame = {"epoch": evidence.frame.epoch, "rtp": evidence.frame.rtp}
    return {"prompt": clean(evidence.prompt), "model": clean(evidence.model), "frame": frame, "masks": masks}


# --- from rows -------------------------------------------------------------------------------------------------------


def stored_event(row: Mapping[Any, Any], tracks: Iterable[Mapping[Any, Any]], pictures: Iterable[str]) -> StoredEvent:
    """`tracks` in order of their position."""
    tracks = list(tracks)
    event = Event(
        id=row["id"],
        kind=EventKind(row["kind"]),
        text=row["text"],
        track_ids=tuple(track["track"] for track in tracks),
        frame=FrameRef(row["epoch"], row["rtp"]),
        pts=row["pts"],
        at=row["at"],
        boxes_xyxy=tuple(tuple(track["box_xyxy"]) for track in tracks if track["box_xyxy"] is not None),
        labels=tuple(track["label"] for track in tracks if track["label"] is not None),
        severity=Severity(row["severity"]),
        region_id=row["region_id"],
        watch_id=row["watch_id"],
        rule_id=row["rule_id"],
        value=row["value"],
        evidence=_evidence(row["evidence"]) if row["evidence"] else None,
    )
    return StoredEvent(
        row["seq"], row["boot"], row["stream"], event, frozenset(pictures), row["keep"], row["note"]
    )  # fmt: skip


def stored_question(row: Mapping[Any, Any]) -> StoredQuestion:
    frame = FrameRef(row["epoch"], row["rtp"])
    question = Question(
        row["id"], row["text"], row["asked_by"], frame, row["at"], tuple(row["track_ids"]), row["follows"],
        row["spoken"],
    )  # fmt: skip
    answer = None
    if row["state"] is not None:
        answer = Answer(
            row["id"], AnswerState(row["state"]), row["answer"], tuple(row["answer_track_ids"]), frame,
            row["frame_at"], row["frame_age_ms"], row["ttft_ms"], row["total_ms"], row["backend"],
            AgentError(**row["error"]) if row["error"] else None,
        )  # fmt: skip
    return StoredQuestion(row["seq"], row["boot"], row["stream"], question, answer)


def kept_region(row: Mapping[Any, Any]) -> Region:
    points = tuple((float(x), float(y)) for x, y in row["points"])
    rules = tuple(rule_of(plain) for plain in row["rules"])
    return Region(row["id"], row["name"], RegionKind(row["kind"]), points, rules)


def kept_watch(row: Mapping[Any, Any]) -> Watch:
    """Without its rules, which are compiled again from its words."""
    return Watch(
        row["id"], row["condition"], (), None, row["cooldown_s"], Severity(row["severity"]), row["enabled"]
    )  # fmt: skip


def stored_delivery(row: Mapping[Any, Any]) -> Delivery:
    return Delivery(
        row["id"], row["sink"], row["event_id"], row["body"], row["at"], row["tries"], row["error"]
    )  # fmt: skip


def _evidence(value: Mapping[Any, Any]) -> Evidence:
    masks = tuple((mask["track"], Rle((mask["size"][0], mask["size"][1]), mask["counts"])) for mask in value["masks"])
    return Evidence(value["prompt"], value["model"], FrameRef(**value["frame"]), masks)
