"""What can be read from compressed pictures without decoding them: keyframes, sizes, parameter sets.

VP8 is RFC 6386, section 9.1; H.264 is ITU-T H.264, section 7.3.1 and annex B.
"""

from __future__ import annotations

from collections.abc import Iterator

from stream.types import Codec

NAL_IDR = 5
NAL_SPS = 7
NAL_PPS = 8
LAST_SLICE_TYPE = 5
"""NAL unit types 1 to 5 carry picture data."""

VP8_START_CODE = b"\x9d\x01\x2a"


def nal_units(data: bytes) -> Iterator[tuple[int, int, int]]:
    """`(type, start, end)` of each NAL unit of an Annex B access unit; `data[start:end]` includes the start code."""
    found = data.find(b"\x00\x00\x01")
    while found >= 0:
        start = found - 1 if found > 0 and data[found - 1] == 0 else found
        header = found + 3
        if header >= len(data):
            return
        found = data.find(b"\x00\x00\x01", header)
        end = len(data) if found < 0 else found - (data[found - 1] == 0)
        yield data[header] & 0x1F, start, end


def is_keyframe(codec: Codec, data: bytes) -> bool:
    """Whether decoding can start at this picture. False for anything that does not parse."""
    if codec == "VP8":
        return len(data) >= 10 and data[0] & 1 == 0 and data[3:6] == VP8_START_CODE
    for kind, _, _ in nal_units(data):
        if 1 <= kind <= LAST_SLICE_TYPE:
            return kind == NAL_IDR
    return False


def starts_picture(codec: Codec, data: bytes) -> bool:
    """Whether `data`, the first bytes at hand of a picture, are surely its beginning and may be that of a keyframe."""
    if codec == "VP8":
        return is_keyframe(codec, data)
    first = next(nal_units(data), None)
    return first is not None and first[1] == 0 and first[0] > LAST_SLICE_TYPE


def vp8_size(data: bytes) -> tuple[int, int] | None:
    """`(width, height)` that a VP8 keyframe announces; None for any other picture."""
    if not is_keyframe("VP8", data):
        return None
    return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF


class ParameterSets:
    """Remembers an H.264 stream's parameter sets and puts them before each IDR picture that lacks its own."""

    def __init__(self) -> None:
        self._held: dict[int, bytes] = {}

    def complete(self, data: bytes) -> bytes:
        """`data` with parameter sets in front if it is an IDR access unit without them."""
        sets: dict[int, bytes] = {}
        for kind, start, end in nal_units(data):
            if 1 <= kind <= LAST_SLICE_TYPE:
                self._held.update(sets)
                if kind != NAL_IDR:
                    return data
                lacking = [self._held[wanted] for wanted in (NAL_SPS, NAL_PPS) if wanted in self._held.keys() - sets]
                return b"".join((*lacking, data)) if lacking else data
            if kind in (NAL_SPS, NAL_PPS):
                sets[kind] = sets.get(kind, b"") + data[start:end]
        self._held.update(sets)
        return data
