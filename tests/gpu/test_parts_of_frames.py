"""Parts of frames in a GPU's memory: as the host makes them, and nothing else is copied."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from stream.surfaces import DeviceFrame, Planes, SurfacePool
from stream.types import Colour, Frame
from tests.kernels import pictures

SIZE = (720, 1280)
PARTS = (((0, 0, 1280, 720), (360, 640)), ((101, 33, 741, 699), (666, 640)), ((400, 200, 464, 270), (70, 64)))


def frames() -> tuple[DeviceFrame, Frame]:
    """The same picture on the device and on the host, the former filled on a thread as a decoder's."""
    from stream.gpu import TorchDevice

    made = pictures.nv12(*SIZE, 3)
    identity = 0, 1, 0, 0, None, 0.0, 0.0
    there: list[Frame] = []

    def fill() -> None:
        device = TorchDevice(0)
        device.bind()
        surface = SurfacePool(device).fill(Planes(made.y, made.uv))
        assert surface is not None
        there.append(DeviceFrame(*identity, colour=Colour("bt709"), surface=surface))

    thread = threading.Thread(target=fill)
    thread.start()
    thread.join()
    assert isinstance(there[0], DeviceFrame)
    return there[0], Frame(*identity, made.y, made.uv, Colour("bt709"))


def test_they_are_those_of_the_host(torch: Any) -> None:
    there, here = frames()
    for window, size in PARTS:
        made = there.cut(window, size)
        made[0, 0] = 0  # whoever asks may draw on it
        assert np.abs(made[1:].astype(int) - here.cut(window, size)[1:]).max() <= 4


def test_only_they_are_copied(torch: Any) -> None:
    there, _ = frames()
    there.cut(*PARTS[0])
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        for window, size in PARTS:
            there.cut(window, size)
    to_host = [event for event in profile.events() if "DtoH" in event.name]
    assert len(to_host) == len(PARTS)


def test_a_frame_that_is_kept_stays_on_the_device(torch: Any) -> None:
    there, here = frames()
    kept = there.kept()
    assert kept is there
    assert np.array_equal(kept.y, here.y)
