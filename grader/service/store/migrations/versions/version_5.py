"""Installation keys. The first one is made when a worker needs it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "installation_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation_key")),
    )
    op.create_index(
        "uq_installation_key_current",
        "installation_key",
        ["current"],
        unique=True,
        sqlite_where=sa.text("current"),
        postgresql_where=sa.text("current"),
    )


def downgrade() -> None:
    """Drop the table, and with it all keys."""
    op.drop_index("uq_installation_key_current", "installation_key")
    op.drop_table("installation_key")
