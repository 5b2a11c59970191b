"""Offers are read and answers changed as text, without touching anything else."""

from __future__ import annotations

import pytest

from stream.errors import BadInput
from stream.sources.sdp import MAX_SDP_CHARS, Section, sections, with_bitrate_hints, without_names

HEAD = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111",
    "a=mid:0",
    "a=sendonly",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 useinbandfec=1",
]
VIDEO = [
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97 102", "a=mid:1", "a=recvonly",
    "a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
    "a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f",
]  # fmt: skip


def text(*lines: str, end: str = "\r\n") -> str:
    return end.join(lines) + end


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_sections_are_read_with_either_line_ending(end: str) -> None:
    assert sections(text(*HEAD, *AUDIO, *VIDEO, end=end)) == [
        Section("audio", "0", 9, "sendonly", ("OPUS",)),
        Section("video", "1", 9, "recvonly", ("VP8", "RTX", "H264")),
    ]


def test_the_direction_may_stand_at_the_session_and_is_both_ways_otherwise() -> None:
    media = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=rtpmap:96 VP8/90000"]
    assert sections(text(*HEAD, "a=sendonly", *media))[0].direction == "sendonly"
    assert sections(text(*HEAD, *media))[0].direction == "sendrecv"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "hello",
        text(*HEAD),
        text(*HEAD, "m=video"),
        text(*HEAD, *VIDEO, "m=text 9 RTP/AVP 98"),
        "v=0\r\n" + "a" * MAX_SDP_CHARS,
    ],
)
def test_what_is_no_offer_is_said_to_be_none(bad: str) -> None:
    with pytest.raises(BadInput):
        sections(bad)


def test_names_and_the_end_of_candidates_go_and_addresses_stay() -> None:
    address = "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host"
    name = "a=candidate:2 1 udp 2113937151 9b1c7c62-0f6f-4f9c-9f2f-3d1f0e2a7b11.local 50001 typ host"
    changed = without_names(text(*HEAD, *VIDEO, address, name, "a=end-of-candidates", "a=ice-ufrag:x", end="\n"))
    assert changed == text(*HEAD, *VIDEO, address, "a=ice-ufrag:x")


def test_hints_go_to_every_video_codec_but_not_to_retransmission_or_audio() -> None:
    lines = with_bitrate_hints(text(*HEAD, *AUDIO, *VIDEO)).splitlines()
    hints = "x-google-start-bitrate=3000;x-google-min-bitrate=1500;x-google-max-bitrate=6000"
    assert [line for line in lines if line.startswith("a=fmtp")] == [
        "a=fmtp:111 useinbandfec=1",
        f"a=fmtp:96 {hints}",
        "a=fmtp:97 apt=96",
        f"a=fmtp:102 packetization-mode=1;profile-level-id=42e01f;{hints}",
    ]
    assert [line for line in lines if hints not in line] + [f"a=fmtp:102 {VIDEO[-1][11:]}"] == [
        *HEAD, *AUDIO, *VIDEO,
    ]  # fmt: skip
