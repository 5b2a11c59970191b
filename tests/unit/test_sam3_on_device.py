"""The sam3 engine on frames of a device does what it does on frames of the host, and brings none of them there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stream.engines.grid import Grid, shrink
from stream.engines.sam3.engine import Sam3Engine
from stream.engines.sam3.network import Network
from stream.engines.sam3.preprocess import Preprocessor, shrunk
from stream.engines.sam3.prompts import PlaceHistory
from stream.surfaces import DeviceFrame, Planes, SurfacePool
from stream.types import Frame, FrameRef, Point, Prompt, PromptKind, TrackUpdate
from tests.barcode import picture
from tests.sam3_shaped import sees_one_thing
from tests.sam3_stock import LetterTokens
from tests.stand_in_device import StandInDevice

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH, HEIGHT = 320, 240
CPU = torch.device("cpu")


def host_frame(index: int) -> Frame:
    rgb = picture(index, WIDTH, HEIGHT)
    luma = np.ascontiguousarray(rgb[..., 0])
    chroma = np.full((HEIGHT // 2, WIDTH // 2, 2), 128, np.uint8)
    chroma[40:80, 40:100] = (90, 170)
    return Frame(index, 1, index * 3000, index * 3000, None, index / 30, index / 30, luma, chroma)


class There:
    """Frames on the stand-in."""

    def __init__(self) -> None:
        self.device = StandInDevice()
        self.pool = SurfacePool(self.device)

    def frame(self, index: int) -> DeviceFrame:
        frame = host_frame(index)
        surface = self.pool.fill(Planes(frame.y, frame.uv))
        assert surface is not None, "a frame was kept"
        made = DeviceFrame(
            index, 1, frame.pts, frame.rtp, None, frame.received_s, frame.decoded_s, colour=frame.colour,
            surface=surface,
        )  # fmt: skip
        assert isinstance(made, DeviceFrame)
        return made


def test_the_models_input_is_the_same() -> None:
    there, prepare = There(), Preprocessor(112, device=CPU, dtype=torch.float32)
    assert torch.equal(prepare([there.frame(3)]), prepare([host_frame(3)]))
    assert there.device.reads == 0


def test_the_small_picture_is_that_of_the_host() -> None:
    grid = Grid.of(WIDTH, HEIGHT)
    frame = host_frame(3)
    y, uv = shrunk(There().frame(3), (grid.flow[0] // 2, grid.flow[1] // 2))
    width, height = grid.flow[0] // 2, grid.flow[1] // 2
    assert np.abs(y.numpy().astype(int) - shrink(frame.y, (width, height))).max() <= 1
    assert np.abs(uv.numpy().astype(int) - shrink(frame.uv, (width // 2, height // 2))).max() <= 1


def test_places_are_carried_forward_as_on_the_host() -> None:
    ours, theirs, there = PlaceHistory(1.5), PlaceHistory(1.5), There()
    prompt = Prompt(1, PromptKind.POINTS, points=(Point(160.0, 120.0),), frame=FrameRef(1, 20 * 3000))
    for index in range(70):
        ours.push(there.frame(index), index / 30)
        theirs.push(host_frame(index), index / 30)
        if index == 24:
            found = [history.present(history.request(prompt)) for history in (ours, theirs)]
            assert found[0] is not None
            assert found[1] is not None
            (mine,), (other,) = found[0].points, found[1].points
            assert (mine.x_px, mine.y_px) == pytest.approx((other.x_px, other.y_px), abs=1.0)
    assert ours.size == theirs.size == (WIDTH, HEIGHT)
    assert len(ours._there) <= 46
    assert there.device.reads == 0


def test_it_follows_the_same_and_looks_at_no_frame_on_the_host() -> None:
    there, made = There(), []
    for frame_of in (host_frame, there.frame):
        model = sees_one_thing()
        engine = Sam3Engine.of(Network(model, device=CPU, dtype=next(model.parameters()).dtype), LetterTokens())
        tracker = engine.open_tracker()
        tracker.add_prompt(Prompt(1, PromptKind.TEXT, text="cup, dog"))
        updates = []
        for index in range(12):
            if index == 3:
                box = 0.2 * WIDTH, 0.2 * HEIGHT, 0.8 * WIDTH, 0.8 * HEIGHT
                tracker.add_prompt(Prompt(2, PromptKind.BOX, box_xyxy_px=box))
            (update,) = engine.step([(tracker, frame_of(index))])
            assert isinstance(update, TrackUpdate), update
            updates.append([(track.id, track.state, track.box_xyxy_px, track.mask) for track in update.tracks])
        made.append(updates)
    assert made[0] == made[1]
    assert len(made[0][-1]) >= 2
    assert there.device.reads == 0
    assert there.pool.in_use <= 2
