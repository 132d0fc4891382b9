"""The commands that use a server: real processes of `grader` and of `grader serve`.

No worker runs: gradings are ended by the store, so that reports are there at once.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from grader.render.terminal import render_terminal
from grader.results.report import File, ItemResult, Report, Verdict
from grader.service.settings import Settings
from grader.service.store.database import Store, migrate
from grader.service.store.queries.leases import claim_lease, finish_job
from grader.service.store.queries.queue import mark_enqueued
from grader.service.store.queries.tokens import Role, create_token
from tests.support.notebooks import notebook_bytes
from tests.support.store_content import unreadable_report

GRADER = Path(sys.executable).with_name("grader")
SECONDS = 60
KOREAN = "김하늘"
UPLOAD_BYTES = 2**20

Ran = subprocess.CompletedProcess[str]
Run = Callable[..., Ran]


@dataclass(frozen=True)
class ServiceInProcess:
    """A server without a worker."""

    url: str
    store: Store
    secret: str

    def end(self, points: float = 3, revision: str = "r1", refused: str = "") -> int:
        """End every grading that waits: with a report, or with one that says why nothing can be read."""
        gradings = mark_enqueued(self.store, share=1000, republish_seconds=1e-9)
        for each in gradings:
            lease = claim_lease(self.store, each.job, "a test", 60, each.queue)
            if lease is not None:
                unread = unreadable_report(refused, "hw2.ipynb", revision)
                finish_job(self.store, lease, unread if refused else report(points, revision))
        return len(gradings)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceInProcess]:
    """`grader serve` over SQLite, with no broker and the token of an instructor."""
    folder = tmp_path_factory.mktemp("service")
    variables = {
        "GRADER_DATABASE": f"sqlite:///{folder}/grader.sqlite",
        "GRADER_BLOBS": f"file://{folder}/blobs",
        "GRADER_BROKER": "redis://127.0.0.1:1/0",
        "GRADER_UPLOAD_BYTES": str(UPLOAD_BYTES),
    }
    settings = Settings.from_environment(variables)
    migrate(settings)
    store = Store.open(settings)
    secret = create_token(store, "staff", Role.INSTRUCTOR)
    command = [str(GRADER), "serve", "--port", "0"]
    with subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        started = (re.search(r"http://[\d.]+:\d+", line) for line in iter(process.stderr.readline, ""))
        found = next(filter(None, started), None)
        assert found, process.poll()
        yield ServiceInProcess(found[0], store, secret)
        process.terminate()
        process.stderr.read()
    store.close()


@pytest.fixture
def run(service: ServiceInProcess, tmp_path: Path) -> Run:
    """Run the grader with the server and the token in the environment, and without a terminal."""
    environment = {
        "GRADER_SERVER": service.url,
        "GRADER_TOKEN": service.secret,
        "XDG_CONFIG_HOME": str(tmp_path / "settings"),
    }

    def call(*arguments: str | Path, stdin: str | None = None, **variables: str) -> Ran:
        return subprocess.run(
            [GRADER, *arguments],
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200", **environment, **variables},
            input=stdin or "",
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
        )

    return call


@pytest.fixture
def student(run: Run, service: ServiceInProcess, tmp_path: Path) -> Run:
    """Run the grader as a student of this test only."""
    secret = create_token(service.store, tmp_path.name, Role.STUDENT, person=tmp_path.name)
    return partial(run, GRADER_TOKEN=secret)


@pytest.fixture
def notebooks(tmp_path: Path) -> list[Path]:
    """The notebooks of one student."""
    files = [tmp_path / name for name in ("hw2_ch7.ipynb", "hw2_ch8.ipynb")]
    for file in files:
        file.write_bytes(notebook_bytes(f"# {tmp_path.name} {file.name}"))
    return files


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """The folder of a class of two, different in each test."""
    folder = tmp_path / "class"
    for name in (KOREAN, "[bold]lee"):
        (folder / name).mkdir(parents=True)
        (folder / name / "hw2.ipynb").write_bytes(notebook_bytes(f"# {tmp_path.name} {name}"))
    return folder


def report(points: float, revision: str) -> Report:
    item = ItemResult("pool2d", "7.5", "pooling", points, 4, Verdict.PARTIAL, "right in some cases")
    return Report("hw2", "HW2", revision, (File("hw2.ipynb", "0" * 64),), (item,))


def id_of(ran: Ran, what: str = "batch") -> str:
    assert ran.returncode == 0, ran.stderr
    found: str = json.loads(ran.stdout)[what]
    return found


def in_terminal(found: Report) -> str:
    """Return a report as `grader check` shows it."""
    console = Console(file=io.StringIO(), width=200)
    render_terminal(found, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_login_tries_the_token_and_stores_it_for_its_owner_only(
    run: Run, service: ServiceInProcess, tmp_path: Path
) -> None:
    kept = tmp_path / "settings" / "grader" / "token"
    wrong = run("login", "--server", service.url, stdin="grader_nonsense\n")
    assert wrong.returncode == 2
    assert "does not know the token from standard input" in wrong.stderr
    assert not kept.exists()
    right = run("login", "--server", service.url, stdin=f"{service.secret}\n")
    assert right.returncode == 0, right.stderr
    assert service.secret not in right.stdout + right.stderr
    assert kept.stat().st_mode & 0o777 == 0o600
    assert run("status", GRADER_SERVER="", GRADER_TOKEN="").returncode == 0
    kept.chmod(0o644)
    refused = run("status", GRADER_TOKEN="")
    assert refused.returncode == 2
    assert f"chmod 600 {kept}" in refused.stderr


def test_missing_settings_are_errors_and_not_questions(run: Run, service: ServiceInProcess) -> None:
    answer = run("login", "--server", service.url)
    assert (answer.returncode, "this is not a token" in answer.stderr) == (2, True)
    answer = run("status", GRADER_SERVER="")
    assert (answer.returncode, "which server?" in answer.stderr) == (2, True)
    answer = run("status", GRADER_TOKEN="")
    assert (answer.returncode, "grader login --server" in answer.stderr) == (2, True)


def test_a_folder_submitted_twice_is_one_batch_unless_the_title_differs(run: Run, handed_in: Path) -> None:
    first = run("submit", handed_in, "--title", "Week 3", "--json", "-")
    assert json.loads(first.stdout)["submissions"] == 2
    again = run("submit", handed_in, "--title", "Week 3")
    assert f"batch {id_of(first)}: 2 submissions (submitted before" in again.stdout
    other = run("submit", handed_in, "--title", "Week 4", "--json", "-")
    assert id_of(other) != id_of(first)


def test_a_refused_submission_is_explained_in_a_sentence(run: Run, handed_in: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    (tmp_path / "large.zip").write_bytes(bytes(16 * UPLOAD_BYTES))
    for arguments, sentence in (
        ((handed_in, "--assignment", "hw9"), "no assignment 'hw9' is offered"),
        ((tmp_path / "broken.zip",), "zip"),
        ((tmp_path / "large.zip",), "the body is larger than 1,048,576 bytes"),
        ((tmp_path / "gone.zip",), "no such file"),
    ):
        answer = run("submit", *arguments)
        assert answer.returncode == 2, answer.stderr
        assert sentence in answer.stderr
        assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_status_shows_every_state_and_its_exit_code_says_whether_all_is_graded(
    run: Run, service: ServiceInProcess, handed_in: Path
) -> None:
    batch = id_of(run("submit", handed_in, "--title", "[red]Week 5", "--json", "-"))
    listed = run("status")
    assert re.search(rf"{batch} +\[red\]Week 5 +hw2 .* staff +0 / 2", listed.stdout)
    waiting = run("status", batch)
    assert waiting.returncode == 1
    assert "0 of 2 done" in waiting.stdout
    service.end(points=3)
    graded = run("status", batch)
    assert graded.returncode == 0
    assert re.search(rf"{KOREAN} +{KOREAN} +graded +3 / 4", graded.stdout)
    assert "[bold]lee" in graded.stdout
    answer = json.loads(run("status", batch, "--json", "-").stdout)
    assert (answer["states"]["graded"], answer["items"][0]["points"]["score"]) == (2, 3)
    assert run("status", "no-such-batch").returncode == 2


def test_watching_shows_the_progress_until_everything_has_ended(
    run: Run, service: ServiceInProcess, handed_in: Path, tmp_path: Path
) -> None:
    command = [str(GRADER), "submit", str(handed_in), "--title", "watched", "--watch"]
    environment = {"GRADER_SERVER": service.url, "GRADER_TOKEN": service.secret}
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as watching:
        assert watching.stderr
        assert watching.stderr.readline() == "0 of 2 done\n"  # from here on it watches
        assert service.end() >= 2
        output, lines = watching.communicate(timeout=SECONDS)
    assert watching.returncode == 0, lines
    assert lines.splitlines()[-1] == "2 of 2 done"
    assert "2 submissions" in output


def test_unreadable_submissions_give_exit_code_1(
    run: Run, service: ServiceInProcess, handed_in: Path, tmp_path: Path
) -> None:
    batch = id_of(run("submit", handed_in, "--title", "refused", "--json", "-"))
    service.end(refused="this is no notebook")
    watched = run("status", batch, "--watch")
    assert watched.returncode == 1
    assert "unreadable" in watched.stdout
    assert "this is no notebook" in watched.stdout
    fetched = run("fetch", batch, "--out", "out")
    assert fetched.returncode == 0, fetched.stderr  # there are reports, which say so
    assert f"{KOREAN}.json" in os.listdir(tmp_path / "out" / "reports")


@pytest.mark.slow
def test_a_batch_is_fetched_completely_and_not_twice(
    run: Run, service: ServiceInProcess, handed_in: Path, tmp_path: Path
) -> None:
    batch = id_of(run("submit", handed_in, "--title", "fetched", "--json", "-"))
    service.end(points=2)
    fetched = run("fetch", batch, "--out", "out")
    assert fetched.returncode == 0, fetched.stderr
    out = tmp_path / "out"
    page = out / "reports" / f"{KOREAN}.html"
    assert "<!DOCTYPE html>" in page.read_text("utf-8")
    assert Report.from_json(page.with_suffix(".json").read_text("utf-8")).score == 2
    with open(out / "gradebook.csv", encoding="utf-8-sig", newline="") as file:
        assert {row["name"]: float(row["score"]) for row in csv.DictReader(file)}[KOREAN] == 2
    assert "<svg" in (out / "summary.html").read_text("utf-8")
    before = page.stat().st_mtime_ns
    assert run("fetch", batch, "--out", "out", "--format", "html").returncode == 0
    assert page.stat().st_mtime_ns == before
    elsewhere = run("fetch", id_of(run("submit", handed_in, "--title", "other", "--json", "-")), "--out", "out")
    assert (elsewhere.returncode, "give another folder" in elsewhere.stderr) == (2, True)


def test_a_cancelled_batch_is_not_graded(run: Run, service: ServiceInProcess, handed_in: Path) -> None:
    batch = id_of(run("submit", handed_in, "--title", "cancelled", "--json", "-"))
    assert "2 jobs cancelled" in run("cancel", batch).stdout
    assert run("status", batch).returncode == 1
    assert run("cancel", "no-such-batch").returncode == 2


@pytest.mark.slow
def test_a_regrade_shows_changed_points_before_it_is_published(
    run: Run, service: ServiceInProcess, handed_in: Path, tmp_path: Path
) -> None:
    batch = id_of(run("submit", handed_in, "--title", "regraded", "--json", "-"))
    service.end(points=2, revision="an earlier one")
    regraded = run("regrade", batch)
    assert "grading 2 submissions again" in regraded.stdout, regraded.stderr
    service.end(points=4, revision="a later one")
    looked = run("publish", batch, "--dry-run")
    assert re.search(rf"{KOREAN} +{KOREAN} +2 +→ +4", looked.stdout), looked.stderr
    assert "2 drafts, 2 of them change points" in looked.stdout
    assert "2 / 4" in run("status", batch).stdout
    assert "2 reports published" in run("publish", batch).stdout
    assert "4 / 4" in run("status", batch).stdout


def test_a_fetched_batch_has_a_gradebook(run: Run, service: ServiceInProcess, tmp_path: Path) -> None:
    (tmp_path / "class").mkdir()
    for name in ("kim_101_2001_hw2.ipynb", "lee_102_2002_hw2.ipynb"):  # as Canvas calls them
        (tmp_path / "class" / name).write_bytes(notebook_bytes(f"# a gradebook {name}"))
    batch = id_of(run("submit", "class", "--json", "-"))
    service.end(points=2)
    assert run("fetch", batch, "--out", "out").returncode == 0
    written = run("gradebook", "out", "--out", "again.csv")
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "out" / "gradebook.csv").read_bytes()
    canvas = run("gradebook", "out", "--canvas", "-")
    assert canvas.returncode == 0, canvas.stderr
    rows = {row["ID"]: row["HW2"] for row in csv.DictReader(io.StringIO(canvas.stdout.removeprefix("\ufeff")))}
    assert rows == {"": "4", "101": "2", "102": "2"}  # first the points that are possible


def test_a_student_submits_all_notebooks_as_one_submission_and_once(student: Run, notebooks: list[Path]) -> None:
    own = id_of(student("submit", *notebooks, "--json", "-"), "submission")
    assert f"submission {own} (submitted before; use another --title" in student("submit", *notebooks).stdout
    answer = json.loads(student("status", own, "--json", "-").stdout)
    assert [each["name"] for each in answer["notebooks"]] == ["hw2_ch7.ipynb", "hw2_ch8.ipynb"]
    (listed,) = json.loads(student("status", "--json", "-").stdout)
    assert listed == answer


@pytest.mark.slow
def test_a_student_waits_for_the_report_and_sees_it(
    student: Run, service: ServiceInProcess, notebooks: list[Path], tmp_path: Path
) -> None:
    secret = create_token(service.store, f"{tmp_path.name} at home", Role.STUDENT, person=tmp_path.name)
    environment = {"GRADER_SERVER": service.url, "GRADER_TOKEN": secret, "COLUMNS": "200"}
    command = [str(GRADER), "submit", *map(str, notebooks), "--watch"]
    with subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as watching:
        assert watching.stderr
        assert watching.stderr.readline() == "waiting\n"  # from here on it watches
        service.end(points=3)
        output, lines = watching.communicate(timeout=SECONDS)
    assert watching.returncode == 0, lines
    assert lines.splitlines()[-1] == "graded"
    accepted, _, shown = output.partition("\n")
    assert shown == in_terminal(report(3, "r1"))
    # A submission with another token of the same person belongs to them too.
    own = accepted.removeprefix("submission ")
    assert student("status", own, "--watch").stdout == shown


@pytest.mark.slow
def test_a_student_sees_only_their_own_points_and_states(
    run: Run, student: Run, service: ServiceInProcess, notebooks: list[Path], tmp_path: Path
) -> None:
    assert "there are no submissions" in student("status").stdout
    graded = id_of(student("submit", *notebooks, "--json", "-"), "submission")
    service.end(points=3)
    refused = id_of(student("submit", notebooks[0], "--json", "-"), "submission")
    service.end(refused="this is no notebook")
    folder = tmp_path / "class"
    for name in (tmp_path.name, KOREAN):
        (folder / name).mkdir(parents=True)
        (folder / name / "hw2.ipynb").write_bytes(notebook_bytes(f"# {tmp_path.name} of {name}"))
    batch = id_of(run("submit", folder, "--json", "-"))
    ids = {each["name"]: each["id"] for each in json.loads(run("status", batch, "--json", "-").stdout)["items"]}

    listed = student("status")
    assert listed.returncode == 0
    assert re.search(rf"{graded} +hw2 +graded +3 / 4", listed.stdout)
    assert re.search(rf"{refused} +hw2 +unreadable .*this is no notebook", listed.stdout)
    assert re.search(rf"{ids[tmp_path.name]} +hw2 +waiting", listed.stdout)  # staff handed it in
    assert ids[KOREAN] not in listed.stdout
    assert KOREAN not in listed.stdout
    assert student("status", graded).stdout == in_terminal(report(3, "r1"))
    assert [student("status", each).returncode for each in (graded, refused, ids[tmp_path.name])] == [0, 1, 1]
    assert "this is no notebook" in student("status", refused, "--watch").stdout
    for command in (("status",), ("status", "--watch"), ("fetch", "--out", "out"), ("cancel",)):
        answer = student(*command, ids[KOREAN])
        assert (answer.returncode, "this does not exist, or you may not see it" in answer.stderr) == (2, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_student_fetches_reports_side_by_side(
    student: Run, service: ServiceInProcess, notebooks: list[Path], tmp_path: Path
) -> None:
    first = id_of(student("submit", *notebooks, "--json", "-"), "submission")
    service.end(points=2)
    assert student("fetch", first, "--out", "out").stdout == f"out/{first}.json\nout/{first}.html\n"
    second = id_of(student("submit", *notebooks, "--title", "again", "--json", "-"), "submission")
    early = student("fetch", second, "--out", "out")
    assert (early.returncode, early.stdout) == (1, "no report: waiting\n")
    service.end(points=4)
    assert student("fetch", second, "--out", "out").returncode == 0
    out = tmp_path / "out"
    assert {file.name for file in out.iterdir()} == {
        f"{own}.{form}" for own in (first, second) for form in ("json", "html")
    }
    assert [Report.from_json((out / f"{own}.json").read_text("utf-8")).score for own in (first, second)] == [2, 4]
    assert "<!DOCTYPE html>" in (out / f"{first}.html").read_text("utf-8")


@pytest.mark.slow
def test_a_student_cancels_their_own_submission_only(
    student: Run, service: ServiceInProcess, notebooks: list[Path]
) -> None:
    accepted = json.loads(student("submit", *notebooks, "--json", "-").stdout)
    assert "1 jobs cancelled" in student("cancel", accepted["submission"]).stdout
    assert student("status", accepted["submission"]).returncode == 1
    for command in (("regrade",), ("publish",), ("publish", "--dry-run")):
        answer = student(*command, accepted["batch"])
        assert answer.returncode == 2, answer.stderr
        assert "this requires the role instructor; the token's role is student" in answer.stderr
        assert "Traceback" not in answer.stderr
