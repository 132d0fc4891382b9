"""What was found for each item, as plain text that travels from the process that runs the notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ItemCheck", "describe_item"]


@dataclass(frozen=True)
class ItemCheck:
    """The result for one item.

    Attributes:
        item: the item's id.
        section: the section of the book.
        verdict: "right", "wrong", "unclear" (it cannot be judged here) or "absent".
        where: in how many cases it goes wrong, and the first of them.
        why: what goes wrong, or why there is no verdict.
        shown: lines that show the inputs of the first case that goes wrong, and the student's result.
        place: the cell with the definition, in words; "" if it is known at the end of the notebook only.
    """

    item: str
    section: str
    verdict: str
    where: str = ""
    why: str = ""
    shown: Sequence[str] = ()
    place: str = ""


def describe_item(result: ItemCheck, hint: int) -> Iterator[str]:
    """Yield the lines that describe a result; `hint` 1 says where it goes wrong, 2 what goes wrong, 3 the inputs."""
    location = f" ({result.place})" if result.place else ""
    parts = [result.where, f"read section {result.section} again"] if result.verdict == "wrong" else [result.why]
    text = "; ".join(filter(None, parts))
    yield f"{result.verdict:8} {result.item}{location}" + (f": {text}" if text else "")
    if result.verdict == "wrong" and hint > 1:
        yield f"         {result.why}"
    if hint > 2:
        yield from (f"         {line}" for line in result.shown)
