"""faster-whisper in a process of its own, at low priority, so that tracking never waits for it; killed and started
again where it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agent
from agent.speech.guards import Transcript
from agent.speech.types import F32, SAMPLE_RATE
from stream.errors import VoiceError, VoiceMissing

log = logging.getLogger(__name__)

LOAD_S = 60.0
HUB_LOAD_S = 900.0
"""A model that has to be downloaded first."""
LEAST_S = 20.0
TIMES_SPOKEN = 2.0
"""A transcript is given up after `LEAST_S` and this many times what was spoken."""
LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class WhisperModel:
    """`source` is a folder or a name on the hub, `name` what people call it."""

    name: str
    source: str

    @property
    def is_folder(self) -> bool:
        return Path(self.source).is_dir()


def check_installed() -> None:
    """Raises `VoiceMissing` where faster-whisper is not installed. Does not import it."""
    if importlib.util.find_spec("faster_whisper") is None:
        raise VoiceMissing("Speech needs faster-whisper, which is not installed.")


class WhisperProcess:
    """A `Transcriber`. `command` is for tests. Event loop only."""

    languages: tuple[str, ...] | None = None

    def __init__(
        self,
        model: WhisperModel,
        *,
        device: str = "auto",
        command: Sequence[str] | None = None,
        load_s: float | None = None,
        least_s: float = LEAST_S,
    ) -> None:
        self._name = model.name
        self._given = command is not None
        self._command = [*(command or _worker_command(model, device))]
        self._load_s = load_s or (LOAD_S if model.is_folder else HUB_LOAD_S)
        self._least_s = least_s
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asked = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        async with self._turn:
            await self._ready()

    async def transcribe(self, samples: F32, *, languages: Sequence[str] = ()) -> Transcript:
        async with self._turn:
            process = await self._ready()
            within_s = self._least_s + TIMES_SPOKEN * len(samples) / SAMPLE_RATE
            try:
                async with asyncio.timeout(within_s):
                    reply = await self._ask(process, samples, languages)
            except TimeoutError:
                await self._kill()
                raise VoiceError(
                    f"The transcriber has not answered for {within_s:.0f} s and is started again."
                ) from None
            except asyncio.CancelledError:
                await asyncio.shield(self._kill())  # its reply would be taken for the next one's
                raise
            except (OSError, ValueError, KeyError, asyncio.IncompleteReadError) as error:
                await self._kill()
                raise VoiceError("The transcriber has crashed and is started again.") from error
        if "error" in reply:
            raise VoiceError(f"The transcriber failed: {reply['message'] or reply['error']}")
        return Transcript(
            str(reply["text"]).strip(), reply["language"], reply["no_speech"], reply["log_probability"],
            reply["compression"],
        )  # fmt: skip

    async def close(self) -> None:
        await self._kill()

    async def _ready(self) -> asyncio.subprocess.Process:
        """The process with its model loaded."""
        process = self._process
        if process is not None and process.returncode is None:
            return process
        if not self._given:
            check_installed()
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, limit=LINE_BYTES, cwd=Path(agent.__file__).parents[1],
            # OpenMP's threads would spin for a while after each piece of work.
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._load_s):
                reply = await _line(process)
        except TimeoutError:
            await self._kill()
            raise VoiceError(f"The speech model {self._name} was not ready in {self._load_s:.0f} s.") from None
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            await self._kill()
            raise VoiceError(f"The speech model {self._name} could not be started.") from error
        except asyncio.CancelledError:
            await asyncio.shield(self._kill())
            raise
        if not reply.get("ready"):
            await self._kill()
            raise _explained(self._name, reply)
        if reply.get("note"):
            log.warning("%s", reply["note"])
        self.languages = tuple(reply["languages"]) if len(reply["languages"]) < 10 else None
        return process

    async def _ask(self, process: asyncio.subprocess.Process, samples: F32, languages: Sequence[str]) -> dict[str, Any]:
        assert process.stdin is not None
        data = samples.astype("<f4").tobytes()
        self._asked += 1
        request = {"id": self._asked, "bytes": len(data), "languages": list(languages)}
        process.stdin.write(json.dumps(request).encode() + b"\n" + data)
        await process.stdin.drain()
        reply = await _line(process)
        if reply.get("id") != self._asked:
            raise ValueError("a reply to something else")
        return reply

    async def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _line(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line.endswith(b"\n"):
        raise asyncio.IncompleteReadError(line, None)
    reply = json.loads(line)
    if not isinstance(reply, dict):
        raise ValueError("a reply that is none")
    return reply


def _worker_command(model: WhisperModel, device: str) -> list[str]:
    threads = max(1, min(4, (os.cpu_count() or 2) - 1))
    return [
        sys.executable, "-m", "agent.speech.whisper_worker", "--model", model.source, "--device", device,
        "--threads", str(threads),
    ]  # fmt: skip


def _explained(name: str, reply: dict[str, Any]) -> VoiceError:
    if reply.get("error") == "ModuleNotFoundError":
        return VoiceMissing(f"Speech needs a package that is not installed: {reply.get('message')}.")
    error = VoiceError(
        f"The speech model {name} cannot be loaded: {reply.get('message')}",
        action="Name another with --voice, or run: onlooker models fetch voice.",
    )
    error.retryable = False
    return error
