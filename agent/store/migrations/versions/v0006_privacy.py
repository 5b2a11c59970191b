"""What streams hide, and who looked at what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from agent.store.schema import Seq, UtcTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "privacy",
        sa.Column("stream", sa.String(63), primary_key=True),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_table(
        "accesses",
        sa.Column("seq", Seq, primary_key=True),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("who", sa.String(16), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("stream", sa.String(63)),
        sa.Column("what", sa.String(128)),
    )
    op.create_index("accesses_at", "accesses", ["at"])
    op.create_index("accesses_stream", "accesses", ["stream", "seq"])
