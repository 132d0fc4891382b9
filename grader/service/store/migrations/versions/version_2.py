"""Add items marked by hand, and marks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["downgrade", "upgrade"]

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Migrate from the previous version."""
    op.create_table(
        "waiting_item",
        sa.Column("report", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("max_points", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["report"], ["report.id"], name=op.f("fk_waiting_item_report")),
        sa.PrimaryKeyConstraint("report", "item", name=op.f("pk_waiting_item")),
    )
    op.create_table(
        "mark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("submission", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("points", sa.Double(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.Column("published_points", sa.Double(), nullable=True),
        sa.Column("published_comment", sa.Text(), nullable=True),
        sa.Column("published_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["submission"], ["submission.id"], name=op.f("fk_mark_submission")),
        sa.ForeignKeyConstraint(["token"], ["token.id"], name=op.f("fk_mark_token")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mark")),
        sa.UniqueConstraint("submission", "item", name=op.f("uq_mark_submission_item")),
    )


def downgrade() -> None:
    """Go back to the previous version."""
    op.drop_table("mark")
    op.drop_table("waiting_item")
