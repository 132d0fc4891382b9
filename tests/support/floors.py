"""The floors of the house: which rooms may import which others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["FLOORS"]

# Rooms by floor, the lowest first: a room imports only what stands on floors below its own (docs/architecture.md).
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
        {"settings"},
        {"store", "broker"},
        {"dispatch"},
        {"tasks", "api"},
        {"worker", "web"},
        {"application"},
    ],
}
