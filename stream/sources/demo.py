"""The packaged demo clip as a camera."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from stream.sources.file import FileSource

CLIP = Path(str(resources.files("stream"))) / "data" / "walking.mp4"


def demo_source() -> FileSource:
    """People walking across a yard: 27 s, 768x576 at 10 frames a second, H.264 with a keyframe a second, in a loop."""
    return FileSource(CLIP, loop=True, kind="demo", shown_as="Demo clip: people walking")
