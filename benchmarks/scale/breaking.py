"""Which part of a service breaks first: the load of each part in the hour before a deadline, beside its capacity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.scale.parameters import Parameters
from benchmarks.scale.sizing import Plan

__all__ = ["HEAD", "Need", "needs"]

_RECONCILED = 5.0  # seconds between two rounds of a worker's reconciler, each with a dispatch
_FIRST_COPY = 120.0  # GRADER_REPUBLISH_SECONDS: a message that waits longer is sent again
_DISPATCHES = 2  # of a submission: when it is accepted, and when it is graded
_BLOBS = 2  # of a submission of one notebook: that, and its report
_CONNECTIONS_OF_API = 40  # of one process' pool
HEAD = f"{'part':34}{'asked':>10}{'given':>10}{'share':>8}   {'unit':12}"


@dataclass(frozen=True)
class Need:
    """The load of one part, and its capacity with default settings."""

    part: str
    asked: float
    given: float
    unit: str

    @property
    def share(self) -> float:
        """The load as a share of the capacity: above 1 the part breaks."""
        return self.asked / self.given

    def line(self) -> str:
        """Return a line of the table whose head is `HEAD`."""
        return f"{self.part:34}{self.asked:>10,.4g}{self.given:>10,.4g}{self.share:>8.0%}   {self.unit}".rstrip()


def needs(plan: Plan, parameters: Parameters) -> list[Need]:
    """Return the load of each part in the last hour with the plan's workers, highest share first."""
    return sorted(_needs(plan, parameters), key=lambda need: -need.share)


def _needs(plan: Plan, parameters: Parameters) -> Iterator[Need]:
    measured, assumed = parameters.measured, parameters.assumed
    per_second = plan.scenario.submissions * assumed.arrivals[-1][1] / (3600 * assumed.arrivals[-1][0])
    looks = (plan.seconds_waited() + plan.seconds_worked()) / assumed.looks_seconds
    asked = measured.api_submit_cpu_seconds + looks * measured.api_look_cpu_seconds + measured.api_report_cpu_seconds
    alone = per_second * plan.scenario.alone / plan.scenario.submissions  # a class comes in one request
    api_cores = alone * asked
    yield Need("API", api_cores, assumed.cores_of_api, "cores")
    cores = per_second * measured.postgresql_cpu_seconds_per_submission
    cores += alone * looks * measured.api_look_postgresql_cpu_seconds
    yield Need("PostgreSQL, all but dispatch", cores, assumed.cores_of_postgresql, "cores")
    dispatches = _DISPATCHES * per_second + plan.workers / _RECONCILED
    seconds = dispatch_cpu_seconds(parameters, plan.longest_queue + plan.workers)
    yield Need("PostgreSQL, dispatch", dispatches * seconds, assumed.cores_of_postgresql, "cores")
    connections = plan.workers * assumed.connections_of_worker + math.ceil(api_cores) * _CONNECTIONS_OF_API
    yield Need("PostgreSQL, connections", connections, assumed.connections_of_postgresql, "connections")
    waiting = plan.longest_queue * copies(max(plan.outcome.waits)) * measured.redis_bytes_per_message
    yield Need("Redis", waiting / 2**20, assumed.bytes_of_redis / 2**20, "MiB")
    yield Need("blobs", per_second * _BLOBS, measured.blobs_per_second, "a second")


def dispatch_cpu_seconds(parameters: Parameters, unfinished: int) -> float:
    """Return PostgreSQL's CPU seconds for a dispatch with `unfinished` jobs, on a line through two measurements."""
    measured = parameters.measured
    each = (measured.dispatch_cpu_seconds_at_10000 - measured.dispatch_cpu_seconds_at_80) / (10_000 - 80)
    return max(measured.dispatch_cpu_seconds_at_80 + each * (unfinished - 80), measured.dispatch_cpu_seconds_at_80)


def copies(seconds: float) -> int:
    """Return the number of messages of a job that waits `seconds`: further ones follow after 120 s, 240 s more, ..."""
    return math.floor((1 + math.sqrt(1 + 8 * seconds / _FIRST_COPY)) / 2)
