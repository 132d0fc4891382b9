"""Random kills: a batch is graded while parts of the service are killed, and what came of it is counted."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import func, select

from grader.service.store.schema import EventKind, EventRow, State, SubmissionRow
from tests.support.running_service import RunningService, until

__all__ = ["Outcome", "graded_calmly", "graded_under_kills"]

_BATCHES = 5
_SECONDS_A_SUBMISSION = 10  # at most, kills included
_SECONDS_OF_REDIS_AWAY = 1.0  # at most


@dataclass(frozen=True)
class Outcome:
    """What became of a batch.

    Attributes:
        submissions: how many there were.
        kills: how many of what.
        claims: how often a grading was begun.
        seconds: how long it took.
        lost: the submissions without a report.
        doubled: those with more reports than one, or that were told to be graded more than once.
        different: those whose report is not, byte for byte, what a calm grading came to; and where the two depart.
    """

    submissions: int
    kills: Counter[str]
    claims: int
    seconds: float
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: dict[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether each submission ended in the one report that it has to end in."""
        return not (self.lost or self.doubled or self.different)

    def __str__(self) -> str:
        kills = ", ".join(f"{count} {what}" for what, count in sorted(self.kills.items())) or "none"
        bad = {"lost": self.lost, "doubled": self.doubled, "different": sorted(self.different)}
        lines = [f"{name}: {len(keys)} {' '.join(keys[:10])}" for name, keys in bad.items()]
        graded = f"{self.submissions} submissions, {self.claims} claims, {self.seconds:.0f} s"
        return "\n".join([graded, f"killed: {kills} ({self.kills.total()})", *lines, *self.different.values()])


def graded_calmly(service: RunningService, files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the canonical report of each submission, by its key, when nothing is killed."""
    service.serve()
    batch = service.upload(files, "calm")
    service.wait(batch, _SECONDS_A_SUBMISSION * len(files))
    return {key: report.canonical() for key, (report,) in service.reports(batch).items()}


def graded_under_kills(
    service: RunningService,
    files: Mapping[str, bytes],
    calm: Mapping[str, str],
    kills: int,
    seed: int,
    told: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Grade submissions, which are handed in one batch after the other, while parts of the service are killed.

    Each kill comes when a random share of the submissions is done; one of them also wipes what Redis kept.

    Args:
        service: with workers and an API.
        files: a notebook for each submission's key.
        calm: what reports have to be.
        kills: how many.
        seed: decides what is killed, and when.
        told: told what is done.
    """
    draw = random.Random(seed)
    started = time.monotonic()
    due = sorted(draw.randrange(len(files)) for _ in range(kills))
    wiping = draw.randrange(kills) if kills else -1
    killed: Counter[str] = Counter()
    batches: list[str] = []

    def go_on() -> bool:
        service.keep_working()
        if handing_in.done():
            handing_in.result()  # what went wrong there is told here
        states = Counter(service.states(*batches).values())
        done = states.total() - states[State.WAITING] - states[State.LEASED]
        if due and done >= due[0]:
            what = "Redis, wiped" if killed.total() == wiping else draw.choice(sorted(_KILLS))
            if _KILLS.get(what, _wipe)(service, draw):
                due.pop(0)
                killed[what] += 1
                told(f"{done} of {len(files)} graded; killed: {what}")
        return done == len(files)

    with ThreadPoolExecutor(1) as threads:
        handing_in = threads.submit(_hand_in, service, files, seed, batches)
        until(go_on, _SECONDS_A_SUBMISSION * len(files), service.last_words)
    reports = service.reports(*batches)
    graded = _times_graded(service, batches)
    return Outcome(
        submissions=len(files),
        kills=killed,
        claims=service.attempts(*batches),
        seconds=time.monotonic() - started,
        lost=sorted(key for key in files if not reports.get(key)),
        doubled=sorted(key for key, own in reports.items() if len(own) > 1 or graded[key] > 1),
        different={
            key: _departures(key, calm[key], own[0].canonical())
            for key, own in sorted(reports.items())
            if own and own[0].canonical() != calm[key]
        },
    )


def _departures(key: str, calm: str, found: str) -> str:
    calm_lines, found_lines = (json.dumps(json.loads(report), indent=1).splitlines() for report in (calm, found))
    return "\n".join(difflib.unified_diff(calm_lines, found_lines, f"{key}, calm", f"{key}, under kills", lineterm=""))


def _hand_in(service: RunningService, files: Mapping[str, bytes], seed: int, batches: list[str]) -> None:
    """Hand in one batch after the other, each when half of what was handed in before is done."""
    keys = list(files)
    size = -(-len(keys) // _BATCHES)
    for first in range(0, len(keys), size):
        own = {key: files[key] for key in keys[first : first + size]}
        batches.append(service.upload(own, f"kills-{seed}-{first}"))
        until(lambda: _half_done(service, batches), _SECONDS_A_SUBMISSION * len(files), service.last_words)


def _half_done(service: RunningService, batches: list[str]) -> bool:
    states = Counter(service.states(*batches).values())
    return 2 * (states[State.WAITING] + states[State.LEASED]) <= states.total()


def _times_graded(service: RunningService, batches: list[str]) -> Counter[str]:
    """Return how often each submission was told to be graded, by its key."""
    query = (
        select(SubmissionRow.key, func.count())
        .join(EventRow, EventRow.submission == SubmissionRow.id)
        .where(SubmissionRow.batch.in_(batches), EventRow.kind == EventKind.GRADED)
        .group_by(SubmissionRow.key)
    )
    with service.store.read_session() as session:
        return Counter(dict(session.execute(query).all()))


def _kill_worker(service: RunningService, draw: random.Random) -> bool:
    living = [worker for worker in service.workers if worker.lives]
    draw.choice(living).kill()
    return True


def _kill_one(pids: list[int], draw: random.Random) -> bool:
    """Kill one of these, if there are any: a worker that was started just now has no processes yet."""
    if not pids:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(draw.choice(pids), signal.SIGKILL)
        return True
    return False


def _kill_process(service: RunningService, draw: random.Random) -> bool:
    return _kill_one([pid for worker in service.workers if worker.lives for pid in worker.children()], draw)


def _kill_warm_process(service: RunningService, draw: random.Random) -> bool:
    return _kill_one(service.zygotes(), draw)


def _kill_redis(service: RunningService, draw: random.Random) -> bool:
    service.redis.kill()
    time.sleep(draw.uniform(0, _SECONDS_OF_REDIS_AWAY))
    service.redis.start()
    return True


def _kill_api(service: RunningService, draw: random.Random) -> bool:
    if service.api is None or not service.api.lives:
        return False
    service.api.kill()
    return True


def _wipe(service: RunningService, draw: random.Random) -> bool:
    service.redis.kill()
    service.redis.wipe()
    time.sleep(draw.uniform(0, _SECONDS_OF_REDIS_AWAY))
    service.redis.start()
    return True


_KILLS: Mapping[str, Callable[[RunningService, random.Random], bool]] = {
    "a worker": _kill_worker,
    "the API": _kill_api,
    "a worker's process": _kill_process,
    "a warm process": _kill_warm_process,
    "Redis": _kill_redis,
}
