"""Pagination: pass `next` of one page as `after` to get the following one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

__all__ = ["After", "AfterId", "PageSize", "paginate"]

PageSize = Annotated[int, Query(ge=1, le=500, description="The largest number of entries to return.")]
After = Annotated[str, Query(max_length=500, description="`next` of the previous page; without it, the first page.")]
AfterId = Annotated[
    str, Query(pattern="^([0-9a-f-]{36})?$", description="`next` of the previous page; without it, the first page.")
]

Row = TypeVar("Row")


def paginate(rows: Sequence[Row], limit: int, get_position: Callable[[Row], str]) -> tuple[Sequence[Row], str | None]:
    """Return one page of rows and the position at which the next page starts. The position is None on the last page.

    Args:
        rows: up to `limit` + 1 rows; the extra one shows that there is a next page.
        limit: number of rows of a page.
        get_position: returns the position of a row in the list.
    """
    page = rows[:limit]
    return page, get_position(page[-1]) if len(rows) > limit else None
