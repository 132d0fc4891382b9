"""The queue of each job, and how often its GPU failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Add the columns. Until now, trainings waited for the queue gpu and everything else for cpu."""
    op.add_column("grading", sa.Column("queue", sa.Text(), nullable=False, server_default="cpu"))
    op.add_column("grading", sa.Column("device_faults", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE grading SET queue = 'gpu' WHERE stage = 'trainings'")


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("grading", "device_faults")
    op.drop_column("grading", "queue")
