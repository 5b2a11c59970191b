"""The questions to NVDEC are asked of the stand-in: what is asked works, before there is a GPU to answer."""

from __future__ import annotations

from tests.gpu.decoding import changes, delay, upload
from tests.stand_in_device import StandInHardware


def test_each_codec_is_asked_for_its_delay() -> None:
    whole = {"held_back": 0, "pictures": 30}
    assert delay(StandInHardware().hardware()) == {"H264": whole, "VP8": whole}


def test_changes_of_size_and_broken_pictures_are_survived() -> None:
    found = changes(StandInHardware().hardware())
    assert len(found) == 4
    for answer in found.values():
        assert answer["by"] == "stand-in decoder"
        assert answer["kinds"] == ["DeviceFrame"]
    assert all(found[f"{codec} size"]["right"] for codec in ("H264", "VP8"))


def test_copies_there_and_back_are_timed() -> None:
    answer = upload(StandInHardware().hardware())["answer"]
    assert answer.keys() == {"upload_ms", "part_ms", "keyframe_ms", "download_ms"}


def test_a_fault_is_an_answer() -> None:
    stand_in = StandInHardware(opens=False)
    assert delay(stand_in.hardware())["H264"] == "DeviceError: no decoder of this kind"
