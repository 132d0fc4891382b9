"""Column types that work the same on SQLite and PostgreSQL, and the clock of the database."""

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
    """Text from outside: characters that a database cannot store (NUL, lone surrogates) are replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as both databases can store it."""
        return None if value is None else make_storable(value)


class Timestamp(TypeDecorator[datetime]):
    """A point in time, stored as seconds since 1970 (UTC): SQLite has no such type, and seconds can be added."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:
        """Return the seconds since 1970."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: float | None, dialect: Dialect) -> datetime | None:
        """Return the point in time."""
        return None if value is None else datetime.fromtimestamp(value, UTC)

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Return the type of the other operand: seconds if it is added or subtracted, else a point in time."""
        return Double() if op in {add, sub} else self


class now(FunctionElement[datetime]):  # noqa: N801 - an SQL function
    """The database's time at the start of the statement. Leases are compared with this clock and no other."""

    type = Timestamp()
    inherit_cache = True


@compiles(now, "sqlite")
def _compile_for_sqlite(element: now, compiler: Compiled, **_: Any) -> str:
    # Julian days begin at noon. unixepoch('subsec') would be simpler, but Debian 12's SQLite does not have it yet.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _compile_for_postgresql(element: now, compiler: Compiled, **_: Any) -> str:
    # now() would be the start of the transaction. A statement that waited for a lock uses its own start, so it errs on
    # the safe side: it sees another worker's lease as longer and gets a shorter one itself. Two never hold one at once.
    return "extract(epoch FROM statement_timestamp())::double precision"


def make_storable(text: str) -> str:
    """Replace the characters that a database cannot store."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def make_word_type(words: type[_Word]) -> Enum:
    """Return the type of a column that stores one of these words as text."""
    return Enum(words, native_enum=False, length=16, values_callable=lambda kind: [word.value for word in kind])
