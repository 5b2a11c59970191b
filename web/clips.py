"""Clips as they are configured, and what a line of their annotations says."""

from __future__ import annotations

from pydantic_core import to_json

from agent.clips.recorder import Lengths
from agent.clips.retention import ClipLimits
from agent.clips.service import Clips
from agent.recording import Recording
from agent.store.clips import ClipSettings
from stream.config import Config, data_dir
from stream.types import TrackUpdate
from web.wire import track_body

MIB = 1024 * 1024


def make_clips(config: Config, boot: str, recording: Recording) -> Clips:
    """Opened when it is entered; the store may still be away then."""
    wanted = config.clips
    return Clips(
        data_dir() / "clips",
        lambda: recording.store,
        clip_line,
        boot=boot,
        enabled=wanted.enabled,
        lengths=Lengths(wanted.before_s, wanted.after_s, wanted.longest_s),
        limits=ClipLimits(wanted.max_age_days, wanted.max_gb, wanted.min_free_mb * MIB),
        configured={
            feed.id: ClipSettings(feed.clips, feed.clips_max_age_days, feed.clips_max_gb) for feed in config.feeds
        },
    )


def clip_line(update: TrackUpdate, pts: int, time_s: float) -> str:
    """What was tracked on one picture of a clip, as JSON: `pts` and `time_s` are the clip's own, all else is as in the
    `tracks` message of that picture."""
    return to_json(
        {
            "pts": pts,
            "time_s": round(time_s, 6),
            "epoch": update.epoch,
            "index": update.index,
            "rtp": update.rtp,
            "captured_unix_us": update.captured_unix_us,
            "width": update.width,
            "height": update.height,
            "tracks": [track_body(track, update.width, update.height) for track in update.tracks],
        }
    ).decode()
