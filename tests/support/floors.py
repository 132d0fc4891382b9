"""The floors that imports run down: tests/test_architecture.py enforces them, docs/architecture.md draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FLOORS"]

# For each house its rooms by floor, the lowest first: a room imports only what stands on floors below its own.
FLOORS: Mapping[str, Sequence[set[str]]] = {
    "grader": [
        {"errors", "memory_limit", "models", "place", "revision", "sandbox.protocol", "spelling"},
        {"fault", "gpu", "toml_table"},
        {"assignment", "student", "cache_folder", "installation_key", "sandbox.guest"},
        {"results", "training", "sandbox.jail"},
        {"submission", "render", "gradebook", "testing", "client"},
        {"collection", "sandbox.host", "judging"},
        {"grading", "self_check"},
        {"batch", "authoring", "service", "resident"},
        {"cli"},
    ],
    "grader.service": [
        {"settings", "celery_internals", "queues", "json_log"},
        {"store", "broker", "own_gpu"},
        {"enqueue", "foreign_messages"},
        {"tasks", "api"},
        {"worker", "web", "device_pool"},
        {"application"},
    ],
}
