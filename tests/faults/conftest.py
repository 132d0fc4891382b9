"""What tests of faults share."""

from __future__ import annotations

# Assignments are run by the grader's own pytest, inside a grading.
