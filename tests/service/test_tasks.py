"""`JobRunner`: a job is claimed, graded and stored, and each kind of failure is handled."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import redis
from sqlalchemy import update

from grader.grading.session import GradingSession
from grader.models.recipe import Mode
from grader.results.report import Verdict
from grader.service.settings import Settings
from grader.service.store.columns import now
from grader.service.store.queries.executed_notebooks import find_executed_notebook
from grader.service.store.queries.keys import find_current_key, rotate_key
from grader.service.store.queries.leases import Finish, Lease, cancel_jobs, claim_lease, finish_job, reconcile_leases
from grader.service.store.queries.reports import load_stored_report
from grader.service.store.queries.submissions import find_submissions
from grader.service.store.schema import JobRow, Stage, State
from grader.service.tasks import JobRunner
from grader.submission.submission import Submission, read_notebook
from grader.training.datasets import DataSet
from tests.support.keys import KEY
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.running_service import DOUBLED, ROOT, RunningService, notebooks

RIGHT = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")
SLOW = notebook_bytes("import time\ntime.sleep(1.5)", "def double(X): return X + X", "def halve(X): return X / 2")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service without workers. Leases are so short that one that is not renewed is lost."""
    with RunningService(tmp_path_factory.mktemp("service"), lease_seconds=0.5) as made:
        yield made


@pytest.fixture(scope="module")
def runner(service: RunningService) -> Iterator[JobRunner]:
    """A job runner in this process."""
    with closing(JobRunner(service.settings, service.app)) as made:
        made.session.warm_up([DOUBLED])
        yield made


def accepted(service: RunningService, data: bytes = RIGHT, mode: Mode = Mode.NONE, assignment: str = DOUBLED) -> str:
    """Return the batch of one submission, whose key is "one"."""
    return service.accept({"one": data}, mode, assignment)


def job_of(service: RunningService, batch: str) -> JobRow:
    return service.gradings(batch)["one"]


@contextmanager
def at(step: str, call: Callable[[], None]) -> Iterator[None]:
    """Call a function when a runner reaches a step."""

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == step:
                call()

    log, watching = logging.getLogger("grader.service.tasks"), Watching()
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(watching)
    try:
        yield
    finally:
        log.removeHandler(watching)
        log.setLevel(level)


def test_a_grading_ends_in_one_report_however_often_it_is_asked_for(service: RunningService, runner: JobRunner) -> None:
    batch = accepted(service)
    for _ in range(3):
        runner.run(job_of(service, batch).id, "cpu")
    assert [report.score for report in service.reports(batch)["one"]] == [3]
    assert (job_of(service, batch).state, job_of(service, batch).attempts) == (State.GRADED, 1)


