"""`grade_batch`: its files, resuming, and processes that break."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from grader.assignment import Assignment, load_assignment
from grader.batch.batch import GRADEBOOK, SUMMARY, _choose_jobs, grade_batch
from grader.batch.sources import collect_sources
from grader.collection import CollectedSubmission
from grader.errors import InputError, SystemFault
from grader.installation_key import load_installation_key, rotate_key_file
from grader.models.recipe import Mode
from grader.render.html import render_html
from grader.results.journal import JOURNAL, JournalRecord, Status, append_record, read_journal
from grader.results.report import Report, Verdict
from grader.results.source_cells import Sources
from tests.support.crashing_rubric import Noted, handed_in, moody
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.processes import descendants


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    """The assignment with a rubric that can break the process that grades."""
    return moody(tmp_path / "moody")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that a batch writes to."""
    return tmp_path / "reports"


def graded(
    submissions: Sequence[CollectedSubmission], assignment: Assignment, out: Path, jobs: int = 1, stop_after: int = 0
) -> Noted:
    noted = Noted(stop_after)
    grade_batch(submissions, assignment, out, noted, jobs=jobs)
    return noted


def report_in(out: Path, key: str) -> Report:
    return Report.from_json((out / f"{key}.json").read_text("utf-8"))


def run_by(noted: Noted) -> set[str]:
    return {key for key, what in noted.steps if what.startswith("running")}


def child_processes() -> set[str]:
    threads = Path("/proc/self/task").iterdir()
    return {child for thread in threads for child in (thread / "children").read_text().split()}


@pytest.mark.slow
def test_a_class_is_written_even_if_some_submissions_are_unreadable(assignment: Assignment, out: Path) -> None:
    everybody = [
        handed_in("kim", 1),
        handed_in("이서연", -1),
        CollectedSubmission("park", "Park", {}, (("park.ipynb", b"{"),)),
        CollectedSubmission("choi", "Choi", {}, (("homework.pdf", b"%PDF-1.7"),)),
        CollectedSubmission("jung", "Jung"),
    ]
    noted = graded(everybody, assignment, out, jobs=2)
    assert noted.begun == (5, 0, 2)
    ended = {key: (record.status, record.message) for key, record in read_journal(out).items()}
    assert ended["kim"] == ended["이서연"] == (Status.GRADED, "")
    assert ended["park"][0] is ended["choi"][0] is Status.UNREADABLE
    assert "park.ipynb" in ended["park"][1]
    assert "homework.pdf" in ended["choi"][1]
    assert "homework.pdf" not in ended["jung"][1]
    assert [report_in(out, key).score for key in ("kim", "이서연")] == [1, 0]
    for key in ("park", "choi", "jung"):
        report = report_in(out, key)
        assert (report.score, report.pending_points, report.passed) == (0, report.max_score, False)
        assert report.obstacle == ended[key][1]
    assert "A number" in (out / "kim.html").read_text("utf-8")
    assert {path.name for path in out.iterdir()} == {
        *(f"{item.key}.{ending}" for item in everybody for ending in ("json", "html")),
        *(JOURNAL, GRADEBOOK, SUMMARY, ".lock", ".sources"),
    }
    assert "Student kim" in (out / SUMMARY).read_text("utf-8")
    gradebook = (out / GRADEBOOK).read_text("utf-8-sig")
    assert "이서연" in gradebook
    assert "homework.pdf: this is a PDF, not a notebook" in gradebook
    assert "hand in the notebook itself" in (out / SUMMARY).read_text("utf-8")
    assert graded(everybody, assignment, out).begun[:2] == (5, 5)


@pytest.mark.slow
def test_a_file_that_was_not_used_is_named_in_the_gradebook_and_the_summary(assignment: Assignment, out: Path) -> None:
    kim = handed_in("kim", 1)
    files = (*kim.files, ("part2.ipynb", b"{"), ("x.csv", b"1"))
    graded([replace(kim, files=files)], assignment, out)
    assert read_journal(out)["kim"].files.keys() == {"kim.ipynb", "part2.ipynb", "x.csv"}
    assert [file.name for file in report_in(out, "kim").companions] == ["x.csv"]
    for name in (GRADEBOOK, SUMMARY):
        assert "part2.ipynb: no valid JSON" in (out / name).read_text("utf-8-sig")


