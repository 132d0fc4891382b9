"""The marks of a local batch: a file beside its journal, so that they survive if the batch is graded again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from grader.cache_folder import write_whole
from grader.errors import InputError
from grader.results.marks import Mark

__all__ = ["MARKS", "read_marks", "write_marks"]

MARKS = "marks.json"

Marks = dict[str, dict[str, Mark]]  # by the key of the submission and the id of the item


def read_marks(folder: Path) -> Marks:
    """Return the marks of the batch in a folder; an empty dict if there are none yet.

    Raises:
        InputError: the file cannot be read, or is not a file of marks.
    """
    try:
        stored = json.loads((folder / MARKS).read_text("utf-8"))
        return {key: {values["item"]: _decode(values) for values in marks} for key, marks in stored.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{folder / MARKS}: {error}; put back a copy, or remove it and apply all marks") from None


def write_marks(folder: Path, marks: Mapping[str, Mapping[str, Mark]]) -> None:
    """Write the marks of the batch in a folder."""
    values = {
        key: [{**asdict(mark), "at": mark.at.isoformat()} for _, mark in sorted(by_item.items())]
        for key, by_item in sorted(marks.items())
    }
    write_whole(folder / MARKS, (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode())


def _decode(values: Mapping[str, str]) -> Mark:
    at = datetime.fromisoformat(values["at"])
    return Mark(str(values["item"]), float(values["points"]), str(values["comment"]), str(values["by"]), at)
