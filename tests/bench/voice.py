"""How long a spoken question takes, stage by stage, and what it costs the tracking beside it.

    python -m tests.bench.voice --model whisper-base --questions 20 --seconds 8 --runs 5

Speech by espeak-ng goes over WebRTC to the real server, with the key held and with an open microphone. The end of
speech is when the last of its sound has been sent (open microphone) or the key is let go; from there it is measured,
at the client, until the words are there, until the answer's first piece and until its first sentence. A scripted
language model answers at once, so that the answer's own time is none of its figures. Then the light engine tracks
people at 30 pictures a second while nobody speaks and while one utterance after the other is transcribed (ABBA).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import connect

from stream.models.fetch_voice import fetch_voice
from stream.models.voice import VoiceStore, named
from tests.bench.agent import SETTLE_S, tracked, until_found
from tests.bench.live import PEOPLE, STREAM, connected, publishing
from tests.bench.report import spread, table, write
from tests.scripted_vlm import ScriptedVlm, scripted_vlm
from tests.serve import serving_process
from tests.speaker import Speaker, Voice
from tests.speech import VOICES, spoken

QUESTIONS = (
    "How many people are there?", "What is number three doing?", "Where did the red cup go?",
    "Is anyone sitting on the chair?", "What happened in the last minute?",
)  # fmt: skip
ANSWER = ["There ", "are ", "two ", "people. ", "One ", "of ", "them ", "is ", "walking."]
RATE = 48_000
AUDIBLE = 0.01
SILENCE = np.zeros(RATE, np.float32)


@contextlib.asynccontextmanager
async def speaking(url: str, *, open_microphone: bool, pace: float = 1.0) -> AsyncIterator[tuple[Speaker, Voice]]:
    """A client whose microphone is there, on the machine's stream; it speaks `pace` times as fast as people."""
    live = f"{url.replace('http', 'ws', 1)}/v1/streams/{STREAM}/live"
    voice = Voice(pace=pace)
    async with (
        httpx.AsyncClient(base_url=url, timeout=20) as http,
        connect(live, subprotocols=["onlooker.v1"], compression=None, max_size=None, max_queue=None) as socket,  # type: ignore[list-item]
    ):
        speaker = Speaker(http, socket)
        await speaker.send("listen", open=open_microphone, language="en")
        await speaker.connect(voice)
        try:
            yield speaker, voice
        finally:
            await speaker.close()


async def stages(speaker: Speaker, voice: Voice, number: int, *, held: bool) -> dict[str, float]:
    """Milliseconds from the end of speech to each stage of one question."""
    samples = spoken(QUESTIONS[number % len(QUESTIONS)], VOICES[number % len(VOICES)], RATE)
    samples = samples[: np.flatnonzero(np.abs(samples) > AUDIBLE)[-1] + 1]
    first = len(speaker.messages)
    if held:
        await speaker.send("talk", on=True)
    voice.say(samples)
    await voice.silent.wait()
    end_s = time.monotonic()
    if held:
        await speaker.send("talk", on=False)
    heard = await speaker.until("heard", 60)
    if "question_id" not in heard:
        return {}
    await speaker.until("answer", 60, question_id=heard["question_id"])
    found: dict[str, float] = {"transcribe": heard["timings_ms"]["transcribe"]}
    text = ""
    for message, at_s in list(zip(speaker.messages, speaker.times_s, strict=True))[first:]:
        since_ms = (at_s - end_s) * 1000
        if message.get("final"):
            found["words"] = since_ms
        elif message["type"] == "delta":
            text += message["text"]
            found.setdefault("first token", since_ms)
            if "." in text:
                found.setdefault("first sentence", since_ms)
    return found


async def delays(url: str, vlm: ScriptedVlm, questions: int, *, held: bool) -> list[dict[str, Any]]:
    found: dict[str, list[float]] = {}
    missed = 0
    async with speaking(url, open_microphone=not held) as (speaker, voice):
        for number in range(questions + 1):
            vlm.script({"tokens": ANSWER, "every_s": 0.02})
            times = await stages(speaker, voice, number, held=held)
            vlm.forget()
            if number == 0:
                continue  # the model is loaded for the first
            missed += not times
            for stage, ms in times.items():
                found.setdefault(stage, []).append(ms)
            await asyncio.sleep(1.0)
    kind = "key" if held else "open microphone"
    return [{"what": f"{kind}: {stage}, ms", **spread(ms), "missed": missed} for stage, ms in found.items()]


async def rates(url: str, seconds: float, runs: int) -> dict[str, Any]:
    """Track rates while nobody speaks (A) and while all that is said is transcribed (B), in the order A B B A …"""
    found: dict[str, list[float]] = {"silent": [], "speaking": []}
    transcribed = 0
    async with connected(url) as client, speaking(url, open_microphone=False, pace=4) as (speaker, voice):
        await client.ask(type="prompt.add", ref="p", kind="text", text="person")
        await speaker.ask(voice, spoken(QUESTIONS[0], rate=RATE))
        await asyncio.sleep(SETTLE_S)
        for run in range(runs):
            for kind in ("silent", "speaking") if run % 2 == 0 else ("speaking", "silent"):
                talking = asyncio.create_task(_talk(speaker, voice)) if kind == "speaking" else None
                found[kind].append(await tracked(client, seconds))
                if talking is not None:
                    talking.cancel()
                    await asyncio.gather(talking, return_exceptions=True)
                    await speaker.send("talk", on=False, cancel=True)
        transcribed = sum(message["type"] == "heard" for message in speaker.messages)
    silent, busy = median(found["silent"]), median(found["speaking"])
    return {
        "what": "pictures tracked a second", "silent_p50": round(silent, 2), "speaking_p50": round(busy, 2),
        "speaking_of_silent": round(busy / silent, 3), "transcribed": transcribed, "runs": runs,
    }  # fmt: skip


async def _talk(speaker: Speaker, voice: Voice) -> None:
    """One question after the other, faster than they are transcribed, so that there is always one to transcribe."""
    number = waiting = 0
    while True:
        await speaker.send("talk", on=True)
        voice.say(spoken(QUESTIONS[number % len(QUESTIONS)], rate=RATE))
        await voice.silent.wait()
        await speaker.send("talk", on=False)
        number, waiting = number + 1, waiting + 1
        while waiting > 2:
            await speaker.until("heard", 60)
            waiting -= 1


def measure(model: str, questions: int, seconds: float, runs: int) -> list[dict[str, Any]]:
    store = VoiceStore()
    fetch_voice(store, named(model), wait_s=600)
    folder = str(store.path(named(model)[-1]))
    rows: list[dict[str, Any]] = []
    with (
        scripted_vlm() as vlm,
        serving_process("idle", vlm=vlm.url, voice=folder) as (url, _),
        publishing(url, PEOPLE, 900),
    ):
        asyncio.run(until_found(url))
        for held in (True, False):
            rows += asyncio.run(delays(url, vlm, questions, held=held))
    with serving_process("light", voice=folder) as (url, _), publishing(url, PEOPLE, 900):
        rows.append(asyncio.run(rates(url, seconds, runs)))
    return [{"model": model, **row} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="whisper-base")
    parser.add_argument("--questions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = measure(options.model, options.questions, options.seconds, options.runs)
    table("from the end of speech", [row for row in rows if "p50" in row])
    table("tracking meanwhile", [row for row in rows if "p50" not in row])
    print(f"\n{write('voice', rows, options.json)}")


if __name__ == "__main__":
    main()
