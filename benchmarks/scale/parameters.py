"""The input of sizing: measured by `benchmarks.service_limits`, estimated, or assumed; all of it in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "Assumed", "Estimated", "Measured", "Parameters"]

RESULTS = Path(__file__).parents[1] / "results" / "service_times.json"


@dataclass(frozen=True)
class Measured:
    """The measurements of `benchmarks.service_limits`, on the machine and day that the file names.

    Attributes:
        definitions_cpu_seconds: of each real submission, nothing trained, the sandbox included. Workers are simulated
            with CPU time: each has a core, and other work on the machine that measures changes it little.
        definitions_wall_seconds: the same in wall time.
        quick_known_cpu_seconds: of the example with quick trainings whose results are cached.
        quick_new_models_cpu_seconds: of the example in addition, if its three models are new.
        transactions_per_submission: from accepting to the report.
        postgresql_cpu_seconds_per_submission: of the server, for these transactions.
        dispatch_seconds_at_80: one `dispatch` on PostgreSQL with 80 unfinished jobs.
        dispatch_cpu_seconds_at_80: of PostgreSQL, for the same.
        api_submit_cpu_seconds: of an API process, to accept one submission.
        api_look_cpu_seconds: to show one submission, as a student's waiting client requests.
        api_look_postgresql_cpu_seconds: of PostgreSQL, for the same.
        api_report_cpu_seconds: to send a report as a page.
        redis_bytes_per_message: of its memory.
        blobs_per_second: written by 16 threads, each synced.
    """

    definitions_wall_seconds: tuple[float, ...]
    definitions_cpu_seconds: tuple[float, ...]
    report_bytes: float
    notebook_bytes: float
    quick_known_wall_seconds: float
    quick_known_cpu_seconds: float
    quick_new_models_wall_seconds: float
    quick_new_models_cpu_seconds: float
    transactions_per_submission: float
    sqlite_submissions_per_second: float
    sqlite_bytes_per_submission: float
    postgresql_submissions_per_second: float
    postgresql_cpu_seconds_per_submission: float
    postgresql_bytes_per_submission: float
    dispatch_seconds_at_80: float
    dispatch_seconds_at_10000: float
    dispatch_seconds_at_100000: float
    dispatch_cpu_seconds_at_80: float
    dispatch_cpu_seconds_at_10000: float
    dispatch_cpu_seconds_at_100000: float
    metrics_seconds_at_100000: float
    blobs_per_second: float
    api_submit_per_second: float
    api_submit_cpu_seconds: float
    api_look_per_second: float
    api_look_cpu_seconds: float
    api_look_postgresql_cpu_seconds: float
    api_report_per_second: float
    api_report_cpu_seconds: float
    redis_bytes_per_message: float
    messages_sent_per_second: float


@dataclass(frozen=True)
class Estimated:
    """Seconds of one H100 for the book's ten epochs: estimated from FLOPs, not measured.

    Attributes:
        gpu_seconds_per_new_model: of LeNet, VGG and ResNet-18, the upper ends of design's ranges.
    """

    gpu_seconds_per_new_model: tuple[float, ...]


@dataclass(frozen=True)
class Assumed:
    """Assumptions that were not measured.

    Attributes:
        arrivals: pairs: the hours before the deadline at which a period begins, and the share of a week in it.
        slow_share: the share of submissions that reach a time limit.
        slow_seconds: that these take longer.
        novelty: n submissions have n ** novelty distinct models (Heaps' law); the rest is known already.
        own_training_cells_seconds: of a notebook's own training cells in mode full, which run on the CPU.
        looks_seconds: between two requests of a student's client; 2 is what `grader submit --watch` does.
        weeks: of a term, for storage.
        cores_of_postgresql: of one large server.
        connections_of_postgresql: that it accepts; the default is 100.
        connections_of_worker: of a worker with one process: its own and its reconciler's.
        bytes_of_redis: its limit; compose sets 256 MiB.
        cores_of_api: of all API processes.
    """

    arrivals: tuple[tuple[float, float], ...]
    slow_share: float
    slow_seconds: float
    novelty: float
    own_training_cells_seconds: float
    looks_seconds: float
    weeks: int
    cores_of_postgresql: int
    connections_of_postgresql: int
    connections_of_worker: int
    bytes_of_redis: int
    cores_of_api: int


@dataclass(frozen=True)
class Parameters:
    """All input of a simulation."""

    measured: Measured
    estimated: Estimated
    assumed: Assumed

    @classmethod
    def read(cls, path: Path = RESULTS) -> Parameters:
        """Read the file of results.

        Raises:
            SystemExit: a figure is missing.
        """
        found = json.loads(path.read_text("utf-8"))
        return cls(*(_part(path, found, name, kind) for name, kind in _PARTS.items()))  # type: ignore[arg-type]


_PARTS: dict[str, type[Any]] = {"measured": Measured, "estimated": Estimated, "assumed": Assumed}


def _part(path: Path, found: dict[str, Any], name: str, kind: type[Any]) -> object:
    values = found.get(name, {})
    if lacking := [field.name for field in fields(kind) if field.name not in values]:
        raise SystemExit(f"{path}: {name} lacks {', '.join(lacking)}; run python -m benchmarks.service_limits")
    return kind(**{field.name: _frozen(values[field.name]) for field in fields(kind)})


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value