def test_notebooks_are_kept_as_they_were_run(service: RunningService, runner: JobRunner) -> None:
    batch = accepted(service, notebook_bytes("def double(X): return X + X", "print(double(21))"))
    row = job_of(service, batch)
    runner.run(row.id, "cpu")
    executed = find_executed_notebook(service.store, row.submission, "homework.ipynb")
    assert executed
    assert executed.cells[1]["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "42\n"}]


def test_what_waits_for_another_queue_is_left_alone(service: RunningService, runner: JobRunner) -> None:
    batch = accepted(service)
    runner.run(job_of(service, batch).id, "gpu")
    assert job_of(service, batch).state is State.WAITING
    cancel_jobs(service.store, batch)


def test_who_has_graded_asks_for_what_waits(service: RunningService, runner: JobRunner) -> None:
    first, second = accepted(service), accepted(service)
    runner.run(job_of(service, first).id, "cpu")
    with redis.Redis(port=service.redis.port) as connection:
        assert str(connection.lrange("cpu", 0, -1)).count(job_of(service, second).id) >= 1
    cancel_jobs(service.store, second)


@pytest.mark.parametrize(
    ("files", "why"),
    [([("homework.ipynb", b"{")], "homework.ipynb"), ([], "there is no notebook in it")],
    ids=["no notebook in the file", "no file"],
)
def test_a_submission_that_cannot_be_read_has_a_report_that_says_so(
    service: RunningService, runner: JobRunner, files: list[tuple[str, bytes]], why: str
) -> None:
    batch = service.accept_files({"one": files})
    runner.run(job_of(service, batch).id, "cpu")
    ended = job_of(service, batch)
    assert (ended.state, ended.refused, ended.attempts) == (State.GRADED, True, 1)
    assert why in ended.message
    (status,) = find_submissions(service.store, batch)
    report = load_stored_report(service.store, status.id)
    assert report
    assert (report.score, report.pending_points, report.obstacle) == (0, report.max_score, ended.message)


def test_a_fault_of_ours_is_tried_three_times_and_is_for_staff(service: RunningService, runner: JobRunner) -> None:
    data = notebook_bytes("# whose blob is lost")
    batch = accepted(service, data)
    for blob in (service.folder / "blobs").rglob("*"):
        if blob.is_file() and blob.read_bytes() == data:
            blob.unlink()
    for attempt in (1, 2, 3):
        assert job_of(service, batch).state is State.WAITING
        runner.run(job_of(service, batch).id, "cpu")
        assert job_of(service, batch).attempts == attempt
    ended = job_of(service, batch)
    assert (ended.state, ended.refused) == (State.FAILED, False)
    assert "blob" in ended.message


def test_a_test_that_breaks_over_one_submission_is_for_staff_and_not_tried_again(
    service: RunningService, runner: JobRunner, tmp_path: Path
) -> None:
    frail = tmp_path / "frail"
    shutil.copytree(DOUBLED, frail)
    with open(frail / "test_doubled.py", "a") as file:
        file.write(
            "\n\n@item('double')\ndef test_frail(student: Student) -> None:\n"
            "    {2.0: 'right'}[float(student.double(torch.ones(1)))]\n"
        )
    batch = service.accept(
        {"ann": RIGHT, "ben": notebook_bytes("def double(X): return 3 * X"), "cho": RIGHT}, Mode.NONE, str(frail)
    )
    for job in service.gradings(batch).values():
        runner.run(job.id, "cpu")
    ended = service.gradings(batch)
    assert {key: (job.state, job.attempts) for key, job in ended.items()} == {
        "ann": (State.GRADED, 1),
        "ben": (State.FAILED, 1),
        "cho": (State.GRADED, 1),
    }
    assert "a test of double broke: test_doubled.py, line " in ended["ben"].message
    assert "test_frail: KeyError: 3.0" in ended["ben"].message


def test_a_rubric_that_is_broken_is_a_fault_of_ours(service: RunningService, runner: JobRunner, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(DOUBLED, broken)
    with open(broken / "test_doubled.py", "a") as file:
        file.write("raise LookupError('a slip')\n")
    batch = accepted(service, assignment=str(broken))
    runner.run(job_of(service, batch).id, "cpu")
    assert job_of(service, batch).state is State.WAITING
    assert "a slip" in job_of(service, batch).message
    cancel_jobs(service.store, batch)


def test_memory_of_ours_that_one_submission_exhausts_is_its_own_fault(
    service: RunningService, runner: JobRunner, tmp_path: Path
) -> None:
    greedy = tmp_path / "greedy"
    shutil.copytree(ASSIGNMENTS / "poisoned", greedy)
    test = greedy / "test_poisoned.py"
    test.write_text(test.read_text().replace("os._exit(1)", "bytearray(16 * 2**30)"))
    batch = accepted(service, notebook_bytes("def value(): return 13"), assignment=str(greedy))
    runner.run(job_of(service, batch).id, "cpu")
    ended = job_of(service, batch)
    assert (ended.state, ended.attempts) == (State.FAILED, 1)
    assert "the process that judges needed more than 2 GiB for this submission" in ended.message
    assert runner.exhausted  # so that the worker replaces the process
    other = accepted(service)
    runner.run(job_of(service, other).id, "cpu")
    assert job_of(service, other).state is State.GRADED
    assert not runner.exhausted


def test_a_lease_is_renewed_while_its_holder_grades(service: RunningService, runner: JobRunner) -> None:
    batch = accepted(service, SLOW)
    ends: list[datetime | None] = []

    def note() -> None:
        ends.append(job_of(service, batch).lease_until)

    with at("grading", note), at("graded", note):
        runner.run(job_of(service, batch).id, "cpu")
    first, last = ends
    assert first
    assert last
    assert last > first


@pytest.mark.slow
def test_who_lost_the_lease_is_refused_and_the_other_s_report_counts(
    service: RunningService, runner: JobRunner
) -> None:
    batch = accepted(service)
    other: list[Lease | None] = []

    def take() -> None:
        job = job_of(service, batch).id
        while not any(other):  # on a busy machine the holder may renew its lease in between
            with service.store.session() as session:
                session.execute(update(JobRow).where(JobRow.id == job).values(lease_until=now() - 1))
            other[:] = [claim_lease(service.store, job, "another", 60, "cpu")]

    with at("graded", take):
        runner.run(job_of(service, batch).id, "cpu")
    assert service.reports(batch)["one"] == []
    (lease,) = other
    assert lease
    with GradingSession() as session:
        report = session.grade(Submission((read_notebook("homework.ipynb", RIGHT),)), DOUBLED)
    assert finish_job(service.store, lease, report) is Finish.REPORTED
    assert len(service.reports(batch)["one"]) == 1


def test_a_database_that_is_away_is_no_exception(service: RunningService) -> None:
    away = Settings(database="postgresql+psycopg://127.0.0.1:1/none", blobs=service.settings.blobs)
    with closing(JobRunner(away, service.app)) as runner:
        runner.run("a grading", "cpu")


HANG = """
import sys
from grader.service.broker import make_broker_app
from grader.service.settings import Settings
from grader.service.tasks import JobRunner
settings = Settings.from_environment()
JobRunner(settings, make_broker_app(settings)).run(sys.argv[1], "cpu")
"""


@pytest.mark.slow
def test_a_process_that_hangs_gives_back_what_it_has_and_ends_itself(service: RunningService, tmp_path: Path) -> None:
    hanging = tmp_path / "hanging"
    shutil.copytree(ASSIGNMENTS / "poisoned", hanging)
    for file, old, new in (
        ("test_poisoned.py", "os._exit(1)", "__import__('time').sleep(1000)"),
        ("rubric.toml", "submission_seconds = 20", "submission_seconds = 8"),
        ("rubric.toml", "judge_seconds = 20", "judge_seconds = 3"),
        ("rubric.toml", "cell_seconds = 5", "cell_seconds = 4"),
    ):
        text = (hanging / file).read_text()
        assert old in text
        (hanging / file).write_text(text.replace(old, new))
    batch = accepted(service, notebook_bytes("def value(): return 13"), assignment=str(hanging))
    ended = subprocess.run(
        [sys.executable, "-c", HANG, job_of(service, batch).id], cwd=ROOT, env=service.environment(), check=False
    )
    assert ended.returncode == 70
    assert job_of(service, batch).state is State.WAITING
    assert "hangs" in job_of(service, batch).message
    cancel_jobs(service.store, batch)


@pytest.mark.slow
def test_definitions_and_trainings_are_graded_apart_and_come_to_what_one_run_comes_to(
    service: RunningService, runner: JobRunner, fashion_mnist: DataSet
) -> None:
    learned = str(ASSIGNMENTS / "learned")
    model = """
    from torch import nn
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(144, 10))
        def forward(self, X):
            return self.net(X)
    """
    data = notebook_bytes("def double(X): return X + X", model)
    batch = accepted(service, data, Mode.FULL, learned)
    runner.run(job_of(service, batch).id, "cpu")
    between = job_of(service, batch)
    assert (between.stage, between.state) == (Stage.TRAININGS, State.WAITING)
    assert service.reports(batch)["one"] == []
    runner.run(between.id, "gpu")
    (report,) = service.reports(batch)["one"]
    whole = runner.session.grade(Submission((read_notebook("homework.ipynb", data),)), learned, Mode.FULL)
    assert [item.verdict for item in report.items] == [Verdict.PASSED] * 2, [item.message for item in report.items]
    assert report.canonical() == whole.canonical()
    assert find_executed_notebook(service.store, between.submission, "homework.ipynb")


@pytest.mark.slow
def test_a_rubric_that_changed_between_the_stages_judges_both(
    service: RunningService, runner: JobRunner, tmp_path: Path, fashion_mnist: DataSet
) -> None:
    learned = tmp_path / "learned"
    shutil.copytree(ASSIGNMENTS / "learned", learned)
    batch = accepted(service, notebook_bytes("def double(X): return X + X"), Mode.FULL, str(learned))
    runner.run(job_of(service, batch).id, "cpu")
    tests = learned / "test_learned.py"
    tests.write_text(tests.read_text().replace("== 42", "== 43"))
    runner.run(job_of(service, batch).id, "gpu")
    (report,) = service.reports(batch)["one"]
    assert [item.verdict for item in report.items] == [Verdict.ABSENT, Verdict.FAILED]
    assert report.revision == runner.session.find_revision(str(learned))


@pytest.mark.slow
def test_a_key_that_changed_between_the_stages_grades_both(
    service: RunningService, runner: JobRunner, fashion_mnist: DataSet
) -> None:
    batch = accepted(service, notebook_bytes("def double(X): return X + X"), Mode.FULL, str(ASSIGNMENTS / "learned"))
    runner.run(job_of(service, batch).id, "cpu")
    key = rotate_key(service.store)
    runner.run(job_of(service, batch).id, "gpu")
    (report,) = service.reports(batch)["one"]
    assert report.key == key.id


def test_all_workers_grade_with_the_key_in_the_database_until_it_is_rotated(
    service: RunningService, runner: JobRunner
) -> None:
    first, second = accepted(service), accepted(service)
    runner.run(job_of(service, first).id, "cpu")
    (before,) = service.reports(first)["one"]
    assert before.key == find_current_key(service.store).id
    key = rotate_key(service.store)
    with closing(JobRunner(service.settings, service.app)) as other:
        other.run(job_of(service, second).id, "cpu")
    assert [report.key for report in service.reports(second)["one"]] == [key.id]
    assert service.reports(first)["one"] == [before]


def test_a_key_file_takes_the_place_of_the_database(service: RunningService, key_file: Path) -> None:
    batch = accepted(service)
    settings = replace(service.settings, key_file=str(key_file))
    with closing(JobRunner(settings, service.app)) as runner:
        runner.run(job_of(service, batch).id, "cpu")
    assert [report.key for report in service.reports(batch)["one"]] == [KEY.id]


def test_nothing_is_left_for_a_reconciler(service: RunningService, runner: JobRunner) -> None:
    batch = service.accept(notebooks(2))
    for row in service.gradings(batch).values():
        runner.run(row.id, "cpu")
    reconciled = reconcile_leases(service.store, 3)
    assert (reconciled.given_back, reconciled.failed) == (0, 0)
