"""`python -m grader.batch.child`: what it answers, and that its forks end with whoever gave them orders."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader.results.report import Report
from grader.sandbox.protocol.channels import Packets
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.processes import descendants

DOUBLED = str(ASSIGNMENTS / "doubled")
SHARED = {"assignment": DOUBLED, "mode": "none", "data": "", "trainings_at_once": 1, "reads_graphs": False}
RIGHT = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")


class Process:
    """A process that is loaded, one fork of it that grades, and a line to each."""

    def __init__(self, log: Any, shared: dict[str, Any]) -> None:
        self.loaded, theirs = Packets.pair()
        with theirs:
            command = [sys.executable, "-P", "-m", "grader.batch.child", str(theirs.fileno())]
            self.popen = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=log, stderr=log)
        self.loaded.send(shared)
        self.log = log
        self.pid = 0

    def fork(self) -> None:
        assert self.loaded.receive(60)[0] == {"ready": True}
        self.line, theirs = socket.socketpair()
        with theirs:
            self.loaded.send({}, (self.log.fileno(), theirs.fileno()))
        self.pid = self.loaded.receive(60)[0]["pid"]
        self.heard = self.line.makefile("rb")
        assert self.answer() == {"ready": True}

    def tell(self, order: dict[str, Any]) -> None:
        self.line.sendall(json.dumps(order).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.heard.readline())
        return answer

    def answer(self) -> dict[str, Any]:
        while {"patience", "doing"} & (answer := self.hear()).keys():
            continue
        return answer

    def hang_up(self) -> None:
        self.heard.close()
        self.line.close()

    def close(self) -> None:
        self.loaded.close()
        self.popen.kill()
        self.popen.wait()
        if self.pid:
            self.hang_up()


@pytest.fixture
def load() -> Iterator[Callable[..., Process]]:
    """Start a process with what its submissions have in common; at the end it is killed, and its fork hung up on."""
    with tempfile.TemporaryFile() as log:
        started: list[Process] = []

        def call(**others: Any) -> Process:
            started.append(Process(log, {**SHARED, **others}))
            return started[-1]

        yield call
        for process in started:
            process.close()


@pytest.fixture
def start(load: Callable[..., Process]) -> Callable[..., Process]:
    """Start one, and have it forked."""

    def call(**others: Any) -> Process:
        process = load(**others)
        process.fork()
        return process

    return call


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


@pytest.mark.slow
def test_submissions_are_answered_one_after_the_other(start: Callable[..., Process]) -> None:
    process = start()
    process.tell(files(a=RIGHT))
    assert process.hear()["patience"] > 0
    assert "doing" in process.hear()
    report = Report.from_json(process.answer()["report"])
    assert (report.score, report.files[0].name) == (3, "a.ipynb")
    process.tell(files(b=b"{"))
    assert "b.ipynb" in process.answer()["unreadable"]
    process.tell(files(b=notebook_bytes("def double(X): return X")))
    assert Report.from_json(process.answer()["report"]).score == 0


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    """Write an assignment of one item, `value`, with this test module; return its folder."""

    def call(test: str) -> str:
        folder = tmp_path / "written"
        folder.mkdir()
        folder.joinpath("rubric.toml").write_text(
            'title = "t"\npoints = 1\npackages = ["torch"]\n[sections]\n1 = "s"\n'
            '[[items]]\nid = "value"\nsection = "1"\ntitle = "t"\npoints = 1\nnames = ["value"]\n'
        )
        imports = "import atexit, os, sys\nfrom pathlib import Path\nfrom grader.testing import Student, item\n"
        folder.joinpath("test_value.py").write_text(imports + test)
        return str(folder)

    return call


def test_what_a_rubric_prints_is_no_answer(start: Callable[..., Process], write: Callable[[str], str]) -> None:
    folder = write(
        "os.write(1, b'{not json')\n"
        "@item('value')\ndef test_value(student: Student) -> None:\n    print('x', file=sys.__stdout__, flush=True)\n"
        "    assert student.value() == 1\n"
    )
    process = start(assignment=folder)
    process.tell(files(a=notebook_bytes("def value(): return 1")))
    assert Report.from_json(process.answer()["report"]).score == 1


@pytest.mark.slow
def test_a_fork_clears_away_what_is_its_own_and_no_more(
    start: Callable[..., Process], write: Callable[[str], str]
) -> None:
    folder = write(
        "touch = Path(__file__).with_name\natexit.register(touch('not its own').touch)\n"
        "@item('value')\ndef test_value(student: Student) -> None:\n    atexit.register(touch('its own').touch)\n"
        "    assert student.value() == 1\n"
    )
    process = start(assignment=folder)
    process.tell(files(a=notebook_bytes("def value(): return 1")))
    assert "report" in process.answer()
    os.kill(process.pid, signal.SIGTERM)
    process.loaded.send({"ended": process.pid})
    assert process.loaded.receive(30)[0] == {"exit_code": 0}
    assert Path(folder, "its own").exists()
    assert not Path(folder, "not its own").exists()


@pytest.mark.slow
def test_forks_outlive_what_they_were_forked_from(start: Callable[..., Process]) -> None:
    process = start()
    process.popen.kill()
    process.popen.wait()
    process.tell(files(a=RIGHT))
    assert Report.from_json(process.answer()["report"]).score == 3


def test_an_assignment_that_is_wrong_is_told(load: Callable[..., Process], tmp_path: Path) -> None:
    assert "rubric.toml" in load(assignment=str(tmp_path)).loaded.receive(60)[0]["wrong"]


@pytest.mark.slow
def test_a_data_set_that_is_not_where_it_must_be_is_told(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start(mode="quick", data=str(tmp_path))
    process.tell(files(a=RIGHT))
    assert str(tmp_path) in process.answer()["wrong"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hung up on", "terminated"])
def test_it_ends_in_the_midst_of_a_submission_and_leaves_nothing(start: Callable[..., Process], how: str) -> None:
    process = start()
    process.tell(files(a=notebook_bytes("import time", "time.sleep(4)")))
    while not process.hear().get("doing", "").startswith("running"):
        continue
    started = descendants(process.pid)
    assert started
    if how == "hung up on":
        process.hang_up()
    else:
        os.kill(process.pid, signal.SIGTERM)
    process.loaded.send({"ended": process.pid})
    assert process.loaded.receive(30)[0] == {"exit_code": 0}
    assert all_end(started)
