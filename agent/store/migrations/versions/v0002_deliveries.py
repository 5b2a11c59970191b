"""Alerts on their way to a webhook, and those that could not be delivered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from agent.store.schema import UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("sink", sa.String(63), nullable=False),
        sa.Column("event_id", sa.String(32), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("dead", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text),
    )
    op.create_index("deliveries_at", "deliveries", ["at"])
