"""An engine that knows the truth, and spoils it in a chosen way: it shows that the harness sees what it should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import rlemasklib

from stream.engines.base import Note, StepError, Tracker
from stream.types import Frame, Prompt, PromptChange, PromptKind, PromptState, Rle, Track, TrackState, TrackUpdate
from tests.quality.metrics import Mask
from tests.quality.scenes import Scene, box_of

Fault = Literal["none", "swap", "ghost", "lag", "new id", "part", "stale click"]


def encode(mask: Mask) -> Rle:
    """COCO's compressed RLE of an `(H, W)` bool mask."""
    rle = rlemasklib.encode(np.ascontiguousarray(mask, dtype=np.uint8))
    return Rle((int(rle["size"][0]), int(rle["size"][1])), rle["counts"].decode())


class OracleTracker(Tracker):
    """Follows each prompt's identity by the truth of `scene`, from the frame after the prompt on."""

    def __init__(self, scene: Scene, fault: Fault) -> None:
        self._scene = scene
        self._fault = fault
        self._prompts: dict[int, int] = {}
        self._new_ids: dict[int, int] = {}
        self._held: dict[int, Mask] = {}
        self._stale: dict[int, Mask] = {}

    @property
    def busy(self) -> bool:
        return False

    def add_prompt(self, prompt: Prompt) -> PromptChange:
        ask = self._scene.asks[prompt.id - 1]
        self._prompts[prompt.id] = ask.identity
        self._stale[prompt.id] = self._scene.truth(ask.seen).masks[ask.identity]
        return PromptChange(prompt.id, PromptState.ACTIVE, track_ids=(prompt.id,))

    def remove_prompt(self, prompt_id: int) -> None:
        self._prompts.pop(prompt_id, None)

    def restore_prompt(self, prompt: Prompt) -> None:
        raise NotImplementedError

    def remove_track(self, track_id: int) -> None:
        raise NotImplementedError

    def restore_track(self, track_id: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._prompts.clear()

    def step(self, frame: Frame) -> TrackUpdate:
        """The truth of this frame, or what the fault makes of it."""
        lag = 1 if self._fault == "lag" else 0
        truth = self._scene.truth(max(0, frame.index - lag)).masks
        tracks = []
        for prompt_id, identity in self._prompts.items():
            mask = truth.get(identity)
            if self._fault == "stale click":
                mask = self._stale[prompt_id]
            if mask is None and self._fault == "ghost":
                mask = self._held.get(identity)
            if mask is None:
                self._new_ids[identity] = self._new_ids.get(identity, 0) + 100 * (identity in self._held)
                self._held.pop(identity, None)
                continue
            self._held[identity] = mask
            tracks.append(self._track(prompt_id, identity, self._part(mask), frame))
        return TrackUpdate.of(frame, tuple(tracks))

    def _track(self, prompt_id: int, identity: int, mask: Mask, frame: Frame) -> Track:
        track_id = prompt_id
        if self._fault == "new id":
            track_id += self._new_ids.get(identity, 0)
        if self._fault == "swap" and frame.index >= self._scene.frames // 2:
            track_id = {1: 2, 2: 1}.get(prompt_id, prompt_id)
        return Track(track_id, "", 1.0, box_of(mask), encode(mask), TrackState.LIVE, track_id % 100, 0.0)

    def _part(self, mask: Mask) -> Mask:
        if self._fault != "part":
            return mask
        kept = mask.copy()
        kept[int(np.mean(np.flatnonzero(mask.any(1)))) :] = False
        return kept if kept.any() else mask


class OracleEngine:
    """An `Engine` over one scene. With no fault it is perfect."""

    name = "oracle"
    device = "cpu"
    kinds = frozenset(PromptKind)
    words: tuple[str, ...] | None = None
    notes: tuple[Note, ...] = ()
    max_batch = 1
    counters: Mapping[str, int] = MappingProxyType({})

    def __init__(self, scene: Scene, fault: Fault = "none") -> None:
        self._scene = scene
        self._fault = fault

    def open_tracker(self, first_track_id: int = 1) -> Tracker:
        assert first_track_id == 1
        return OracleTracker(self._scene, self._fault)

    def step(self, batch: Sequence[tuple[Tracker, Frame]]) -> list[TrackUpdate | StepError]:
        updates: list[TrackUpdate | StepError] = []
        for tracker, frame in batch:
            assert isinstance(tracker, OracleTracker)
            updates.append(tracker.step(frame))
        return updates

    def close(self) -> None:
        pass
