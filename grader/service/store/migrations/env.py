"""Alembic's environment. `grader.service.store.database.migrate` passes a connection and owns the transaction.

After a change of `schema.py`, generate the next version by comparing it with a database of the previous version:

    export GRADER_DATABASE=sqlite:////tmp/before.sqlite      # made by `grader database upgrade`
    .venv/bin/alembic -c grader/service/store/migrations/alembic.ini \\
        revision --autogenerate --rev-id 2 -m "What changes"

Then review it and tidy it by hand.
"""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from sqlalchemy import Connection, Enum

from grader.service.settings import Settings
from grader.service.store.columns import StorableText, Timestamp
from grader.service.store.database import make_engine
from grader.service.store.schema import Row


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Row.metadata,
        render_as_batch=True,  # SQLite changes a column by copying its table
        render_item=_render_type,
    )
    context.run_migrations()


def _render_type(kind: str, item: Any, _: object) -> str | Literal[False]:
    """Write our types into migrations as database types: a migration must not change when our code does."""
    if kind != "type":
        return False
    if isinstance(item, Enum):
        return f"sa.String(length={item.length})"
    return {StorableText: "sa.Text()", Timestamp: "sa.Double()"}.get(type(item), False)


if "connection" in context.config.attributes:
    _run(context.config.attributes["connection"])
else:
    with make_engine(Settings.from_environment().database).begin() as developers:
        _run(developers)
