"""Submissions under random kills: `python -m benchmarks.faults --submissions 1000 --kills 100 [--database URL]`.

The service is the one of tests/faults: a real Redis, a real database, real workers. The same batch is graded twice,
calm and under kills; the exit code is 1 if a submission is lost, is graded twice, or has another report than when calm.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from tests.support.random_kills import graded_calmly, graded_under_kills
from tests.support.running_service import RunningService, notebooks


def main() -> int:
    """Kill, count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--submissions", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2, help="of the worker")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--database", default="", help="an empty one; without, an SQLite file of its own")
    given = parser.parse_args()
    changed = {"database": given.database} if given.database else {}
    # More attempts than kills: if chance hits one submission three times, that is not the service's fault.
    attempts = given.kills + 3
    with (
        tempfile.TemporaryDirectory(prefix="grader-faults-") as folder,
        RunningService(Path(folder), given.processes, attempts=attempts, **changed) as service,
    ):
        service.worker()
        _say(f"seed {given.seed}, database {service.store.url}")
        files = notebooks(given.submissions)
        calm = graded_calmly(service, files)
        _say(f"calm: {len(calm)} graded")
        outcome = graded_under_kills(service, files, calm, given.kills, given.seed, _say)
    print(outcome)
    return 0 if outcome.good else 1


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
