"""Clips of events, events that are kept and have a note, and what is chosen for a stream's clips."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from agent.store.schema import UtcTime

revision = "0003"
down_revision = "0002"

SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UUID = sa.String(32)
STREAM = sa.String(63)


def upgrade() -> None:
    op.add_column("events", sa.Column("keep", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("events", sa.Column("note", sa.Text))
    op.create_table(
        "clips",
        sa.Column("seq", SEQ, primary_key=True),
        sa.Column("id", UUID, nullable=False, unique=True),
        sa.Column("boot", UUID, nullable=False),
        sa.Column("stream", STREAM, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("suffix", sa.String(8), nullable=False),
        sa.Column("codec", sa.String(8), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
        sa.Column("pictures", sa.Integer, nullable=False),
        sa.Column("annotated", sa.Integer, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.create_index("clips_at", "clips", ["at"])
    op.create_index("clips_stream", "clips", ["stream", "at"])
    op.create_table(
        "event_clips",
        sa.Column("event_id", UUID, primary_key=True),
        sa.Column("clip_id", UUID, sa.ForeignKey("clips.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("offset_s", sa.Float),
    )
    op.create_index("event_clips_clip", "event_clips", ["clip_id"])
    op.create_table(
        "clip_settings",
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("enabled", sa.Boolean),
        sa.Column("max_age_days", sa.Float),
        sa.Column("max_gb", sa.Float),
    )
