"""Where the repository's files are, for tests in any folder."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ASSIGNMENTS", "EXAMPLE", "ROOT", "SUBMISSIONS"]

ROOT = Path(__file__).resolve().parents[2]
SUBMISSIONS = ROOT / "tests" / "submissions"  # golden submissions: a folder each
ASSIGNMENTS = ROOT / "tests" / "assignments"  # assignments that tests grade with, beside hw2
EXAMPLE = ROOT / "examples" / "hw2.ipynb"
