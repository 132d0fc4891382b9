"""Files beside the notebooks, and notices on files that were left out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add the columns. What was stored before are notebooks, without notices."""
    with op.batch_alter_table("submission") as table:
        table.add_column(sa.Column("notices", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("submission") as table:
        table.alter_column("notices", server_default=None)
    with op.batch_alter_table("submission_file") as table:
        table.add_column(sa.Column("is_notebook", sa.Boolean(), nullable=False, server_default=sa.true()))
    with op.batch_alter_table("submission_file") as table:
        table.alter_column("is_notebook", server_default=None)


def downgrade() -> None:
    """Drop the columns."""
    with op.batch_alter_table("submission_file") as table:
        table.drop_column("is_notebook")
    with op.batch_alter_table("submission") as table:
        table.drop_column("notices")
