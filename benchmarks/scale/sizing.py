"""Find the smallest number of workers with which waiting times stay within the targets."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.scale.parameters import Parameters
from benchmarks.scale.simulation import Job, Outcome, arrivals, jobs_after, percentile, simulate

__all__ = ["HEAD", "SCENARIOS", "Plan", "Scenario", "Week", "share_of", "sized", "smallest"]

STUDENT_SECONDS = 120.0  # p95 of waiting, for students who submit alone
BATCH_SECONDS = 600.0  # until the last report of a class that its teacher submits
GPU_SECONDS = 3600.0  # p95 of waiting for a training of mode full, which runs in the background
_CLASS = 300
_LEAST_SHARE = 16  # the default of GRADER_SHARE
_BATCHES_WITHIN = 12 * 3600.0  # seconds before the deadline in which teachers submit
_PRECISION = 0.01  # of a number of workers


@dataclass(frozen=True)
class Scenario:
    """The submissions of a week.

    Attributes:
        submissions: their total number.
        batches: the number of classes of 300 that teachers submit; the rest is submitted one by one.
        thinned: one in `thinned` submissions is simulated, on as many fewer workers; results are scaled up.
    """

    name: str
    title: str
    submissions: int
    batches: int = 0
    thinned: int = 1

    @property
    def alone(self) -> int:
        """The number of submissions that are submitted one by one."""
        return self.submissions - _CLASS * self.batches


SCENARIOS = {
    each.name: each
    for each in (
        Scenario("course", "a course: 300 students hand in", 300),
        Scenario("class", "the same course, handed in by its teacher as one batch", 300, 1),
        Scenario("university", "a university: 14,000 students hand in, and teachers for 20 classes of 300", 20_000, 20),
        Scenario("mooc", "a MOOC: 1,000,000 students hand in", 1_000_000, thinned=10),
    )
}


@dataclass(frozen=True)
class Week:
    """The stages of a week's submissions.

    Attributes:
        definitions: jobs of mode none, which is also the first stage of mode full.
        quick: jobs of mode quick.
        graphs: GPU seconds for the models of each submission in mode full, 0 if they are cached.
    """

    definitions: list[Job]
    quick: list[Job]
    graphs: list[float]

    @classmethod
    def drawn(cls, scenario: Scenario, parameters: Parameters, seed: int) -> Week:
        """Draw a week.

        Args:
            scenario: who submits.
            parameters: how long things take.
            seed: the seed of the draw.
        """
        generator, measured, assumed = random.Random(seed), parameters.measured, parameters.assumed
        handed_in = _handed_in(generator, scenario, parameters)
        typical = sum(measured.definitions_cpu_seconds) / len(measured.definitions_cpu_seconds)
        gpu = sum(parameters.estimated.gpu_seconds_per_new_model)
        week = cls([], [], [])
        for number, (at, owner) in enumerate(handed_in, 1):
            earlier = number * scenario.thinned
            seconds = generator.choice(measured.definitions_cpu_seconds)
            slow = assumed.slow_seconds if generator.random() < assumed.slow_share else 0.0
            # The derivative of n ** novelty: the chance that the models of the n-th are new.
            new = generator.random() < assumed.novelty * earlier ** (assumed.novelty - 1)
            known = measured.quick_known_cpu_seconds * seconds / typical
            week.definitions.append(Job(at, owner, seconds + slow))
            week.quick.append(Job(at, owner, known + slow + new * measured.quick_new_models_cpu_seconds))
            week.graphs.append(new * gpu)
        return week


@dataclass(frozen=True)
class Plan:
    """A number of workers of one queue, and the simulated week with them."""

    scenario: Scenario
    mode: str
    queue: str
    simulated: int
    jobs: Sequence[Job]
    outcome: Outcome

    @property
    def workers(self) -> int:
        """The number of workers."""
        return self.simulated * self.scenario.thinned

    @property
    def longest_queue(self) -> int:
        """The longest queue."""
        return self.outcome.longest_queue * self.scenario.thinned

    def seconds_waited(self) -> float:
        """Return the mean seconds of waiting in the last hour before the deadline."""
        last = [wait for job, wait in zip(self.jobs, self.outcome.waits, strict=True) if -3600 <= job.at <= 0]
        return sum(last) / max(1, len(last))

    def seconds_worked(self) -> float:
        """Return the mean seconds that a worker takes for a job."""
        return sum(job.seconds for job in self.jobs) / len(self.jobs)

    def waits(self) -> list[float]:
        """Return the sorted seconds of waiting of students who submitted alone, or of batches if there are none."""
        pairs = zip(self.jobs, self.outcome.waits, strict=True)
        return sorted(wait for job, wait in pairs if job.owner >= 0) or sorted(self.outcome.waits)

    def slowest_batch(self) -> float:
        """Return the seconds from the submission of the slowest batch until its last report."""
        return max(
            (end - job.at for job, end in zip(self.jobs, self.outcome.ends, strict=True) if job.owner < 0), default=0.0
        )

    def line(self) -> str:
        """Return a line of the table whose head is `HEAD`."""
        waits, outcome = self.waits(), self.outcome
        times = "".join(f"{percentile(waits, share):>8,.0f}" for share in (0.5, 0.95, 0.99, 1.0))
        used = f"{outcome.utilisation:>8.0%}{outcome.utilisation_at_peak:>9.0%}"
        batch = f"{self.slowest_batch():>9,.0f}" if any(job.owner < 0 for job in self.jobs) else f"{'-':>9}"
        return f"{self.mode:7}{self.queue:5}{self.workers:>8,}{times}{batch}{used}{self.longest_queue:>9,}"


HEAD = (
    f"{'mode':7}{'queue':5}{'workers':>8}{'p50':>8}{'p95':>8}{'p99':>8}{'worst':>8}"
    f"{'batch':>9}{'used':>8}{'at peak':>9}{'queued':>9}"
)


def sized(scenario: Scenario, parameters: Parameters, seed: int) -> list[Plan]:
    """Return the smallest numbers of workers for each mode.

    The second stage of mode full is there twice: as it is, with a worker that runs the notebook's own training cells on
    the CPU while its GPU waits; and as if a worker only trained the models' graphs.
    """
    week = Week.drawn(scenario, parameters, seed)
    none, quick = _plan(scenario, "none", week.definitions), _plan(scenario, "quick", week.quick)
    own = parameters.assumed.own_training_cells_seconds
    whole = jobs_after(week.definitions, none.outcome, [own + each for each in week.graphs])
    graphs = jobs_after(week.definitions, none.outcome, week.graphs)
    return [none, quick, _plan(scenario, "full", whole, "gpu"), _plan(scenario, "graphs", graphs, "gpu")]


def share_of(workers: int) -> int:
    """Return GRADER_SHARE as docs/operating.md advises: one submitter can keep all workers busy."""
    return max(_LEAST_SHARE, 2 * workers)


def smallest(enough: Callable[[int], bool], least: int) -> int:
    """Return the smallest number of workers that is enough, to within one in a hundred.

    Args:
        enough: whether a number is enough; if it is, so is every larger one.
        least: a lower bound.
    """
    below, above = least - 1, least
    while not enough(above):
        below, above = above, math.ceil(1.5 * above)
    while above - below > max(1, _PRECISION * above):
        middle = (below + above) // 2
        below, above = (below, middle) if enough(middle) else (middle, above)
    return above


def _plan(scenario: Scenario, mode: str, jobs: Sequence[Job], queue: str = "cpu") -> Plan:
    found: dict[int, Plan] = {}

    def enough(workers: int) -> bool:
        outcome = simulate(jobs, workers, share_of(workers))
        found[workers] = plan = Plan(scenario, mode, queue, workers, jobs, outcome)
        if queue == "gpu":
            return percentile(sorted(plan.outcome.waits), 0.95) <= GPU_SECONDS
        alone = any(job.owner >= 0 for job in jobs)
        in_time = not alone or percentile(plan.waits(), 0.95) <= STUDENT_SECONDS
        return in_time and plan.slowest_batch() <= BATCH_SECONDS

    whole = max(jobs[-1].at - jobs[0].at, BATCH_SECONDS if queue == "cpu" else GPU_SECONDS)
    least = max(1, math.floor(sum(job.seconds for job in jobs) / (whole + GPU_SECONDS)))
    return found[smallest(enough, least)]


def _handed_in(generator: random.Random, scenario: Scenario, parameters: Parameters) -> list[tuple[float, int]]:
    """Return the arrival time and the owner of each submission; batches have owners below 0."""
    alone = scenario.alone // scenario.thinned
    times = arrivals(generator, alone, parameters.assumed.arrivals)
    batches = [(-generator.uniform(0, _BATCHES_WITHIN), -number) for number in range(1, scenario.batches + 1)]
    return sorted(
        [*((at, owner) for owner, at in enumerate(times)), *(each for each in batches for _ in range(_CLASS))]
    )
