"""Keyframes, sizes and parameter sets are read from compressed pictures of real encoders."""

from __future__ import annotations

import pytest

from stream.bitstream import ParameterSets, is_keyframe, nal_units, starts_picture, vp8_size
from stream.types import Codec
from tests.encoding import encoded_frames

SPS, PPS, IDR, SLICE = b"\x00\x00\x00\x01\x67a", b"\x00\x00\x01\x68b", b"\x00\x00\x00\x01\x65c", b"\x00\x00\x01\x41d"


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_keyframes_of_real_encoders_are_known(codec: Codec) -> None:
    frames = encoded_frames(codec, range(8), keyframes=[5])
    assert [is_keyframe(codec, frame.data) for frame in frames] == [place in (0, 5) for place in range(8)]
    assert [starts_picture(codec, frame.data) for frame in frames[:2]] == [True, False]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00\x01", bytes(50), b"\xff" * 50])
def test_garbage_is_no_keyframe(codec: Codec, data: bytes) -> None:
    assert not is_keyframe(codec, data)
    assert not starts_picture(codec, data)
    assert vp8_size(data) is None


def test_a_vp8_keyframe_tells_its_size() -> None:
    key, delta = encoded_frames("VP8", range(2), size=(322, 242))
    assert vp8_size(key.data) == (322, 242)
    assert vp8_size(delta.data) is None


def test_nal_units_are_found_with_both_start_codes() -> None:
    data = SPS + PPS + IDR
    assert [(kind, data[start:end]) for kind, start, end in nal_units(data)] == [(7, SPS), (8, PPS), (5, IDR)]


def test_a_keyframe_without_parameter_sets_gets_the_last_ones() -> None:
    sets = ParameterSets()
    assert sets.complete(IDR) == IDR
    assert sets.complete(SPS + PPS + IDR) == SPS + PPS + IDR
    assert sets.complete(SLICE) == SLICE
    assert sets.complete(IDR) == SPS + PPS + IDR
    newer = SPS + b"2"
    assert sets.complete(newer + IDR) == PPS + newer + IDR
    assert sets.complete(IDR) == newer + PPS + IDR


def test_parameter_sets_that_come_alone_are_kept() -> None:
    sets = ParameterSets()
    assert sets.complete(SPS + PPS) == SPS + PPS
    assert sets.complete(IDR) == SPS + PPS + IDR
