"""Feeds that were made by the API or the page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "feeds",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("stream", sa.String(63), nullable=False, unique=True),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("password", sa.Text),
    )
