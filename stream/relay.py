"""Compressed pictures passed on to viewers; the current group is kept so that a newcomer starts at once."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from stream.types import EncodedFrame

MAX_GROUP_FRAMES = 90
MAX_GROUP_BYTES = 4 << 20
"""A longer group is not worth replaying: a newcomer waits for the keyframe that is asked for instead."""


class PacketViewer(Protocol):
    """Who takes compressed pictures in decoding order, from a keyframe on."""

    @property
    def id(self) -> str: ...

    @property
    def dropped(self) -> int: ...

    def push(self, frame: EncodedFrame) -> None: ...

    def restart(self) -> None:
        """Forget every picture that has not left yet, or is kept: none of them may leave. A keyframe comes next."""
        ...

    async def close(self) -> None: ...


class PacketTap(Protocol):
    """Who takes what viewers get, without being one: it asks for no keyframe and is not counted."""

    def push(self, frame: EncodedFrame) -> None: ...

    def clear(self) -> None:
        """What came before may no longer be seen by anybody."""
        ...


class PacketRelay:
    """The viewers of one stream. Event loop only."""

    def __init__(self) -> None:
        self._group: deque[EncodedFrame] = deque()
        self._group_bytes = 0
        self._viewers: dict[str, PacketViewer] = {}
        self._drops_of_gone = 0
        self._taps: list[PacketTap] = []

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    @property
    def drops(self) -> int:
        return self._drops_of_gone + sum(viewer.dropped for viewer in self._viewers.values())

    def push(self, frame: EncodedFrame) -> None:
        """Pass `frame` on to every viewer."""
        if frame.keyframe:
            self.reset()
        if frame.keyframe or self._group:
            self._group.append(frame)
            self._group_bytes += len(frame.data)
            if len(self._group) > MAX_GROUP_FRAMES or self._group_bytes > MAX_GROUP_BYTES:
                self.reset()
        for viewer in self._viewers.values():
            viewer.push(frame)
        for tap in self._taps:
            tap.push(frame)

    def reset(self) -> None:
        """Forget the group: what follows does not continue it."""
        self._group.clear()
        self._group_bytes = 0

    def tap(self, tap: PacketTap) -> None:
        """Give `tap` every picture from now on."""
        self._taps.append(tap)

    def restart(self) -> None:
        """Nothing of what came so far may leave any more, nor of what taps have kept; every viewer goes on with a
        keyframe."""
        self.reset()
        for viewer in self._viewers.values():
            viewer.restart()
        for tap in self._taps:
            tap.clear()

    def add(self, viewer: PacketViewer) -> bool:
        """Serve `viewer` from now on, the current group first. False when it must wait for a keyframe."""
        for frame in self._group:
            viewer.push(frame)
        self._viewers[viewer.id] = viewer
        return bool(self._group)

    def remove(self, viewer_id: str) -> PacketViewer | None:
        viewer = self._viewers.pop(viewer_id, None)
        if viewer is not None:
            self._drops_of_gone += viewer.dropped
        return viewer

    def get(self, viewer_id: str) -> PacketViewer | None:
        return self._viewers.get(viewer_id)

    async def close(self) -> None:
        """End every viewer."""
        for viewer in list(self._viewers.values()):
            self.remove(viewer.id)
            await viewer.close()
