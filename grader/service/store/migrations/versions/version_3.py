"""Add executed notebooks to reports, and to jobs between the two stages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Migrate from the previous version."""
    op.add_column("grading", sa.Column("executed", sa.String(64), nullable=True))
    op.add_column("report", sa.Column("executed", sa.String(64), nullable=True))


def downgrade() -> None:
    """Go back to the previous version."""
    op.drop_column("report", "executed")
    op.drop_column("grading", "executed")
