"""Sources looked at for a client before it keeps them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from stream.config import SourcesConfig
from stream.errors import LimitReached
from stream.feed_config import CAMERAS, FeedConfig
from stream.sources.demo import CLIP
from stream.sources.faults import silent
from stream.sources.folder import first_video
from stream.sources.probe import Found, look_at_camera, look_at_file
from web.api.feed_shapes import NewSource
from web.sources import camera_of, client_policy, feed_of

MOST_S = 15.0
MOST_AT_ONCE = 4


class Prober:
    """A few at once: each holds a thread and a connection for some seconds."""

    def __init__(self, sources: SourcesConfig) -> None:
        self._sources = sources
        self._running = 0

    async def probe(self, wanted: NewSource) -> dict[str, Any]:
        """A body of `Probed`. Raises `OnlookerError` that says why there is no video, or `LimitReached`."""
        feed = feed_of(wanted, "probe", self._sources)
        look = self._looking(feed)
        if self._running >= MOST_AT_ONCE:
            raise LimitReached("Other cameras are being looked at.", code="busy", action="Try again in a moment.")
        self._running += 1
        try:
            async with asyncio.timeout(MOST_S):
                return body_of(await asyncio.to_thread(look))
        except TimeoutError:
            raise silent("The camera") from None
        finally:
            self._running -= 1

    def _looking(self, feed: FeedConfig) -> Callable[[], Found]:
        if feed.kind in CAMERAS:
            camera = camera_of(feed, client_policy(self._sources))
            return lambda: look_at_camera(camera)
        path = CLIP if feed.kind == "demo" else feed.path
        assert path is not None
        if feed.kind == "folder":
            return lambda: look_at_file(first_video(path))
        return lambda: look_at_file(path)


def body_of(found: Found) -> dict[str, Any]:
    snapshot = None if found.jpeg is None else "data:image/jpeg;base64," + base64.b64encode(found.jpeg).decode()
    return {
        "codecs": list(found.codecs),
        "width": found.width,
        "height": found.height,
        "fps": found.fps,
        "audio": found.audio,
        "snapshot": snapshot,
        "note": found.note,
    }
