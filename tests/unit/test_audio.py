"""A microphone's packets in order, decoded and brought to 16 kHz mono, whatever was lost on the way."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from av import AudioCodecContext
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream.audio import FILLED_S, SAMPLE_RATE, AudioCodec, AudioPacket, PacketOrder, SpeechDecoder

F32 = NDArray[np.float32]
FRAME_S = 0.02


def packets(
    codec: AudioCodec, seconds: float = 1.0, *, left_only: bool = False, hz: float = 440.0
) -> list[AudioPacket]:
    """A tone of half the full level."""
    rate = 48_000 if codec == "OPUS" else 8_000
    encoder: AudioCodecContext = av.CodecContext.create(
        {"OPUS": "libopus", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}[codec], "w"
    )
    encoder.sample_rate, encoder.format = rate, "s16"
    encoder.layout, encoder.time_base = ("stereo" if codec == "OPUS" else "mono"), Fraction(1, rate)
    count, made = round(rate * FRAME_S), []
    for number in range(round(seconds / FRAME_S)):
        ticks = np.arange(number * count, (number + 1) * count)
        tone = (0.5 * np.sin(2 * np.pi * 440 * ticks / rate) * 32767).astype(np.int16)
        pcm = np.stack([tone, tone * (not left_only)], axis=1).reshape(1, -1) if codec == "OPUS" else tone[None]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout=encoder.layout.name)
        frame.sample_rate, frame.pts = rate, number * count
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return [AudioPacket((65_530 + n) & 0xFFFF, (2**32 - 500 + n * count) & 0xFFFFFFFF, codec, data)
            for n, data in enumerate(made)]  # fmt: skip


def decoded(sent: list[AudioPacket]) -> tuple[F32, SpeechDecoder]:
    order, decoder = PacketOrder(), SpeechDecoder()
    pieces = [decoder.decode(due) for packet in sent for due in order.push(packet)]
    return np.concatenate(pieces), decoder


def level(samples: F32) -> float:
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    return float(np.sqrt(np.square(middle).mean()))


def pitch_hz(samples: F32) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


@pytest.mark.parametrize("codec", ["OPUS", "PCMU", "PCMA"])
def test_every_codec_becomes_16_khz_mono(codec: AudioCodec) -> None:
    samples, decoder = decoded(packets(codec))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(SAMPLE_RATE, rel=0.03)
    assert pitch_hz(samples) == pytest.approx(440, abs=5)
    assert level(samples) == pytest.approx(0.5 / np.sqrt(2), rel=0.06)
    assert decoder.bad == 0


def test_one_channel_of_two_is_heard() -> None:
    samples, _ = decoded(packets("OPUS", left_only=True))
    assert level(samples) > 0.15
    assert pitch_hz(samples) == pytest.approx(440, abs=5)


def test_lost_packets_cost_their_own_sound_and_no_more() -> None:
    sent = packets("OPUS", 10.0)
    chance = random.Random(1)
    kept = [packet for packet in sent if chance.random() >= 0.05]
    samples, decoder = decoded(kept)
    whole, _ = decoded(sent)
    lost_s = (len(sent) - len(kept)) * FRAME_S
    assert decoder.lost_s == pytest.approx(lost_s, abs=3 * FRAME_S)
    assert len(samples) == pytest.approx(len(whole), abs=5 * FRAME_S * SAMPLE_RATE)
    assert level(samples) == pytest.approx(level(whole), rel=0.1)


def test_a_hole_fades_to_silence_and_is_not_filled_without_end() -> None:
    sent = packets("OPUS", 4.0)
    hole = [packet for number, packet in enumerate(sent) if not 50 <= number < 175]
    samples, decoder = decoded(hole)
    assert decoder.lost_s == pytest.approx(2.5)
    assert len(samples) / SAMPLE_RATE == pytest.approx(1.5 + FILLED_S, abs=0.1)
    silent = samples[round(1.2 * SAMPLE_RATE) : round(1.9 * SAMPLE_RATE)]
    assert not silent.any()


def test_garbage_is_counted_and_good_sound_goes_on() -> None:
    sent = packets("OPUS", 1.0)
    decoder = SpeechDecoder()
    for packet in sent[:10]:
        decoder.decode(packet)
    for number in range(20):
        assert not len(decoder.decode(AudioPacket(number, number, "OPUS", b"\xff" * 3)))
    assert not len(decoder.decode(AudioPacket(0, 0, "OPUS", b"")))
    assert decoder.bad > 0
    assert len(decoder.decode(sent[10]))
    assert decoder.bad == 0


def test_another_codec_in_the_middle() -> None:
    later = [replace(packet, sequence=(packet.sequence + 25) & 0xFFFF) for packet in packets("PCMU", 0.5)]
    samples, _ = decoded(packets("OPUS", 0.5) + later)
    assert len(samples) == pytest.approx(SAMPLE_RATE, rel=0.05)


@given(st.integers(0, 65_535), st.randoms(use_true_random=False), st.integers(1, 200))
def test_packets_leave_in_order_and_once(first: int, chance: random.Random, count: int) -> None:
    sent = [AudioPacket((first + n) & 0xFFFF, n, "PCMU", b"") for n in range(count)]
    arriving = [packet for packet in sent if chance.random() > 0.1]
    keys = {id(packet): number + chance.uniform(0, 3) for number, packet in enumerate(arriving)}
    arriving = sorted(arriving + chance.sample(arriving, len(arriving) // 5), key=lambda packet: keys[id(packet)])
    order = PacketOrder()
    left = [due.timestamp for packet in arriving for due in order.push(packet)]
    assert left == sorted(set(left))
    assert len(left) + order.late <= len(arriving)


def test_a_sender_that_begins_again_is_followed() -> None:
    order = PacketOrder()
    order.push(AudioPacket(100, 0, "PCMU", b""))
    assert [due.sequence for due in order.push(AudioPacket(40_000, 0, "PCMU", b""))] == [40_000]
    assert [due.sequence for due in order.push(AudioPacket(40_001, 0, "PCMU", b""))] == [40_001]
