"""What stands behind the transcriber: found by name, asked in time, and explained in words where it fails."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import wave
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from agent.backend import Backend
from agent.speech.choice import find_whisper
from agent.speech.guards import Transcript
from agent.speech.model_ears import NOTHING, ModelEars
from agent.speech.openai_server import OpenAiTranscriber
from agent.speech.service import SpeechService
from agent.speech.transcribe import Transcriber, wav_of
from agent.speech.types import F32, SAMPLE_RATE
from agent.speech.vad import Vad, VadModel, find_vad
from agent.speech.whisper import WhisperModel, WhisperProcess
from agent.vlm.facts import FactsBackend
from stream.errors import BadInput, ModelMissing, ModelServerError, NotFound, VoiceError, VoiceMissing
from stream.models.voice import VOICE_MODELS, WHISPER_BASE, WHISPER_TINY_EN, VoiceStore, named

SECOND = np.full(SAMPLE_RATE, 0.25, np.float32)


def filled(store: VoiceStore, name: str) -> Path:
    """A model's files, of the right size and no content."""
    (model,) = [model for model in VOICE_MODELS if model.name == name]
    store.folder(model).mkdir(parents=True)
    for piece in model.pieces:
        with (store.folder(model) / piece.file_name).open("wb") as file:
            file.truncate(piece.size_bytes)
    return store.folder(model)


# --- which model -----------------------------------------------------------------------------------------------------


def test_without_a_name_the_best_that_is_there(tmp_path: Path) -> None:
    store = VoiceStore(tmp_path)
    with pytest.raises(ModelMissing, match=r"whisper-base") as error:
        find_whisper(None, store)
    assert "onlooker models fetch voice" in error.value.action
    tiny = filled(store, "whisper-tiny.en")
    assert find_whisper(None, store) == WhisperModel("whisper-tiny.en", str(tiny))
    base = filled(store, "whisper-base")
    assert find_whisper(None, store) == WhisperModel("whisper-base", str(base))
    assert find_whisper("tiny.en", store).source == str(tiny)


def test_a_folder_a_package_and_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = VoiceStore(tmp_path / "models")
    folder = tmp_path / "my_speech_model" / "data"
    folder.mkdir(parents=True)
    with pytest.raises(BadInput, match=r"model\.bin"):
        find_whisper(str(folder), store)
    (folder / "model.bin").write_bytes(b"w")
    (folder.parent / "__init__.py").write_text("raise AssertionError('it is not to be run')")
    assert find_whisper(str(folder), store).is_folder
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_whisper("my-speech-model", store) == WhisperModel("my-speech-model", str(folder))
    assert find_whisper("Systran/faster-whisper-small", store).source == "Systran/faster-whisper-small"


def test_what_can_be_fetched_by_name() -> None:
    assert [model.name for model in named("voice")] == ["silero-vad", "whisper-base"]
    assert named("whisper-tiny.en")[-1] is WHISPER_TINY_EN
    with pytest.raises(NotFound, match="no such model"):
        named("whisper-large")
    assert [piece.file_name for piece in WHISPER_BASE.pieces].count("model.bin") == 1


def test_the_detector_hears_no_speech_in_a_tone(tmp_path: Path) -> None:
    vad = Vad(VadModel(find_vad(VoiceStore(tmp_path))))
    tone = np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    assert max(vad.probability(window) for window in tone[: 31 * 512].reshape(31, 512)) < 0.5
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    with pytest.raises(ModelMissing, match="damaged"):
        VadModel(damaged)


# --- a process of its own --------------------------------------------------------------------------------------------

READY = 'print(json.dumps({"ready": True, "languages": ["en"]}), flush=True)\n'
ECHO = READY + (
    "while line := sys.stdin.buffer.readline():\n"
    "    request = json.loads(line); data = sys.stdin.buffer.read(request['bytes'])\n"
    "    print(json.dumps({'id': request['id'], 'text': f\" {len(data)} \",\n"
    "        'language': (request['languages'] or [None])[0], 'no_speech': 0.1,\n"
    "        'log_probability': -0.2, 'compression': 1.0}), flush=True)\n"
)


def process(script: str, **options: float) -> WhisperProcess:
    command = [sys.executable, "-c", "import json, sys, time\n" + script]
    return WhisperProcess(WhisperModel("test", "/"), command=command, **options)


