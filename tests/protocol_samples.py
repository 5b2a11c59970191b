"""One golden sample of every message: `python -m tests.protocol_samples` writes them to `tests/data/protocol/`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from agent.loop import StreamAgent
from agent.orders import Done
from agent.schedule import Schedule
from agent.speech.types import Heard, Ignored, SpeechNews, SpeechState, VoiceStatus
from agent.types import (
    AgentError,
    Answer,
    AnswerFact,
    AnswerState,
    ArmedFact,
    Caption,
    CaptionFact,
    DeltaFact,
    Direction,
    Event,
    EventFact,
    EventKind,
    Evidence,
    Question,
    QuestionFact,
    Region,
    RegionFact,
    RegionKind,
    RegionRule,
    Rule,
    RuleKind,
    Severity,
    Watch,
    WatchFact,
)  # fmt: skip
from stream.engines.base import Note
from stream.errors import NotFound, UnknownWord
from stream.facts import Fact, GapFact, PromptFact, SourceFact, TrackFact
from stream.session import StreamSession
from stream.status import StreamState, StreamStatus
from stream.types import (
    FrameRef,
    Point,
    Prompt,
    PromptKind,
    PromptState,
    Rle,
    Track,
    TrackState,
    TrackUpdate,
)  # fmt: skip
from tests.barcode import BarcodeEngine
from web import wire
from web.agent_wire import heard_message, speech_message
from web.times import time_at

FOLDER = Path(__file__).parent / "data" / "protocol"
AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
BOOT = "0123456789abcdef0123456789abcdef"
MASK = Rle((36, 64), "oT1d0")
SIZE = (640, 480)

TEXT = PromptFact(Prompt(1, PromptKind.TEXT, text="person"), PromptState.ACTIVE, None, (3,), picture_size_px=SIZE)
CLICK = PromptFact(
    Prompt(
        2, PromptKind.POINTS, points=(Point(320.0, 120.0), Point(639.5, 479.5, False)), track_id=3,
        frame=FrameRef(1, 90_000),
    ),
    PromptState.ACTIVE, "This part was taken.", (3,),
    (("whole", (0.0, 0.0, 320.0, 240.0)), ("part", (64.0, 48.0, 128.0, 96.0))), SIZE,
)  # fmt: skip
BOX = PromptFact(
    Prompt(3, PromptKind.EXEMPLAR, box_xyxy_px=(64.0, 48.0, 128.0, 96.0), positive=False),
    PromptState.REMOVED, None, (), picture_size_px=SIZE,
)  # fmt: skip
MASKED = PromptFact(
    Prompt(4, PromptKind.MASK, mask=MASK), PromptState.FAILED, "Nothing is there.", (), picture_size_px=SIZE
)
UPDATE = TrackUpdate(
    epoch=1, index=41, pts=123_000, rtp=4_294_967_295, captured_unix_us=1_767_323_045_678_000, width=640, height=480,
    tracks=(
        Track(3, "person", 0.91234, (64.0, 48.0, 128.0, 480.0), MASK, TrackState.LIVE, 1, 1.234),
        Track(4, "<b>cup</b>", 1.0, (-5.0, 0.0, 700.0, 480.0), None, TrackState.LOST, None, 20.0),
    ),
    timings_ms={"decode": 1.234, "wait": 0.5, "engine": 12.0},
)  # fmt: skip
STATUS = StreamStatus(
    StreamState.LIVE, 29.9, 29.5, {"engine": 2, "jitter": 1}, {"rate": 3}, 41.5, 63.0, 2, ("The video is transcoded.",)
)


QUESTION = Question("a" * 32, "What is #3 holding?", "c" * 32, FrameRef(1, 90_000), AT, (3,), "b" * 32)
ANSWER = Answer(
    "a" * 32, AnswerState.DONE, "A folder, [#3].", (3,), FrameRef(1, 90_000), AT, 120.5, 310.0, 1200.0, "facts"
)
FAILED = replace(
    ANSWER, state=AnswerState.FAILED, text="", track_ids=(),
    error=AgentError("vlm_unavailable", "The language model server failed (500).", "Ask again.", True),
)  # fmt: skip
EVENT = Event(
    "d" * 32, EventKind.ZONE_ENTER, "[#3] came to the door.", (3,), FrameRef(1, 90_000), 123_000, AT,
    boxes_xyxy=((0.1, 0.1, 0.2, 1.0),), labels=("person",), region_id="e" * 32,
)  # fmt: skip
ALERT = replace(
    EVENT, kind=EventKind.ALERT, severity=Severity.WARN, watch_id="f" * 32,
    evidence=Evidence("someone leaves a bag", "gemma", FrameRef(1, 93_000), ((3, MASK),)),
)  # fmt: skip
STAY = RegionRule(
    "a" * 32, RuleKind.DWELL, "person", 30.0, min_area=0.01,
    schedule=Schedule(frozenset({0, 4}), time(22), time(6, 30), "Europe/Berlin"),
)  # fmt: skip
DOOR = Region("e" * 32, "door", RegionKind.ZONE, ((0.0, 0.0), (0.2, 0.0), (0.2, 1.0)), (STAY,))
FENCE = Region(
    "b" * 32, "fence", RegionKind.LINE, ((0.0, 0.5), (1.0, 0.5)),
    (RegionRule("c" * 32, RuleKind.CROSS, direction=Direction.BACKWARD, enabled=False, sound=True),),
)  # fmt: skip
WATCH = Watch(
    "f" * 32, "someone leaves a bag", (Rule(EventKind.APART, "bag", near_label="person"),), "someone leaves a bag",
    note="The model decides.",
)  # fmt: skip
VOICE = VoiceStatus("whisper-base", ready=True)
NO_VOICE = VoiceStatus(
    error=AgentError("voice_missing", "Speech needs faster-whisper.", "Run: pip install 'onlooker[voice]'.")
)
HEARD = Heard(
    3, "What is she holding?", 1.2345, "en", Done(question_id="a" * 32),
    timings_ms={"endpoint": 20.0, "wait": 0.0, "transcribe": 412.345, "obey": 2.0},
)  # fmt: skip
AGENT = SimpleNamespace(
    backend=SimpleNamespace(name="gemma", is_model=True, can=frozenset({"image", "tools"}), missing=None),
    describer=SimpleNamespace(on=True),
    regions=(DOOR,),
    zones=SimpleNamespace(armed=True),
    watches=SimpleNamespace(all=lambda: [WATCH]),
)


class NotedEngine(BarcodeEngine):
    notes = (Note("model_missing", "A model is missing.", "Run `onlooker models fetch`."),)


def server_samples() -> dict[str, Any]:
    """Messages as the server makes them, by file name."""
    session = SimpleNamespace(
        id="cam-1", kind="webrtc", state=StreamState.LIVE, epoch=1, width=640, height=480, prompts=(TEXT, CLICK),
        facts=SimpleNamespace(seq=17),
    )  # fmt: skip
    agent = cast(StreamAgent, AGENT)
    hello = wire.hello_message(
        cast(StreamSession, session), NotedEngine(), agent, NO_VOICE, boot=BOOT, server="onlooker",
        microphone="/v1/streams/cam-1/microphone?client=" + "9" * 32,
    )  # fmt: skip
    tracks = json.loads(wire.tracks_text(UPDATE, 7, masks=True, captions={3: "a man in a blue coat"}))
    tracks["timings_ms"]["encode"] = 0.05
    bare = json.loads(wire.tracks_text(UPDATE, 8, masks=False, captions={}))
    bare["timings_ms"]["encode"] = 0.03
    facts = {
        "prompt": TEXT,
        "prompt-points": CLICK,
        "prompt-exemplar": BOX,
        "prompt-mask": MASKED,
        "track": TrackFact(3, "renamed", "Ann"),
        "source": SourceFact("resized", 2, 1280, 720, "H264"),
        "source-error": SourceFact("lost", 2, 1280, 720, "VP8", "The publisher went away."),
        "gap": GapFact(3, 9),
        "track-described": CaptionFact(Caption(3, "a man in a blue coat", FrameRef(1, 90_000), AT, "gemma")),
        "event": EventFact(EVENT),
        "event-alert": EventFact(ALERT, thumb=True),
        "event-rule": EventFact(replace(ALERT, watch_id=None, rule_id="a" * 32), thumb=True),
        "question": QuestionFact(QUESTION),
        "question-spoken": QuestionFact(replace(QUESTION, spoken=True, language="de")),
        "delta": DeltaFact("a" * 32, 0, "A folder, "),
        "answer": AnswerFact(ANSWER),
        "answer-spoken": AnswerFact(replace(ANSWER, language="en")),
        "answer-failed": AnswerFact(FAILED),
        "region": RegionFact(DOOR),
        "region-line": RegionFact(FENCE, removed=True),
        "armed": ArmedFact(False),
        "watch": WatchFact(WATCH, removed=True),
    }
    return {
        "hello": {**hello, "at": time_at(AT)},
        "tracks": tracks,
        "tracks-without-masks": bare,
        "status": wire.status_message(STATUS, NotedEngine(), agent, VOICE),
        **{name: wire.fact_message(Fact(18, AT, body)) for name, body in facts.items()},
        "view": {"type": "view", "session": "s", "rtp_offset": 4_294_967_295, "ref": "r5"},
        "speech": speech_message(SpeechNews(SpeechState.HEARING, level=0.41237, utterance=3)),
        "speech-transcript": speech_message(
            SpeechNews(SpeechState.IDLE, utterance=3, transcript="What is she holding?", final=True, language="en")
        ),
        "speech-off": speech_message(SpeechNews(SpeechState.OFF, error=NO_VOICE.error)),
        "heard": heard_message(HEARD),
        "heard-ignored": heard_message(replace(HEARD, transcript="", done=None, ignored=Ignored.NOISE)),
        "heard-error": heard_message(replace(HEARD, done=None, error=NO_VOICE.error)),
        "ok-watch": {"type": "ok", "watch_id": "a" * 32, "ref": "r9"},
        "ok-question": {"type": "ok", "question_id": "a" * 32, "ref": "r8"},
        "ok": {"type": "ok", "prompt_id": 5, "ref": "r1"},
        "error": {"type": "error", **wire.error_body(NotFound("There is no track 9.", code="unknown_track"), "r2")},
        "error-word": {"type": "error", **wire.error_body(UnknownWord("zeppelin", ("airplane", "kite")))},
        "pong": {"type": "pong", "t": 12.5},
    }


def client_samples() -> dict[str, Any]:
    """Messages as a client sends them, by file name."""
    frame = {"epoch": 1, "rtp": 4_294_967_295}
    return {
        "prompt.add": {"type": "prompt.add", "ref": "r1", "kind": "text", "text": "person"},
        "prompt.add-points": {
            "type": "prompt.add", "ref": "r2", "kind": "points", "track_id": 3, "frame": frame,
            "points": [{"x": 0.5, "y": 0.25}, {"x": 1, "y": 1, "positive": False}],
        },
        "prompt.add-box": {"type": "prompt.add", "kind": "box", "box_xyxy": [0.1, 0.1, 0.2, 0.2], "frame": frame},
        "prompt.add-exemplar": {
            "type": "prompt.add", "kind": "exemplar", "box_xyxy": [0, 0, 1, 1], "positive": False,
        },
        "prompt.add-mask": {"type": "prompt.add", "kind": "mask", "mask": {"size": [36, 64], "counts": "oT1d0"}},
        "prompt.remove": {"type": "prompt.remove", "ref": "r3", "prompt_id": 1},
        "prompt.restore": {"type": "prompt.restore", "ref": "r4", "prompt_id": 1},
        "track.remove": {"type": "track.remove", "ref": "r5", "track_id": 3},
        "track.restore": {"type": "track.restore", "ref": "r6", "track_id": 3},
        "track.rename": {"type": "track.rename", "ref": "r7", "track_id": 3, "label": "Ann"},
        "ask": {"type": "ask", "ref": "r8", "text": "What is #3 holding?", "track_ids": [3], "frame": frame},
        "ask-follows": {"type": "ask", "text": "And now?", "follows": "a" * 32},
        "ask.stop": {"type": "ask.stop", "ref": "r9"},
        "ask.stop-one": {"type": "ask.stop", "question_id": "a" * 32},
        "command": {"type": "command", "ref": "r10", "text": "follow the cup"},
        "describe": {"type": "describe", "ref": "r14", "on": False},
        "talk": {"type": "talk", "ref": "r11", "on": True},
        "talk-off": {"type": "talk", "ref": "r12", "on": False, "track_ids": [3], "frame": frame, "follows": "a" * 32},
        "talk-cancel": {"type": "talk", "on": False, "cancel": True},
        "listen": {"type": "listen", "ref": "r13", "open": True, "wake_word": "onlooker", "languages": ["de", "en"]},
        "listen-muted": {"type": "listen", "muted": True},
        "view": {"type": "view", "ref": "r12", "session": "7a1c"},
        "set": {"type": "set", "ref": "r13", "masks": False, "max_fps": 15, "ack": True},
        "ack": {"type": "ack", "seq": 7},
        "ping": {"type": "ping", "t": 12},
    }  # fmt: skip


def files() -> dict[Path, str]:
    """What the folder has to hold."""
    return {
        FOLDER / side / f"{name}.json": json.dumps(message, indent=1, ensure_ascii=False) + "\n"
        for side, samples in (("server", server_samples()), ("client", client_samples()))
        for name, message in samples.items()
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
