"""Fixtures of the fault tests."""

from __future__ import annotations

# Assignments are run by the grader's own pytest, inside a job.
