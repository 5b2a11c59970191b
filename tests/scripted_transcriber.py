"""A speech server that hears what a test tells it to: OpenAI's `/v1/audio/transcriptions` on a port of its own."""

from __future__ import annotations

import io
import json
import threading
import time
import wave
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass
class ScriptedTranscriber:
    """A context manager. `script` holds what the next utterances are, and the status of those that fail; what is not
    in it is silence. Each takes `delay_s`. `heard` are the utterances that came, as float32 samples at 16 kHz."""

    language: str = "english"
    script: list[str | int] = field(default_factory=list)
    heard: list[F32] = field(default_factory=list)
    delay_s: float = 0.0

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def _transcribe(self, form: bytes) -> str | int:
        self.heard.append(_samples(form[form.index(b"RIFF") :]))
        time.sleep(self.delay_s)
        return self.script.pop(0) if self.script else ""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        transcriber = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(HTTPStatus.OK, {"object": "list", "data": []})

            def do_POST(self) -> None:
                said = transcriber._transcribe(self.rfile.read(int(self.headers["Content-Length"])))
                if isinstance(said, int):
                    self._reply(said, {"error": {"message": "scripted"}})
                else:
                    self._reply(HTTPStatus.OK, {"text": said, "language": transcriber.language})

            def _reply(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def _samples(wav: bytes) -> F32:
    """Of a WAV file at the beginning of `wav`."""
    with wave.open(io.BytesIO(wav)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return (pcm / 32768).astype(np.float32)
