"""Compare the rate of `grader batch` with processes that only grade.

    python -m benchmarks.throughput [FOLDER] [--submissions 40] [--jobs 2]

The notebooks of a folder are graded without trainings, each time with another comment in the last cell so that no two
are equal: by `grade_batch`, which writes reports, pages, journal, gradebook and summary; by a worker of `--jobs`
processes, with its own Redis and database; and by as many processes that call grade() in a loop. All start cold, and
times are shown with and without the start. No test depends on these figures.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from grader.assignment import find_assignment
from grader.batch.batch import grade_batch
from grader.collection import CollectedSubmission
from grader.results.journal import JournalRecord
from grader.results.report import Report
from grader.service.settings import Settings
from tests.support.running_service import RunningService

REAL = Path("/work/shared/acceptance/real")
_SECONDS_A_SUBMISSION = 30  # at most


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=REAL)
    parser.add_argument("--submissions", type=int, default=40)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    submissions = distinct(sorted(arguments.folder.rglob("*.ipynb")), arguments.submissions)
    print(f"{len(submissions)} submissions, {arguments.jobs} at once, load before {os.getloadavg()[0]:.1f}", flush=True)
    local = locally(submissions, arguments.jobs)
    print(f"grade() in a loop: {told(len(submissions), local)}", flush=True)
    batch = by_batch(submissions, arguments.jobs)
    print(f"grade_batch:       {told(len(submissions), batch)}", flush=True)
    service = by_service(submissions, arguments.jobs)
    print(f"grader worker:     {told(len(submissions), service)}")
    print(f"a batch takes {batch[1] / local[1]:.3f} times as long (with the start {batch[0] / local[0]:.3f})")
    print(f"a service takes {service[1] / local[1]:.3f} times as long (with the start {service[0] / local[0]:.3f})")


def told(submissions: int, seconds: tuple[float, float]) -> str:
    """Return a rate in words."""
    whole, warm = seconds
    return f"{60 * submissions / warm:6.1f} a minute ({warm:.1f} s, and {whole - warm:.1f} s to start)"


def distinct(notebooks: list[Path], count: int) -> list[CollectedSubmission]:
    """Return `count` submissions of these notebooks in turn, no two with the same bytes."""
    found = []
    for number in range(count):
        path = notebooks[number % len(notebooks)]
        content = json.loads(path.read_text("utf-8"))
        cell = next(each for each in reversed(content["cells"]) if each["cell_type"] == "code")
        cell["source"] = "".join(cell["source"]) + f"\n# {number}"
        file = (path.name, json.dumps(content, ensure_ascii=False).encode())
        found.append(CollectedSubmission(f"{path.stem}-{number}", path.stem, files=(file,)))
    return found


class Clock:
    """Notes when the first submission runs, which is when the processes are warm."""

    def __init__(self) -> None:
        self.warm = 0.0

    def on_start(self, submissions: int, done: int, jobs: int) -> None:
        """Ignore it."""

    def on_step(self, process: int, key: str, what: str) -> None:
        if what.startswith("running") and not self.warm:
            self.warm = time.perf_counter()

    def on_end(self, record: JournalRecord, report: Report | None) -> None:
        assert report is not None, record.message


def by_batch(submissions: list[CollectedSubmission], jobs: int) -> tuple[float, float]:
    """Return the seconds of a batch, counted from its start and from when it is warm."""
    clock, started = Clock(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        grade_batch(submissions, find_assignment("hw2"), Path(folder), clock, jobs=jobs)
    ended = time.perf_counter()
    return ended - started, ended - clock.warm


def by_service(submissions: list[CollectedSubmission], jobs: int) -> tuple[float, float]:
    """Return the seconds of a worker, counted from its start and from when it is warm and a batch is submitted."""
    usual = Settings(assignments="hw2")
    changed = {"lease_seconds": usual.lease_seconds, "republish_seconds": usual.republish_seconds, "share": usual.share}
    # Other bytes, or the reports would exist already; enough of them that each process has had one.
    first = {f"warm-{each.key}": each.files[0][1] + b" " for each in submissions[: 2 * jobs]}
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningService(Path(folder), jobs, assignments=usual.assignments, **changed) as service,
    ):
        started = time.perf_counter()
        service.worker()
        service.wait(service.hand_in(first, assignment=usual.assignments))
        warm = time.perf_counter()
        service.wait(
            service.hand_in({each.key: each.files[0][1] for each in submissions}, assignment=usual.assignments),
            _SECONDS_A_SUBMISSION * len(submissions),
        )
        ended = time.perf_counter()
    return ended - started, ended - warm


def locally(submissions: list[CollectedSubmission], jobs: int) -> tuple[float, float]:
    """Return the seconds of processes that share the submissions, from their start and from when all are warm."""
    spawn, started = multiprocessing.get_context("spawn"), time.perf_counter()
    pairs = [spawn.Pipe() for _ in range(jobs)]
    processes = [
        spawn.Process(target=in_a_loop, args=(peers, submissions[number::jobs]))
        for number, (_, peers) in enumerate(pairs)
    ]
    for process in processes:
        process.start()
    for ours, _ in pairs:
        ours.recv()
    warm = time.perf_counter()
    for ours, _ in pairs:
        ours.send("go")
    for process in processes:
        process.join()
        assert process.exitcode == 0
    ended = time.perf_counter()
    return ended - started, ended - warm


def in_a_loop(starter: Connection, submissions: list[CollectedSubmission]) -> None:
    """Grade these submissions in this process."""
    from grader.grading.grade import grade
    from grader.sandbox.host.sandbox import Zygote
    from grader.submission.submission import Submission, read_notebook

    assignment = find_assignment("hw2")
    with Zygote(assignment.packages) as zygote:
        assert not zygote.missing
        starter.send("warm")
        starter.recv()
        for one in submissions:
            notebooks = tuple(read_notebook(name, content) for name, content in one.files)
            grade(Submission(notebooks), assignment, zygote)


if __name__ == "__main__":
    main()
