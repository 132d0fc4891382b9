"""`python -m grader.grading_process`: what it answers, and that it ends with whoever gave it orders."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.report import Report
from tests.notebooks import notebook_bytes
from tests.processes import descendants

DOUBLED = str(Path(__file__).parent / "faults" / "doubled")
SHARED = {"assignment": DOUBLED, "mode": "none", "data": "", "trainings_at_once": 1}
COMMAND = [sys.executable, "-P", "-m", "grader.grading_process"]
RIGHT = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")


class Process:
    """The process, and one line of JSON each way."""

    def __init__(self, log: Any) -> None:
        self.popen = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def tell(self, order: dict[str, Any]) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(order).encode() + b"\n")
        self.popen.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.popen.stdout is not None
        answer: dict[str, Any] = json.loads(self.popen.stdout.readline())
        return answer

    def answer(self) -> dict[str, Any]:
        while {"patience", "doing"} & (answer := self.hear()).keys():
            continue
        return answer


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Start a process with what its submissions have in common; at the end it is killed."""
    with tempfile.TemporaryFile() as log:
        started: list[Process] = []

        def call(**others: Any) -> Process:
            started.append(Process(log))
            started[-1].tell({**SHARED, **others})
            return started[-1]

        yield call
        for process in started:
            process.popen.kill()
            process.popen.wait()
            for stream in (process.popen.stdin, process.popen.stdout):
                assert stream is not None
                stream.close()


def files(**notebooks: bytes) -> dict[str, Any]:
    return {
        "files": [
            {"name": f"{name}.ipynb", "base64": base64.b64encode(content).decode()}
            for name, content in notebooks.items()
        ]
    }


def all_end(processes: set[int], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while left := {each for each in processes if Path(f"/proc/{each}").exists()}:
        if time.monotonic() > end:
            return False
        processes = left
        time.sleep(0.05)
    return True


def test_submissions_are_answered_one_after_the_other(start: Callable[..., Process]) -> None:
    process = start()
    assert process.answer() == {"ready": True}
    process.tell(files(a=RIGHT))
    assert process.hear()["patience"] > 0
    assert "doing" in process.hear()
    report = Report.from_json(process.answer()["report"])
    assert (report.score, report.files[0].name) == (3, "a.ipynb")
    process.tell(files(b=b"{"))
    assert "b.ipynb" in process.answer()["unreadable"]
    process.tell(files(b=notebook_bytes("def double(X): return X")))
    assert Report.from_json(process.answer()["report"]).score == 0


def test_what_a_rubric_prints_is_no_answer(start: Callable[..., Process], tmp_path: Path) -> None:
    folder = tmp_path / "talkative"
    folder.mkdir()
    folder.joinpath("rubric.toml").write_text(
        'title = "t"\npoints = 1\npackages = ["torch"]\n[sections]\n1 = "s"\n'
        '[[items]]\nid = "value"\nsection = "1"\ntitle = "t"\npoints = 1\nnames = ["value"]\n'
    )
    folder.joinpath("test_value.py").write_text(
        "import os, sys\nfrom grader.testing import Student, item\nos.write(1, b'{not json')\n"
        "@item('value')\ndef test_value(student: Student) -> None:\n    print('x', file=sys.__stdout__, flush=True)\n"
        "    assert student.value() == 1\n"
    )
    process = start(assignment=str(folder))
    assert process.answer() == {"ready": True}
    process.tell(files(a=notebook_bytes("def value(): return 1")))
    assert Report.from_json(process.answer()["report"]).score == 1


def test_an_assignment_that_is_wrong_is_told(start: Callable[..., Process], tmp_path: Path) -> None:
    assert "rubric.toml" in start(assignment=str(tmp_path)).answer()["wrong"]


def test_a_data_set_that_is_not_where_it_must_be_is_told(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start(mode="quick", data=str(tmp_path))
    assert process.answer() == {"ready": True}
    process.tell(files(a=RIGHT))
    assert str(tmp_path) in process.answer()["wrong"]


@pytest.mark.parametrize("how", ["input ends", "terminated"])
def test_it_ends_in_the_midst_of_a_submission_and_leaves_nothing(start: Callable[..., Process], how: str) -> None:
    process = start()
    assert process.answer() == {"ready": True}
    process.tell(files(a=notebook_bytes("import time", "time.sleep(4)")))
    while not process.hear().get("doing", "").startswith("running"):
        continue
    started = descendants(process.popen.pid)
    assert started
    if how == "input ends":
        assert process.popen.stdin is not None
        process.popen.stdin.close()
    else:
        os.kill(process.popen.pid, signal.SIGTERM)
    process.popen.wait(30)
    assert all_end(started)
