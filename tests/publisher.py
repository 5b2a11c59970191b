"""A WHIP publisher in a process of its own: a clip's packets, sent at the camera's pace, never encoded again.

    python -m tests.publisher http://127.0.0.1:8000/whip/cam clip.mp4 --seconds 20

Prints one JSON line when media flows and stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from fractions import Fraction
from pathlib import Path

import av
import httpx
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.bitstream import BitStreamFilterContext

from stream.aiortc_patches import gathering, install

MIME = {"h264": "video/H264", "vp8": "video/VP8"}


def read_packets(path: Path) -> tuple[str, list[bytes], float]:
    """A clip's codec name, its packets in decoding order (H.264 in Annex B form), and its rate in pictures a second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec, rate = stream.codec_context.name, float(stream.average_rate or 30)
        packets = [packet for packet in container.demux(stream) if packet.size]
        if codec == "h264" and path.suffix == ".mp4":
            to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
            packets = [out for packet in packets for out in to_annex_b.filter(packet)]
        return codec, [bytes(packet) for packet in packets], rate


class ClipTrack(MediaStreamTrack):
    """The packets of a clip in real time, over and over; each is stamped as it is sent."""

    kind = "video"

    def __init__(self, packets: list[bytes], rate: float, seconds: float) -> None:
        super().__init__()
        self._packets, self._rate, self._count = packets, rate, int(seconds * rate)
        self._sent = 0
        self._started_s = 0.0

    async def recv(self) -> av.Packet:
        if self._sent == 0:
            self._started_s = time.monotonic()
        if self._sent >= self._count:
            self.stop()
            raise MediaStreamError
        await asyncio.sleep(max(0.0, self._started_s + self._sent / self._rate - time.monotonic()))
        packet = av.Packet(self._packets[self._sent % len(self._packets)])
        packet.pts = round(self._sent * 90_000 / self._rate)
        packet.time_base = Fraction(1, 90_000)
        self._sent += 1
        return packet


async def publish(url: str, clip: Path, seconds: float, headers: dict[str, str] | None = None) -> None:
    codec, packets, rate = read_packets(clip)
    track = ClipTrack(packets, rate, seconds)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        transceiver = connection.addTransceiver(track, direction="sendonly")
        offered = RTCRtpSender.getCapabilities("video").codecs
        wanted = [one for one in offered if one.mimeType in (MIME[codec], "video/rtx")]
        transceiver.setCodecPreferences(wanted)
        await connection.setLocalDescription(await connection.createOffer())
        async with httpx.AsyncClient() as client:
            sdp_type = {"content-type": "application/sdp", **(headers or {})}
            answer = await client.post(url, content=connection.localDescription.sdp, headers=sdp_type)
            answer.raise_for_status()
            await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            print(json.dumps({"publishing": url, "codec": codec, "rate": rate}), flush=True)  # noqa: T201
            while track.readyState == "live" and connection.connectionState not in ("failed", "closed"):
                await asyncio.sleep(0.1)
            await client.delete(str(httpx.URL(url).join(answer.headers["location"])))
    finally:
        await connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    install()
    with gathering(("127.0.0.1",)):
        asyncio.run(publish(options.url, options.clip, options.seconds))


if __name__ == "__main__":
    main()
