"""Rules of regions, whether a stream is armed, and which rule raised an alert."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from agent.store.schema import UtcTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("regions", sa.Column("rules", sa.JSON(none_as_null=True), nullable=False, server_default="[]"))
    op.add_column("events", sa.Column("rule_id", sa.String(32)))
    op.create_table(
        "arming",
        sa.Column("stream", sa.String(63), primary_key=True),
        sa.Column("armed", sa.Boolean, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
    )
