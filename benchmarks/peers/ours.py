"""This grader: `grader batch`, with every layer of the sandbox and every item of hw2 except the trainings."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.assignment import POINTS, a_class

__all__ = ["Ours"]


@dataclass(frozen=True)
class Ours:
    """`grader batch`, which starts its processes itself."""

    jobs: int = 2
    name: str = "this grader"

    def commands(self, notebook: str, size: int, folder: Path) -> list[list[str]]:
        """Write a notebook for each student."""
        handed_in, reports = folder / "submissions", folder / "reports"
        handed_in.mkdir()
        for student, content in a_class(notebook, size).items():
            (handed_in / f"{student}.ipynb").write_bytes(content)
        grader = Path(sys.executable).parent / "grader"
        options = ["--out", str(reports), "--assignment", "hw2", "--training", "none", "--jobs", str(self.jobs)]
        return [[str(grader), "batch", str(handed_in), *options]]

    def require_full_marks(self, notebook: str, size: int, folder: Path) -> None:
        """Read the reports."""
        found = [json.loads(path.read_text()) for path in sorted((folder / "reports").glob("*.json"))]
        assert len(found) == size, f"{len(found)} reports of {size} submissions"
        scores = {report["score"] for report in found}
        assert scores == {POINTS[notebook]}, f"points are {scores}, not {POINTS[notebook]}"
        off = [layer for report in found for layer in report["layers"] if not layer["on"]]
        assert not off, f"layers are off: {off}"
