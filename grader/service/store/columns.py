"""Types of columns that mean the same on SQLite and PostgreSQL, and the database's own clock."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from operator import add, sub
from typing import Any, TypeVar

from sqlalchemy import Dialect, Double, Enum, Text
from sqlalchemy.engine.interfaces import Compiled
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

__all__ = ["StorableText", "Timestamp", "make_storable", "make_word_type", "now"]

_Word = TypeVar("_Word", bound=StrEnum)


class StorableText(TypeDecorator[str]):
    """Text that others chose: what a database cannot hold (NUL, half a surrogate pair) is replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as both databases hold it."""
        return None if value is None else make_storable(value)


class Timestamp(TypeDecorator[datetime]):
    """A moment, kept as seconds since 1970 (UTC): SQLite has no type for it, and seconds can be added to it."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        """Return the seconds."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, dialect: Dialect) -> datetime | None:
        """Return the moment."""
        return None if value is None else datetime.fromtimestamp(value, UTC)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Tell what stands on the other side: seconds where they are added, else a moment."""
        return Double() if op in {add, sub} else self


class now(FunctionElement[datetime]):  # noqa: N801 - an SQL function
    """The time by the database's clock when the statement began; all leases are compared with it and no other clock."""

    type = Timestamp()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_of_sqlite(element: now, compiler: Compiled, **_: Any) -> str:
    # The Julian day of 1970 began at noon; unixepoch('subsec') is younger than Debian 12's SQLite.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_of_postgresql(element: now, compiler: Compiled, **_: Any) -> str:
    # now() would be the start of the transaction. A statement that waited for a lock takes its own start: what it
    # thinks of another's lease is then too kind, and its own lease too short, so two never have one at once.
    return "extract(epoch FROM statement_timestamp())::double precision"


def make_storable(text: str) -> str:
    """Return a text without what a database cannot hold."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def make_word_type(words: type[_Word]) -> Enum:
    """Return the type of a column that holds one of these words, as text."""
    return Enum(words, native_enum=False, length=16, values_callable=lambda kind: [each.value for each in kind])
