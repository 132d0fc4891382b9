"""A batch under random kills: every submission ends in one report, the same as without kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.postgresql import server
from tests.support.random_kills import graded_calmly, graded_under_kills
from tests.support.running_service import RunningService, notebooks

SUBMISSIONS, KILLS, SEED = 30, 8, 1


@pytest.mark.slow
def test_under_random_kills_every_submission_ends_in_the_report_of_a_calm_day(tmp_path: Path) -> None:
    # On PostgreSQL: the steps of a job are tried on SQLite.
    with (
        server() as postgresql,
        RunningService(tmp_path, 2, database=postgresql.create(), attempts=KILLS + 3) as service,
    ):
        service.worker()
        files = notebooks(SUBMISSIONS)
        calm = graded_calmly(service, files)
        outcome = graded_under_kills(service, files, calm, KILLS, SEED, told=print)
    assert outcome.good, str(outcome)
    assert outcome.kills.total() == KILLS
