"""Simulate a week of submissions event by event, by the rules of docs/service.md.

Each submitter has a share of messages that may be sent and unfinished at once. Messages are taken in the order in which
they were sent. A worker grades one submission at a time.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Job", "Outcome", "arrivals", "jobs_after", "percentile", "simulate"]


_PEAK = 600.0  # seconds of the period that is reported as busiest


@dataclass(frozen=True, slots=True)
class Job:
    """One stage of a grading job: when it is accepted, its owner, and the seconds that a worker needs for it."""

    at: float
    owner: int
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """The result of a simulated week.

    Attributes:
        waits: seconds of each job from being accepted until a worker took it, in the jobs' order.
        ends: when each job ended, in the jobs' order.
        longest_queue: the largest number of jobs that were accepted and not yet taken.
        most_published: the largest number of messages in the broker.
        utilisation: the share of time in which workers were busy, over the whole week.
        utilisation_at_peak: the same over the busiest ten minutes.
    """

    waits: list[float]
    ends: list[float]
    longest_queue: int
    most_published: int
    utilisation: float
    utilisation_at_peak: float


def simulate(jobs: Sequence[Job], workers: int, share: int) -> Outcome:
    """Simulate workers that grade these jobs.

    Args:
        jobs: sorted by the time at which they are accepted.
        workers: their number, constant over the week.
        share: how many jobs of one owner may be sent and unfinished at once.
    """
    waits, ends = [0.0] * len(jobs), [0.0] * len(jobs)
    published: deque[int] = deque()  # the messages, in the broker
    behind: defaultdict[int, deque[int]] = defaultdict(deque)  # accepted, beyond their owner's share
    taken_of: defaultdict[int, int] = defaultdict(int)  # published and unfinished, of each owner
    running: list[tuple[float, int]] = []
    waiting = longest_queue = most_published = 0
    arriving, count = 0, len(jobs)
    while arriving < count or running:
        if arriving < count and (not running or jobs[arriving].at <= running[0][0]):
            now, job = jobs[arriving].at, arriving
            arriving += 1
            waiting += 1
            behind[jobs[job].owner].append(job)
        else:
            now, job = heapq.heappop(running)
            taken_of[jobs[job].owner] -= 1
        owner = jobs[job].owner
        held_back = behind[owner]
        while held_back and taken_of[owner] < share:
            taken_of[owner] += 1
            published.append(held_back.popleft())
        if not held_back:
            del behind[owner]
        while published and len(running) < workers:
            taken = published.popleft()
            waiting -= 1
            waits[taken] = now - jobs[taken].at
            ends[taken] = now + jobs[taken].seconds
            heapq.heappush(running, (ends[taken], taken))
        longest_queue = max(longest_queue, waiting)
        most_published = max(most_published, len(published))
    return Outcome(waits, ends, longest_queue, most_published, *_utilisation(jobs, ends, workers))


def _utilisation(jobs: Sequence[Job], ends: Sequence[float], workers: int) -> tuple[float, float]:
    """Return the share of time in which workers were busy: over the week, and in the busiest ten minutes."""
    worked: defaultdict[int, float] = defaultdict(float)
    for job, end in zip(jobs, ends, strict=True):
        start = end - job.seconds
        first, last = int(start // _PEAK), int(end // _PEAK)
        for place in range(first, last + 1):
            worked[place] += min(end, (place + 1) * _PEAK) - max(start, place * _PEAK)
    whole = max(ends) - jobs[0].at
    return sum(worked.values()) / (whole * workers), max(worked.values()) / (_PEAK * workers)


def jobs_after(jobs: Sequence[Job], outcome: Outcome, seconds: Sequence[float]) -> list[Job]:
    """Return the second stage of these jobs, which starts when the first has ended."""
    second = [Job(end, job.owner, each) for job, end, each in zip(jobs, outcome.ends, seconds, strict=True)]
    return sorted(second, key=lambda job: job.at)


def arrivals(generator: random.Random, count: int, shares: Sequence[tuple[float, float]]) -> list[float]:
    """Draw the sorted arrival times of submissions, in seconds; the deadline is 0.

    Args:
        generator: the source of randomness.
        count: the number of submissions.
        shares: pairs of hours before the deadline at which a period begins, and its share; the earliest first.
    """
    begins = [3600 * hours for hours, _ in shares]
    ends = [*begins[1:], 0.0]
    chosen = generator.choices(range(len(shares)), [share for _, share in shares], k=count)
    return sorted(-generator.uniform(begins[place], ends[place]) for place in chosen)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of these sorted values that at least `share` of them do not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]
