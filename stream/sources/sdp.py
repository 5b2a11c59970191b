"""The few things that are changed or read in session descriptions (RFC 8866), as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stream.errors import BadInput

MAX_SDP_CHARS = 64 * 1024
START_KBPS, MIN_KBPS, MAX_KBPS = 3000, 1500, 6000
BITRATE_HINTS = f"x-google-start-bitrate={START_KBPS};x-google-min-bitrate={MIN_KBPS};x-google-max-bitrate={MAX_KBPS}"

_SECTION = re.compile(r"(?=^m=)", re.MULTILINE)
_MLINE = re.compile(r"m=(\w+) (\d+) ")
_RTPMAP = re.compile(r"^a=rtpmap:(\d+) ([\w.-]+)/\d+", re.MULTILINE)
_MID = re.compile(r"^a=mid:(\S+)", re.MULTILINE)
_DIRECTION = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of an offer. `codecs` are the encoding names in upper case, in the order of preference."""

    kind: str
    mid: str
    port: int
    direction: str
    codecs: tuple[str, ...]


def sections(sdp: str) -> list[Section]:
    """The media sections of `sdp`. Raises `BadInput` where it is not a session description at all."""
    head, *bodies = _SECTION.split(sdp)
    if len(sdp) > MAX_SDP_CHARS:
        raise BadInput("The session description is too large.", code="too_large", action="Send an SDP offer.")
    if not head.startswith("v=0") or not bodies:
        raise BadInput("This is not an SDP offer.", action="Send an SDP offer as application/sdp.")
    found = []
    for body in bodies:
        line = _MLINE.match(body)
        if line is None or line[1] not in ("audio", "video", "application"):
            raise BadInput("The SDP offer has an m= line that cannot be read.", action="Offer audio and video only.")
        direction = _DIRECTION.search(body) or _DIRECTION.search(head)
        codecs = tuple(name.upper() for _, name in _RTPMAP.findall(body))
        mid = _MID.search(body)
        found.append(
            Section(line[1], mid[1] if mid else "", int(line[2]), direction[1] if direction else "sendrecv", codecs)
        )
    return found


def without_names(sdp: str) -> str:
    """`sdp` without mDNS candidates and without the end of candidates, with lines ended by CRLF.

    An agent that is left with unresolvable `.local` candidates alone, and told that no others follow, gives up at once;
    without them it waits for the peer's own checks.
    """
    kept = []
    for line in sdp.splitlines():
        if line.startswith("a=end-of-candidates"):
            continue
        if line.startswith("a=candidate:") and ".local " in line:
            continue
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def with_bitrate_hints(sdp: str) -> str:
    """An answer that tells libwebrtc's senders to start at a usable bitrate, which they read from the fmtp lines.

    Without transport-wide feedback they start at 300 kbit/s otherwise and take a quarter of a minute to reach 720p.
    """
    return "".join(_hinted(section) if section.startswith("m=video") else section for section in _SECTION.split(sdp))


def _hinted(section: str) -> str:
    formats = {number for number, name in _RTPMAP.findall(section) if name.upper() != "RTX"}
    described = set(re.findall(r"^a=fmtp:(\d+) ", section, re.MULTILINE))
    lines = []
    for line in section.splitlines():
        rtpmap, fmtp = _RTPMAP.match(line), re.match(r"a=fmtp:(\d+) ", line)
        lines.append(f"{line};{BITRATE_HINTS}" if fmtp and fmtp[1] in formats else line)
        if rtpmap and rtpmap[1] in formats - described:
            lines.append(f"a=fmtp:{rtpmap[1]} {BITRATE_HINTS}")
    return "\r\n".join(lines) + "\r\n"
