"""Long lists in pages: `next` of one page is `after` of the following one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from fastapi import Query

__all__ = ["After", "AfterId", "PageSize", "paginate"]

PageSize = Annotated[int, Query(ge=1, le=500, description="How many at most.")]
After = Annotated[str, Query(max_length=500, description="`next` of the page before; without it the first page.")]
AfterId = Annotated[
    str, Query(pattern="^([0-9a-f-]{36})?$", description="`next` of the page before; without it the first page.")
]

Row = TypeVar("Row")


def paginate(found: Sequence[Row], limit: int, place: Callable[[Row], str]) -> tuple[Sequence[Row], str | None]:
    """Return one page, and where the next one begins, None where there is none.

    Args:
        found: one more than `limit`, where there are so many.
        limit: how many a page has.
        place: a row's place in the list.
    """
    shown = found[:limit]
    return shown, place(shown[-1]) if len(found) > limit else None
