"""The floors that imports run down: tests/test_architecture.py enforces them, docs/architecture.md draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FLOORS"]

# For each house its rooms by floor, the lowest first: a room imports only what stands on floors below its own.
FLOORS: Mapping[str, Sequence[set[str]]] = {
    "grader": [
        {"errors", "models", "sandbox.protocol"},
        {"assignment", "student", "cache_folder", "sandbox.guest"},
        {"results", "training", "sandbox.jail"},
        {"submission", "render", "gradebook", "testing", "client"},
        {"collection", "sandbox.host", "judging"},
        {"grading", "self_check"},
        {"batch", "authoring", "service"},
        {"cli"},
    ],
    "grader.service": [
        {"settings", "celery_internals"},
        {"store", "broker"},
        {"enqueue"},
        {"tasks", "api"},
        {"worker", "web"},
        {"application"},
    ],
}
