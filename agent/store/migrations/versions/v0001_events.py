"""Events with their tracks and pictures, captions, questions with answers, regions and watches; full-text search."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from agent.store.schema import UtcTime

revision = "0001"
down_revision = None

SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UUID = sa.String(32)
STREAM = sa.String(63)
JSON = sa.JSON(none_as_null=True)
SEARCHED = ("events", "captions", "questions")


def upgrade() -> None:
    _events()
    _captions()
    _questions()
    _kept()
    for table in SEARCHED:
        if op.get_bind().dialect.name == "sqlite":
            _search_on_sqlite(table)
        else:
            _search_on_postgresql(table)


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("seq", SEQ, primary_key=True),
        sa.Column("id", UUID, nullable=False, unique=True),
        sa.Column("boot", UUID, nullable=False),
        sa.Column("stream", STREAM, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("region_id", UUID),
        sa.Column("watch_id", UUID),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("rtp", sa.BigInteger, nullable=False),
        sa.Column("pts", sa.BigInteger, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("evidence", JSON),
        sa.Column("picture_bytes", sa.Integer, nullable=False),
    )
    op.create_index("events_at", "events", ["at"])
    op.create_index("events_stream", "events", ["stream", "seq"])
    op.create_table(
        "event_tracks",
        sa.Column("event_id", UUID, sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("track", sa.BigInteger, nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("box_xyxy", JSON),
    )
    op.create_index("event_tracks_label", "event_tracks", ["label"])
    op.create_table(
        "pictures",
        sa.Column("event_id", UUID, sa.ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("jpeg", sa.LargeBinary, nullable=False),
    )


def _captions() -> None:
    op.create_table(
        "captions",
        sa.Column("seq", SEQ, primary_key=True),
        sa.Column("boot", UUID, nullable=False),
        sa.Column("stream", STREAM, nullable=False),
        sa.Column("track", sa.BigInteger, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("rtp", sa.BigInteger, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
    )
    op.create_index("captions_at", "captions", ["at"])
    op.create_index("captions_track", "captions", ["boot", "stream", "track"])


def _questions() -> None:
    op.create_table(
        "questions",
        sa.Column("seq", SEQ, primary_key=True),
        sa.Column("id", UUID, nullable=False, unique=True),
        sa.Column("boot", UUID, nullable=False),
        sa.Column("stream", STREAM, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("asked_by", UUID, nullable=False),
        sa.Column("spoken", sa.Boolean, nullable=False),
        sa.Column("follows", UUID),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("rtp", sa.BigInteger, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("track_ids", JSON, nullable=False),
        sa.Column("state", sa.String(16)),
        sa.Column("answer", sa.Text),
        sa.Column("answer_track_ids", JSON),
        sa.Column("frame_at", UtcTime),
        sa.Column("frame_age_ms", sa.Float),
        sa.Column("ttft_ms", sa.Float),
        sa.Column("total_ms", sa.Float),
        sa.Column("backend", sa.Text),
        sa.Column("error", JSON),
    )
    op.create_index("questions_at", "questions", ["at"])


def _kept() -> None:
    op.create_table(
        "regions",
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("id", UUID, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("points", JSON, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
    )
    op.create_table(
        "watches",
        sa.Column("stream", STREAM, primary_key=True),
        sa.Column("id", UUID, primary_key=True),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("cooldown_s", sa.Float, nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
    )


def _search_on_sqlite(table: str) -> None:
    """An index over the table's own text, kept by triggers."""
    index = f"{table}_words"
    tokenize = "porter unicode61 remove_diacritics 2"
    added = f"INSERT INTO {index}(rowid, words) VALUES (new.seq, new.words);"
    taken = f"INSERT INTO {index}({index}, rowid, words) VALUES ('delete', old.seq, old.words);"
    columns = f"words, content='{table}', content_rowid='seq', tokenize='{tokenize}'"
    op.execute(f"CREATE VIRTUAL TABLE {index} USING fts5({columns})")
    op.execute(f"CREATE TRIGGER {index}_added AFTER INSERT ON {table} BEGIN {added} END")
    op.execute(f"CREATE TRIGGER {index}_taken AFTER DELETE ON {table} BEGIN {taken} END")
    op.execute(f"CREATE TRIGGER {index}_changed AFTER UPDATE OF words ON {table} BEGIN {taken} {added} END")


def _search_on_postgresql(table: str) -> None:
    vector = "to_tsvector('english', words)"
    op.execute(f"ALTER TABLE {table} ADD COLUMN search tsvector GENERATED ALWAYS AS ({vector}) STORED")
    op.execute(f"CREATE INDEX {table}_search ON {table} USING gin (search)")
