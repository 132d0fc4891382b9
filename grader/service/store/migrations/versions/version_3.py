"""Notebooks as they were run, beside a report, and beside the first stage's until there is one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Go on from the version before."""
    op.add_column("grading", sa.Column("executed", sa.String(64), nullable=True))
    op.add_column("report", sa.Column("executed", sa.String(64), nullable=True))


def downgrade() -> None:
    """Go back to the version before."""
    op.drop_column("report", "executed")
    op.drop_column("grading", "executed")
