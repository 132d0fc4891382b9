"""Files beside the notebooks, and notices on files that were left out."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "4"
down_revision = "3"


def upgrade() -> None:
    """Add the columns. What was stored before are notebooks, without notices."""
    op.add_column("submission", sa.Column("notices", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("submission_file", sa.Column("is_notebook", sa.Boolean(), nullable=False, server_default=sa.true()))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("submission_file", "is_notebook")
    op.drop_column("submission", "notices")
