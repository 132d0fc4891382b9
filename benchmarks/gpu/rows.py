"""Rows of the table: what was tried, and how it went."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

__all__ = ["BAD", "CheckRow", "RowOutcome", "attempt"]

_LONGEST_REASON = 300  # characters


class RowOutcome(StrEnum):
    """How it went."""

    OK = "ok"
    REFUSED = "refused"
    HARMLESS = "harmless"
    NOT_HERE = "not here"
    WRONG = "wrong"
    GOT_IN = "GOT IN"
    BROKE = "broke"


BAD = frozenset({RowOutcome.WRONG, RowOutcome.GOT_IN, RowOutcome.BROKE})


@dataclass(frozen=True)
class CheckRow:
    """A row.

    Attributes:
        name: what was tried.
        outcome: how it went.
        detail: the figures, or the reason, in a few words.
        seconds: how long it took.
        data: everything else that is worth keeping, as JSON.
    """

    name: str
    outcome: RowOutcome = RowOutcome.OK
    detail: str = ""
    seconds: float = 0.0
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CheckRow:
        """Return the row that `to_json` wrote."""
        return cls(**{**values, "outcome": RowOutcome(values["outcome"])})

    @classmethod
    def of_error(cls, name: str, error: BaseException, seconds: float = 0.0) -> CheckRow:
        """Return the row of something that broke; the traceback is in its data."""
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        text = "".join(traceback.format_exception(error))
        detail = f"{type(error).__name__}: {reason}"
        return cls(name, RowOutcome.BROKE, detail, seconds, {"traceback": text[-20_000:]})


def attempt(name: str, function: Callable[[], CheckRow]) -> CheckRow:
    """Return the row of a function, named and timed. If it raises, return the row that says so."""
    started = time.monotonic()
    try:
        row = function()
    except Exception as error:  # whatever breaks ends this row alone
        row = CheckRow.of_error(name, error)
    return replace(row, name=name, detail=" ".join(row.detail.split()), seconds=round(time.monotonic() - started, 2))
