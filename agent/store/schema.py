"""The tables. The migrations make them; a test holds the two against each other.

`seq` numbers the rows of a table in the order of writing. Tracks are named by `(boot, stream, track)`, since their ids
begin again with each start of the server. `words` is what full-text search looks at.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

HEAD = "0006"
"""The newest migration: a store at this revision is opened without loading Alembic."""


class UtcTime(sa.TypeDecorator[datetime]):
    """Wall clock in UTC, with microseconds; SQLite keeps it as text that sorts by time."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


Seq = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Json = sa.JSON(none_as_null=True)
Uuid = sa.String(32)
StreamId = sa.String(63)

metadata = sa.MetaData()

events = sa.Table(
    "events",
    metadata,
    sa.Column("seq", Seq, primary_key=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("boot", Uuid, nullable=False),
    sa.Column("stream", StreamId, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("region_id", Uuid),
    sa.Column("watch_id", Uuid),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("rtp", sa.BigInteger, nullable=False),
    sa.Column("pts", sa.BigInteger, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("value", sa.Float),
    sa.Column("evidence", Json),
    sa.Column("picture_bytes", sa.Integer, nullable=False),
    sa.Column("keep", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("note", sa.Text),
    sa.Column("rule_id", Uuid),
    sa.Index("events_at", "at"),
    sa.Index("events_stream", "stream", "seq"),
)
event_tracks = sa.Table(
    "event_tracks",
    metadata,
    sa.Column("event_id", Uuid, sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("track", sa.BigInteger, nullable=False),
    sa.Column("label", sa.Text),
    sa.Column("box_xyxy", Json),
    sa.Index("event_tracks_label", "label"),
)
pictures = sa.Table(
    "pictures",
    metadata,
    sa.Column("event_id", Uuid, sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("jpeg", sa.LargeBinary, nullable=False),
)
captions = sa.Table(
    "captions",
    metadata,
    sa.Column("seq", Seq, primary_key=True),
    sa.Column("boot", Uuid, nullable=False),
    sa.Column("stream", StreamId, nullable=False),
    sa.Column("track", sa.BigInteger, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("rtp", sa.BigInteger, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Index("captions_at", "at"),
    sa.Index("captions_track", "boot", "stream", "track"),
)
questions = sa.Table(
    "questions",
    metadata,
    sa.Column("seq", Seq, primary_key=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("boot", Uuid, nullable=False),
    sa.Column("stream", StreamId, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Column("asked_by", Uuid, nullable=False),
    sa.Column("spoken", sa.Boolean, nullable=False),
    sa.Column("follows", Uuid),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("rtp", sa.BigInteger, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("track_ids", Json, nullable=False),
    sa.Column("state", sa.String(16)),
    sa.Column("answer", sa.Text),
    sa.Column("answer_track_ids", Json),
    sa.Column("frame_at", UtcTime),
    sa.Column("frame_age_ms", sa.Float),
    sa.Column("ttft_ms", sa.Float),
    sa.Column("total_ms", sa.Float),
    sa.Column("backend", sa.Text),
    sa.Column("error", Json),
    sa.Index("questions_at", "at"),
)
regions = sa.Table(
    "regions",
    metadata,
    sa.Column("stream", StreamId, primary_key=True),
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("points", Json, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
    sa.Column("rules", Json, nullable=False, server_default="[]"),
)
arming = sa.Table(
    "arming",
    metadata,
    sa.Column("stream", StreamId, primary_key=True),
    sa.Column("armed", sa.Boolean, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
)
watches = sa.Table(
    "watches",
    metadata,
    sa.Column("stream", StreamId, primary_key=True),
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("condition", sa.Text, nullable=False),
    sa.Column("cooldown_s", sa.Float, nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("seen_at", UtcTime, nullable=False),
)
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", Uuid, primary_key=True),
    sa.Column("sink", sa.String(63), nullable=False),
    sa.Column("event_id", Uuid, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("deliveries_at", "at"),
)
clips = sa.Table(
    "clips",
    metadata,
    sa.Column("seq", Seq, primary_key=True),
    sa.Column("id", Uuid, nullable=False, unique=True),
    sa.Column("boot", Uuid, nullable=False),
    sa.Column("stream", StreamId, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("suffix", sa.String(8), nullable=False),
    sa.Column("codec", sa.String(8), nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("pictures", sa.Integer, nullable=False),
    sa.Column("annotated", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Index("clips_at", "at"),
    sa.Index("clips_stream", "stream", "at"),
)
event_clips = sa.Table(
    "event_clips",
    metadata,
    # Not a foreign key: a clip outlives an event that could not be written, and goes when it is old.
    sa.Column("event_id", Uuid, primary_key=True),
    sa.Column("clip_id", Uuid, sa.ForeignKey("clips.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("offset_s", sa.Float),
    sa.Index("event_clips_clip", "clip_id"),
)
clip_settings = sa.Table(
    "clip_settings",
    metadata,
    sa.Column("stream", StreamId, primary_key=True),
    sa.Column("enabled", sa.Boolean),
    sa.Column("max_age_days", sa.Float),
    sa.Column("max_gb", sa.Float),
)
feeds = sa.Table(
    "feeds",
    metadata,
    sa.Column("seq", Seq, primary_key=True),
    sa.Column("stream", StreamId, nullable=False, unique=True),
    sa.Column("settings", Json, nullable=False),
    sa.Column("password", sa.Text),
)
privacy = sa.Table(
    "privacy",
    metadata,
    sa.Column("stream", StreamId, primary_key=True),
    sa.Column("settings", Json, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)
accesses = sa.Table(
    "accesses",
    metadata,
    sa.Column("seq", Seq, primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.String(16), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),
    sa.Column("stream", StreamId),
    sa.Column("what", sa.String(128)),
    sa.Index("accesses_at", "at"),
    sa.Index("accesses_stream", "stream", "seq"),
)
