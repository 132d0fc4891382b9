<<<<<<< HEAD
"""The floors that imports run down: tests/test_architecture.py enforces them, docs/architecture.md draws them."""
=======
"""The floors of the house: which rooms may import which others."""
>>>>>>> refs/heads/tests

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FLOORS"]

<<<<<<< HEAD
# For each house its rooms by floor, the lowest first: a room imports only what stands on floors below its own.
=======
# Rooms by floor, the lowest first: a room imports only what stands on floors below its own (docs/architecture.md).
>>>>>>> refs/heads/tests
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
<<<<<<< HEAD
        {"settings", "celery_internals"},
        {"store", "broker"},
        {"enqueue"},
=======
        {"settings"},
        {"store", "broker"},
        {"dispatch"},
>>>>>>> refs/heads/tests
        {"tasks", "api"},
        {"worker", "web"},
        {"application"},
    ],
}