@pytest.mark.slow
def test_what_is_done_is_not_graded_again_and_what_changed_is(assignment: Assignment, out: Path) -> None:
    everybody = [handed_in("kim", 1), handed_in("lee", 2), handed_in("park", 3)]
    assert run_by(graded(everybody, assignment, out)) == {"kim", "lee", "park"}
    again = graded(everybody, assignment, out)
    assert (again.begun, again.steps) == ((3, 3, 1), [])

    (out / "lee.json").unlink()
    everybody[2] = handed_in("park", -3)
    changed = graded([*everybody, handed_in("choi", 4)], assignment, out)
    assert changed.begun[:2] == (4, 1)
    assert run_by(changed) == {"lee", "park", "choi"}
    assert report_in(out, "park").score == 0

    (assignment.folder / "test_value.py").write_text((assignment.folder / "test_value.py").read_text() + "# revised\n")
    revised = graded(everybody, load_assignment(assignment.folder), out)
    assert run_by(revised) == {"kim", "lee", "park"}


@pytest.mark.slow
def test_reports_of_an_earlier_key_stay_and_new_ones_are_made_with_the_new_key(
    assignment: Assignment, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_KEY_FILE", str(tmp_path / "key"))
    graded([handed_in("kim", 1)], assignment, out)
    before = (out / "kim.json").read_bytes()
    earlier, current = load_installation_key(), rotate_key_file()
    resumed = graded([handed_in("kim", 1), handed_in("lee", 2), handed_in("choi", 3)], assignment, out, jobs=2)
    assert run_by(resumed) == {"lee", "choi"}
    assert (out / "kim.json").read_bytes() == before
    assert report_in(out, "kim").key == earlier.id
    assert {report_in(out, key).key for key in ("lee", "choi")} == {current.id}


@pytest.mark.slow
def test_a_batch_that_was_stopped_goes_on_and_leaves_no_process(assignment: Assignment, out: Path) -> None:
    everybody = [handed_in(f"student-{number}", number) for number in range(1, 6)]
    others = child_processes()
    with pytest.raises(KeyboardInterrupt):
        graded(everybody, assignment, out, jobs=2, stop_after=2)
    assert child_processes() <= others
    done = set(read_journal(out))
    assert len(done) == 2
    rest = graded(everybody, assignment, out, jobs=2)
    assert set(rest.records) == {item.key for item in everybody} - done
    assert (out / JOURNAL).read_bytes().count(b"\n") == 5


@pytest.mark.slow
def test_a_report_is_the_same_however_many_processes_grade(assignment: Assignment, out: Path, tmp_path: Path) -> None:
    everybody = [handed_in(f"student-{number}", number - 2) for number in range(5)]
    for folder, jobs in ((out, 1), (tmp_path / "others", 2)):
        graded(everybody, assignment, folder, jobs)
    for item in everybody:
        assert report_in(out, item.key).canonical() == report_in(tmp_path / "others", item.key).canonical()


@pytest.mark.slow
def test_the_same_files_are_graded_once_and_their_names_count(assignment: Assignment, out: Path) -> None:
    everybody = [
        handed_in("kim", 1, "hw.ipynb"),
        handed_in("lee", 1, "hw.ipynb"),
        handed_in("park", 1, "homework.ipynb"),
    ]
    assert run_by(graded(everybody, assignment, out)) == {"kim", "park"}
    assert (out / "kim.json").read_bytes() == (out / "lee.json").read_bytes()
    assert report_in(out, "park").files[0].name == "homework.ipynb"
    assert set(read_journal(out)) == {"kim", "lee", "park"}


@pytest.mark.slow
def test_a_submission_that_breaks_its_process_is_a_system_error_and_the_others_go_on(
    assignment: Assignment, out: Path
) -> None:
    everybody = [handed_in("kim", 1), handed_in("poison", 13), handed_in("lee", 2)]
    noted = graded(everybody, assignment, out)
    poisoned = noted.records["poison"]
    assert poisoned.status is Status.FAILED
    assert "exit code 7" in poisoned.message
    assert "last words" in poisoned.message
    assert len([step for step in noted.steps if step == ("poison", "judging")]) == 3
    assert [noted.records[key].status for key in ("kim", "lee")] == [Status.GRADED] * 2
    assert not (out / "poison.json").exists()


@pytest.mark.slow
def test_what_takes_too_much_memory_to_judge_is_a_system_error_and_the_others_go_on(
    assignment: Assignment, out: Path
) -> None:
    everybody = [handed_in("kim", 1), handed_in("lists", 17), handed_in("lee", 2), handed_in("tensors", 18)]
    noted = graded(everybody, assignment, out)
    for key in ("lists", "tensors"):
        assert noted.records[key].status is Status.FAILED
        assert "the process that judges needed more than 1 GiB for this submission" in noted.records[key].message
        assert len([step for step in noted.steps if step == (key, "judging")]) == 1
        assert not (out / f"{key}.json").exists()
    assert [noted.records[key].status for key in ("kim", "lee")] == [Status.GRADED] * 2


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_answer_that_breaks_a_test_concerns_that_submission_alone(
    assignment: Assignment, out: Path, jobs: int
) -> None:
    everybody = [handed_in("ann", 1), handed_in("ben", None), handed_in("cho", "a text"), handed_in("dan", 2)]
    noted = graded(everybody, assignment, out, jobs)
    assert {key: record.status for key, record in noted.records.items()} == {
        "ann": Status.GRADED,
        "ben": Status.GRADED,
        "cho": Status.FAILED,
        "dan": Status.GRADED,
    }
    (item,) = report_in(out, "ben").items
    assert (item.verdict, item.points) == (Verdict.FAILED, 0)
    assert item.message == "value is not written yet: its body is only `return None`"
    fault = noted.records["cho"].message
    assert re.search(r"a test of value broke: test_value\.py, line \d+, test_value_gives_a_number: TypeError: ", fault)
    # Once with definitions that are restored and once as they were, and not three times: it would break again.
    assert len([step for step in noted.steps if step == ("cho", "judging")]) == 2
    assert [report_in(out, key).score for key in ("ann", "dan")] == [1, 1]

    again = graded(everybody, assignment, out, jobs)
    assert run_by(again) == {"cho"}
    assert again.records["cho"].message == fault


@pytest.mark.slow
def test_a_submission_whose_report_cannot_be_written_is_a_system_error(
    assignment: Assignment, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(report: Report, sources: Sources) -> str:
        if report.files[0].name == "ben.ipynb":
            raise ValueError("a slip of ours")
        return render_html(report, sources)

    monkeypatch.setattr("grader.batch.batch.render_html", render)
    noted = graded([handed_in("ann", 1), handed_in("ben", 2), handed_in("cho", 3)], assignment, out)
    assert [noted.records[key].status for key in ("ann", "ben", "cho")] == [Status.GRADED, Status.FAILED, Status.GRADED]
    assert "a slip of ours" in noted.records["ben"].message
    assert not (out / "ben.json").exists()


@pytest.mark.slow
def test_what_broke_is_tried_again(assignment: Assignment, out: Path) -> None:
    noted = graded([handed_in("kim", 1)], assignment, out)
    append_record(out, replace(noted.records["kim"], status=Status.FAILED, report="", message="was killed"))
    assert run_by(graded([handed_in("kim", 1)], assignment, out)) == {"kim"}


@pytest.mark.slow
def test_a_process_that_was_killed_costs_nothing(assignment: Assignment, out: Path) -> None:
    noted = graded([handed_in("kim", 14)], assignment, out)
    assert noted.records["kim"].status is Status.GRADED
    assert len([step for step in noted.steps if step == ("kim", "judging")]) == 2
    assert report_in(out, "kim").score == 1


class Looking(Noted):
    """Look for zygotes whenever a submission has ended, and kill the first one if `kills`."""

    def __init__(self, kills: bool) -> None:
        super().__init__()
        self.zygotes: set[int] = set()
        self._kills = kills
        self._others = find_zygotes()

    def on_end(self, record: JournalRecord, report: Report | None) -> None:
        super().on_end(record, report)
        found = find_zygotes() - self._others
        if self._kills and not self.zygotes:
            os.kill(min(found), signal.SIGKILL)
        self.zygotes |= found


def find_zygotes() -> set[int]:
    """Return the zygotes of this process without their forks."""
    parents = {pid: parent_of(pid) for pid in descendants(os.getpid()) if is_zygote(pid)}
    return {pid for pid, parent in parents.items() if parent and parent not in parents}


def parent_of(process: int) -> int:
    """Return a process's parent, or 0 if the process has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def is_zygote(process: int) -> bool:
    try:
        return b"grader.sandbox.jail.zygote" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
def test_all_processes_share_one_zygote(assignment: Assignment, out: Path) -> None:
    noted = Looking(kills=False)
    everybody = [handed_in(f"student-{number}", number) for number in range(1, 5)]
    grade_batch(everybody, assignment, out, noted, jobs=2)
    assert {record.status for record in noted.records.values()} == {Status.GRADED}
    assert len(noted.zygotes) == 1


@pytest.mark.slow
def test_if_the_shared_zygote_dies_each_process_starts_its_own(assignment: Assignment, out: Path) -> None:
    noted = Looking(kills=True)
    everybody = [handed_in(f"student-{number}", number) for number in range(1, 6)]
    grade_batch(everybody, assignment, out, noted, jobs=2)
    assert {record.status for record in noted.records.values()} == {Status.GRADED}
    assert len(noted.zygotes) >= 2


@pytest.fixture
def loaded(assignment: Assignment) -> Path:
    """A file with the process id of every process that loaded the assignment's tests."""
    test, loaded = assignment.folder / "test_value.py", assignment.folder / "loaded"
    noting = f"with open({str(loaded)!r}, 'a') as file:\n    print(os.getpid(), file=file)\n"
    test.write_text(test.read_text() + noting)
    return loaded


@pytest.mark.slow
def test_what_all_submissions_need_is_loaded_once(assignment: Assignment, loaded: Path, out: Path) -> None:
    everybody = [handed_in(f"student-{number}", number) for number in range(1, 5)]
    noted = graded(everybody, load_assignment(assignment.folder), out, jobs=2)
    assert {record.status for record in noted.records.values()} == {Status.GRADED}
    assert len(loaded.read_text().split()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "read"), [("def double(x): return x + x", False), ("class Model: pass", True)])
def test_what_reads_graphs_is_loaded_if_a_submission_has_a_model(
    tmp_path: Path, out: Path, cell: str, read: bool
) -> None:
    folder = tmp_path / "learned"
    shutil.copytree(ASSIGNMENTS / "learned", folder)
    test = folder / "test_learned.py"
    noting = "import sys\nfrom pathlib import Path\nif 'torch._dynamo' in sys.modules:\n    "
    test.write_text(test.read_text() + f"{noting}Path(__file__).with_name('read').touch()\n")
    one = CollectedSubmission("kim", "Kim", {}, (("kim.ipynb", notebook_bytes(cell)),))
    assert graded([one], load_assignment(folder), out).records["kim"].status is Status.GRADED
    assert (folder / "read").exists() is read


@pytest.mark.slow
def test_if_the_loaded_process_dies_its_forks_go_on_and_the_next_fork_is_of_another(
    assignment: Assignment, loaded: Path, out: Path
) -> None:
    everybody = [handed_in("kim", 1), handed_in("orphaned", 16), handed_in("killed once", 14)]
    noted = graded(everybody, load_assignment(assignment.folder), out)
    assert {record.status for record in noted.records.values()} == {Status.GRADED}
    assert noted.steps.count(("orphaned", "judging")) == 1
    assert len(loaded.read_text().split()) == 2


@pytest.mark.slow
def test_a_silent_process_is_killed(out: Path, tmp_path: Path) -> None:
    noted = graded([handed_in("kim", 15), handed_in("lee", 1)], moody(tmp_path / "impatient", seconds=2), out)
    assert noted.records["kim"].status is Status.FAILED
    assert "silent for 6 s" in noted.records["kim"].message
    assert noted.records["lee"].status is Status.GRADED


def test_a_process_that_cannot_be_started_ends_the_batch(
    assignment: Assignment, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nprint('no memory', file=sys.stderr)\nos._exit(9)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SystemFault, match="exit code 9; the end of its log: no memory"):
        graded([handed_in("kim", 1), handed_in("lee", 2)], assignment, out, jobs=2)
    assert read_journal(out) == {}


def test_two_batches_do_not_write_to_one_folder(assignment: Assignment, out: Path) -> None:
    class Second(Noted):
        message = ""

        def on_start(self, submissions: int, done: int, jobs: int) -> None:
            try:
                graded([], assignment, out)
            except InputError as error:
                self.message = str(error)

    first = Second()
    grade_batch([], assignment, out, first)
    assert "another `grader batch`" in first.message
    graded([], assignment, out)  # the first is done


@pytest.mark.slow
def test_a_folder_with_another_assignment_s_reports_is_refused(assignment: Assignment, out: Path) -> None:
    graded([handed_in("kim", 1)], assignment, out)
    with pytest.raises(InputError, match="has reports of moody"):
        graded([handed_in("kim", 1)], replace(assignment, name="other"), out)


def test_a_folder_that_cannot_be_written_is_refused(assignment: Assignment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write reports"):
        graded([], assignment, tmp_path / "file" / "reports")


@pytest.mark.slow
def test_a_new_submission_that_cannot_be_read_replaces_the_report(assignment: Assignment, out: Path) -> None:
    graded([handed_in("kim", 1)], assignment, out)
    graded([CollectedSubmission("kim", "Kim", {}, (("kim.ipynb", b"{"),))], assignment, out)
    assert report_in(out, "kim").obstacle.startswith("kim.ipynb: no valid JSON")
    assert read_journal(out)["kim"].status is Status.UNREADABLE


@pytest.mark.slow
def test_a_student_called_summary_does_not_write_over_the_summary(assignment: Assignment, out: Path) -> None:
    graded([handed_in("Summary", 1)], assignment, out)
    assert "All submissions" in (out / SUMMARY).read_text("utf-8")
    assert (out / read_journal(out)["Summary"].report).is_file()


@pytest.mark.slow
def test_a_torn_line_of_the_journal_is_graded_again(assignment: Assignment, out: Path) -> None:
    graded([handed_in("kim", 1), handed_in("lee", 2)], assignment, out)
    journal = (out / JOURNAL).read_bytes()
    (out / JOURNAL).write_bytes(journal[:-30])
    assert len(graded([handed_in("kim", 1), handed_in("lee", 2)], assignment, out).records) == 1
    assert set(read_journal(out)) == {"kim", "lee"}


@pytest.mark.slow
def test_the_overview_is_of_everything_in_the_folder(assignment: Assignment, out: Path) -> None:
    graded([handed_in("kim", 1)], assignment, out)
    append_record(out, JournalRecord("lee", "Lee", {}, assignment.revision, "none", Status.FAILED, "was killed"))
    append_record(
        out, JournalRecord("park", "Park", {}, assignment.revision, "none", Status.GRADED, report="park.json")
    )  # is lost
    overview = grade_batch([handed_in("kim", 1)], assignment, out, Noted())
    assert overview.counts == {"graded": 1, "unreadable": 0, "failed": 2}
    assert [item.key for item in overview.failed] == ["lee", "park"]


def test_folders_and_notebooks_are_collected_together_under_keys_that_differ(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "kim").mkdir(parents=True)
        (tmp_path / folder / "kim" / "hw2.ipynb").write_bytes(notebook_bytes(f"x = '{folder}'"))
    (tmp_path / "lee.ipynb").write_bytes(notebook_bytes("x = 3"))
    found, _ = collect_sources([tmp_path / "one", tmp_path / "lee.ipynb", tmp_path / "two"], tmp_path / "out")
    assert sorted(item.key for item in found) == ["kim", "kim-2", "lee"]
    with pytest.raises(InputError, match="lies inside"):
        collect_sources([tmp_path / "one"], tmp_path / "one" / "reports")


def test_notebooks_of_one_name_are_called_by_their_folders(tmp_path: Path) -> None:
    for student in ("kim", "lee"):
        (tmp_path / student).mkdir()
        (tmp_path / student / "hw2.ipynb").write_bytes(b"{}")
    found, _ = collect_sources([tmp_path / "kim" / "hw2.ipynb", tmp_path / "lee" / "hw2.ipynb"], tmp_path / "out")
    assert [item.key for item in found] == ["kim", "lee"]


@pytest.mark.parametrize(("mode", "on_one", "on_two"), [(Mode.NONE, 2, 3), (Mode.QUICK, 1, 2), (Mode.FULL, 1, 2)])
def test_if_nothing_is_trained_more_processes_grade_than_there_are_cores(mode: Mode, on_one: int, on_two: int) -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, sorted(cores)[:1])
        assert _choose_jobs(mode) == on_one
        os.sched_setaffinity(0, sorted(cores)[:2])
        assert _choose_jobs(mode) == (on_two if len(cores) > 1 else on_one)
    finally:
        os.sched_setaffinity(0, cores)
