"""A client that speaks: an audio-only WebRTC session on aiortc, beside a websocket."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av
import httpx
import numpy as np
from aiortc import RTCRtpSender
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from websockets.asyncio.client import ClientConnection

from tests.peers import Peer
from tests.speech import F32

FRAME_S = 0.02


class Voice(MediaStreamTrack):
    """Says what it is given, in real time, and is silent otherwise. `stereo`: on the left alone."""

    kind = "audio"

    def __init__(self, rate: int = 48_000, *, stereo: bool = False, pace: float = 1.0) -> None:
        super().__init__()
        self._rate, self._stereo, self._pace = rate, stereo, pace
        self._said = np.zeros(0, np.float32)
        self._sent = 0
        self._start_s = 0.0
        self.silent = asyncio.Event()
        self.silent.set()

    def say(self, samples: F32) -> None:
        """`(n,)` float32 at this voice's rate."""
        self._said = np.concatenate([self._said, samples])
        self.silent.clear()

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        count = round(self._rate * FRAME_S)
        self._start_s = self._start_s or time.monotonic()
        due_s = self._start_s + self._sent / self._rate / self._pace
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        piece, self._said = self._said[:count], self._said[count:]
        if not len(self._said):
            self.silent.set()
        samples = np.zeros(count, np.float32)
        samples[: len(piece)] = piece
        pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
        if self._stereo:
            pcm = np.stack([pcm, np.zeros_like(pcm)], axis=1).reshape(-1)
        frame = av.AudioFrame.from_ndarray(pcm[None], format="s16", layout="stereo" if self._stereo else "mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._sent, Fraction(1, self._rate)
        self._sent += count
        return frame


class SpeakingPeer(Peer):
    """Offers a voice as `codec` alone. `lose` tells of each packet's number whether it is lost on the way."""

    def __init__(self, voice: Voice, codec: str = "opus", lose: Callable[[int], bool] | None = None) -> None:
        super().__init__()
        transceiver = self.connection.addTransceiver(voice, "sendonly")
        offered = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([found for found in offered if found.mimeType.lower() == f"audio/{codec}"])
        if lose is not None:
            self._lose(transceiver.sender, lose)

    @staticmethod
    def _lose(sender: RTCRtpSender, lose: Callable[[int], bool]) -> None:
        transport, count = sender.transport, iter(range(10**9))
        send = transport._send_rtp

        async def losing(data: bytes) -> None:
            is_rtcp = 64 <= data[1] & 0x7F < 96
            if is_rtcp or not lose(next(count)):
                await send(data)

        transport._send_rtp = losing  # type: ignore[method-assign]


class Speaker:
    """One client: its websocket, its microphone session and what it hears about it."""

    def __init__(self, http: httpx.AsyncClient, live: ClientConnection) -> None:
        self._http = http
        self.live = live
        self.messages: list[dict[str, Any]] = []
        self.times_s: list[float] = []
        self.hello: dict[str, Any] = {}
        self.peer: SpeakingPeer | None = None
        self.location = ""
        self._refs = 0

    async def connect(self, voice: Voice, **options: Any) -> None:
        """Open the microphone session and wait until it is there."""
        if not self.hello:
            await self.until("hello")
        self.peer = SpeakingPeer(voice, **options)
        headers = {"content-type": "application/sdp"}
        reply = await self._http.post(self.hello["microphone"], content=await self.peer.offer(), headers=headers)
        assert reply.status_code == 201, reply.text
        self.location = reply.headers["location"]
        await self.peer.take(reply.text)
        await self.until("speech", state={"idle", "listening"})

    async def send(self, kind: str, **values: Any) -> dict[str, Any]:
        """Send a message; its `ok` or `error`."""
        self._refs += 1
        ref = f"r{self._refs}"
        await self.live.send(json.dumps({"type": kind, "ref": ref, **values}))
        while True:
            message = await self._next(20)
            if message.get("ref") == ref and message["type"] in ("ok", "error"):
                return message

    async def until(self, kind: str, within_s: float = 30.0, **wanted: Any) -> dict[str, Any]:
        """The next message of that type with these values, a set standing for any of its own."""
        async with asyncio.timeout(within_s):
            while True:
                message = await self._next(within_s)
                if message["type"] == kind and all(_is(message.get(key), value) for key, value in wanted.items()):
                    return message

    async def ask(self, voice: Voice, samples: F32, within_s: float = 40.0, **about: Any) -> dict[str, Any]:
        """Hold the key, speak, let go; what was heard."""
        assert (await self.send("talk", on=True))["type"] == "ok"
        await self.until("speech", state="hearing")
        voice.say(samples)
        await voice.silent.wait()
        assert (await self.send("talk", on=False, **about))["type"] == "ok"
        return await self.until("heard", within_s)

    async def close(self) -> None:
        if self.peer is not None:
            await self.peer.close()

    async def _next(self, within_s: float) -> dict[str, Any]:
        async with asyncio.timeout(within_s):
            message: dict[str, Any] = json.loads(await self.live.recv())
        if message["type"] == "hello":
            self.hello = message
        if message["type"] not in ("tracks", "status"):
            self.messages.append(message)
            self.times_s.append(time.monotonic())
        return message


def _is(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, set) else value == wanted