async def test_samples_go_to_the_process_and_words_come_back() -> None:
    echo = process(ECHO)
    await echo.start()
    assert echo.languages == ("en",)
    first, second = await asyncio.gather(echo.transcribe(SECOND, languages=["en"]), echo.transcribe(SECOND[:10]))
    assert (first, second.text) == (Transcript("64000", "en", 0.1, -0.2, 1.0), "40")
    await echo.close()
    assert echo.pid is None


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (READY + "time.sleep(60)", "has not answered"),
        (READY + "sys.stdin.buffer.readline(); sys.exit(1)", "has crashed"),
        (READY + "sys.stdin.buffer.readline(); print('{', flush=True); time.sleep(60)", "has crashed"),
        (READY + "sys.stdin.buffer.readline(); print('{\"id\": 99}', flush=True); time.sleep(60)", "has crashed"),
        (
            READY + "sys.stdin.buffer.readline(); print(json.dumps({'id': 1, 'error': 'E', 'message': 'no memory'}), "
            "flush=True); time.sleep(60)",
            "no memory",
        ),
    ],
)
async def test_a_process_that_fails_says_so(script: str, said: str) -> None:
    failing = process(script, least_s=0.5)
    await failing.start()
    with pytest.raises(VoiceError, match=said) as error:
        await failing.transcribe(SECOND[:100])
    assert error.value.retryable
    await failing.close()


@pytest.mark.parametrize(
    ("script", "kind", "said"),
    [
        ("time.sleep(60)", VoiceError, "was not ready"),
        ("sys.exit(1)", VoiceError, "could not be started"),
        ("print(json.dumps({'error': 'ValueError', 'message': 'bad weights'}), flush=True)", VoiceError, "bad weights"),
        ("print(json.dumps({'error': 'ModuleNotFoundError', 'message': 'x'}), flush=True)", VoiceMissing, "package"),
    ],
)
async def test_a_process_that_does_not_start_says_why(script: str, kind: type[VoiceError], said: str) -> None:
    failing = process(script, load_s=1.0)
    with pytest.raises(kind, match=said) as error:
        await failing.start()
    assert error.value.action
    assert failing.pid is None


async def test_a_question_that_is_given_up_ends_the_process() -> None:
    slow = process(READY + "time.sleep(60)")
    await slow.start()
    asking = asyncio.create_task(slow.transcribe(SECOND))
    await asyncio.sleep(0.1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert slow.pid is None


# --- a server --------------------------------------------------------------------------------------------------------


class Server:
    """Answers as it is told to, and notes what it was asked."""

    def __init__(self) -> None:
        self.replies: list[tuple[int, Any]] = []
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(200, {"object": "list", "data": []})

            def do_POST(self) -> None:
                outer.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self._reply(*outer.replies.pop(0))

            def _reply(self, status: int, reply: Any) -> None:
                data = json.dumps(reply).encode() if not isinstance(reply, bytes) else reply
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.server.serve_forever)
    thread.start()
    yield running
    running.server.shutdown()
    running.server.server_close()
    thread.join()


VERBOSE = {
    "text": " Wer ist da? ", "language": "german", "duration": 1.0,
    "segments": [{"id": 0, "no_speech_prob": 0.1, "avg_logprob": -0.3, "compression_ratio": 0.9}],
}  # fmt: skip


