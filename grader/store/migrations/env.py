"""What Alembic runs: `grader.store.database` hands it a connection, and the transaction is the caller's."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Enum

from grader.store.columns import Line, Moment
from grader.store.schema import Row


def _type(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Write our types into migrations as what a database has: a migration must not change when our code does."""
    if kind != "type":
        return False
    if isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return {Line: "sa.Text()", Moment: "sa.Double()"}.get(type(item), False)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,  # SQLite changes a column by copying its table
    render_item=_type,
)
context.run_migrations()
