"""The marks of a local batch: a file beside its journal, so that a batch that is graded again keeps them."""

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

Marks = dict[str, dict[str, Mark]]  # by a submission's key, and by an item's id


def read_marks(folder: Path) -> Marks:
    """Return the marks of the batch in a folder, none where nobody marked.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    try:
        kept = json.loads((folder / MARKS).read_text("utf-8"))
        return {key: {each["item"]: _mark(each) for each in marks} for key, marks in kept.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{folder / MARKS}: {error}; put back a copy, or remove it and apply all marks") from None


def write_marks(folder: Path, marks: Mapping[str, Mapping[str, Mark]]) -> None:
    """Write the marks of the batch in a folder."""
    values = {
        key: [{**asdict(mark), "at": mark.at.isoformat()} for _, mark in sorted(given.items())]
        for key, given in sorted(marks.items())
    }
    write_whole(folder / MARKS, (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode())


def _mark(value: Mapping[str, str]) -> Mark:
    at = datetime.fromisoformat(value["at"])
    return Mark(str(value["item"]), float(value["points"]), str(value["comment"]), str(value["by"]), at)