async def test_a_server_is_sent_a_wav_and_its_words_are_read(server: Server) -> None:
    client = OpenAiTranscriber(server.url, model="whisper-1", api_key=None)
    await client.start()
    server.replies = [(200, VERBOSE)]
    assert await client.transcribe(SECOND, languages=["de"]) == Transcript("Wer ist da?", "de", 0.1, -0.3, 0.9)
    body = server.bodies[0]
    assert b'name="language"\r\n\r\nde\r\n' in body
    start = body.index(b"RIFF")
    with wave.open(io.BytesIO(body[start : start + len(wav_of(SECOND))])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (SAMPLE_RATE, 1, SAMPLE_RATE)
    await client.close()


async def test_a_server_that_knows_no_details_is_asked_without(server: Server) -> None:
    client = OpenAiTranscriber(server.url, model=None, api_key=None)
    server.replies = [(400, {"error": {"message": "response_format"}}), (200, {"text": "Hi"}), (200, {"text": "Ho"})]
    assert (await client.transcribe(SECOND)).text == "Hi"
    assert (await client.transcribe(SECOND)).text == "Ho"
    assert len(server.bodies) == 3
    await client.close()


@pytest.mark.parametrize(
    ("status", "reply", "said"),
    [
        (401, {"error": {"message": "key"}}, "wants a key"),
        (404, {"error": {"message": "no"}}, "has no model"),
        (500, {"error": {"message": "oh"}}, "failed"),
        (200, b"[]", "no transcript"),
        (200, {"words": 1}, "no transcript"),
    ],
)
async def test_a_server_that_fails_is_explained(server: Server, status: int, reply: Any, said: str) -> None:
    client = OpenAiTranscriber(server.url, model=None, api_key=None)
    server.replies = [(status, reply)]
    with pytest.raises(VoiceError, match=said) as error:
        await client.transcribe(SECOND)
    assert error.value.action
    await client.close()


async def test_a_server_that_is_away_is_explained() -> None:
    client = OpenAiTranscriber("http://127.0.0.1:9/v1", model=None, api_key=None)
    with pytest.raises(VoiceError, match="does not answer"):
        await client.start()
    with pytest.raises(VoiceError, match="does not answer"):
        await client.transcribe(SECOND)
    await client.close()


# --- a model that hears ----------------------------------------------------------------------------------------------


class Hearing:
    name, is_model = "gemma", True

    def __init__(self, *replies: str | Exception) -> None:
        self.replies = list(replies)
        self.can: frozenset[str] = frozenset({"image"})

    def found_hearing(self) -> None:
        self.can |= {"audio"}

    async def write_down(self, wav: bytes, request: str) -> str:
        assert wav.startswith(b"RIFF")
        assert NOTHING in request
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def ears(backend: object) -> ModelEars:
    return ModelEars(lambda: cast(Backend, backend))


async def test_a_model_writes_down_what_it_hears() -> None:
    backend = Hearing(NOTHING, '"Who is there?"', f" {NOTHING} ", ModelServerError("It is away."))
    hearing = ears(backend)
    await hearing.start()
    assert "audio" in backend.can
    await hearing.start()
    assert (await hearing.transcribe(SECOND, languages=["en"])) == Transcript("Who is there?", "en")
    assert (await hearing.transcribe(SECOND)).text == ""
    with pytest.raises(VoiceError, match="It is away"):
        await hearing.transcribe(SECOND)


async def test_a_model_that_does_not_hear_is_explained() -> None:
    with pytest.raises(VoiceError, match="does not hear"):
        await ears(Hearing(ModelServerError("refused"))).start()
    with pytest.raises(VoiceError, match="does not hear"):
        await ears(FactsBackend()).start()


# --- what all microphones share --------------------------------------------------------------------------------------


class Counting:
    name, languages = "counting", None

    def __init__(self) -> None:
        self.started = 0
        self.fails = False

    async def start(self) -> None:
        self.started += 1

    async def transcribe(self, samples: F32, *, languages: Sequence[str] = ()) -> Transcript:
        if self.fails:
            raise VoiceError("It hangs.")
        return Transcript("Hi")

    async def close(self) -> None:
        self.started = -1


async def until(check: Any) -> None:
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0.005)


async def test_the_transcriber_is_started_at_its_first_use_and_again_after_a_fault(tmp_path: Path) -> None:
    made = Counting()
    service = SpeechService(lambda: cast(Transcriber, made), lambda: tmp_path / "none")
    running = asyncio.create_task(service.run())
    await until(lambda: service.status.ready)
    assert made.started == 0
    service.use()
    await until(lambda: made.started == 1)
    assert (await service.transcribe(SECOND)).text == "Hi"
    made.fails = True
    with pytest.raises(VoiceError, match="It hangs"):
        await service.transcribe(SECOND)
    assert service.status.error is not None
    made.fails = False
    await until(lambda: made.started == 2 and service.status.ready)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert made.started == -1


async def test_what_is_missing_is_said_and_taken_up_when_it_is_there(tmp_path: Path) -> None:
    there: list[Counting] = []

    def make() -> Transcriber:
        if not there:
            raise ModelMissing("It is not there.", action="Fetch it.")
        return cast(Transcriber, there[0])

    service = SpeechService(make, lambda: tmp_path / "none")
    running = asyncio.create_task(service.run())
    await until(lambda: service.status.error is not None)
    with pytest.raises(VoiceError, match="It is not there") as error:
        await service.transcribe(SECOND)
    assert (error.value.code, error.value.action, error.value.retryable) == ("model_missing", "Fetch it.", True)
    there.append(Counting())
    service.try_again()
    await until(lambda: service.status.ready)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
