"""What the check has found so far, as JSON and as a table, in a folder."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gpu.rows import BAD, CheckRow

__all__ = ["CheckResults", "PartResult"]

_WIDEST = 34


@dataclass
class PartResult:
    """What a part has found so far; `state` is "not started", "running", "ended" or why it was ended."""

    state: str = "not started"
    seconds: float = 0.0
    rows: list[CheckRow] = field(default_factory=list)


class CheckResults:
    """The results of all parts, which are written to a folder whenever something is added.

    Args:
        folder: where `results.json` and `table.txt` are written.
        names: the parts.
        rehearsal: whether stand-ins take the GPU's place, so that no figure is one of a GPU.
    """

    def __init__(self, folder: Path, names: list[str], *, rehearsal: bool = False) -> None:
        self._folder = folder
        self._rehearsal = rehearsal
        self._started = time.monotonic()
        self.parts = {name: PartResult() for name in names}

    @property
    def bad(self) -> list[str]:
        """What did not go as it should, each as "part: row"."""
        return [f"{name}: {row.name}" for name, part in self.parts.items() for row in part.rows if row.outcome in BAD]

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        parts = {
            name: {"state": part.state, "seconds": part.seconds, "rows": [row.to_json() for row in part.rows]}
            for name, part in self.parts.items()
        }
        return {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(time.monotonic() - self._started, 1),
            "rehearsal": self._rehearsal,
            "bad": self.bad,
            "parts": parts,
        }

    def to_table(self) -> str:
        """Return a line for each row."""
        lines = ["a rehearsal: no figure is one of a GPU"] if self._rehearsal else []
        for name, part in self.parts.items():
            lines.append(f"{name} ({part.state}, {part.seconds:.0f} s)")
            lines += [
                f"  {row.outcome:9}{row.name[:_WIDEST]:{_WIDEST + 2}}{row.seconds:6.1f} s  {row.detail}"
                for row in part.rows
            ]
        lines.append("all as it should be" if not self.bad else f"{len(self.bad)} not as they should be:")
        return "\n".join([*lines, *(f"  {line}" for line in self.bad)]) + "\n"

    def write(self) -> None:
        """Write both files, each at once.

        Raises:
            OSError: the folder cannot be written.
        """
        for name, text in (("results.json", json.dumps(self.to_json(), indent=1)), ("table.txt", self.to_table())):
            new = self._folder / f".{name}"
            new.write_text(text, "utf-8", errors="replace")
            new.replace(self._folder / name)
