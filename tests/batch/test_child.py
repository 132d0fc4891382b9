"""`python -m grader.batch.child`: what it answers, and that its forks end with the process that uses them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grader.batch.messages import (
    GRADE_ANSWERS,
    BatchSettings,
    ChildReady,
    CommandError,
    ExitCode,
    ExitCodeRequest,
    FinishedReport,
    Forked,
    ForkRequest,
    GradeRequest,
    GradingStep,
    LongestSilence,
    SubmittedFile,
)
from grader.installation_key import InstallationKey
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.messages import pack_message, unpack_message
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.processes import descendants

DOUBLED = ASSIGNMENTS / "doubled"
# Another one than that of the processes' environment.
KEY = InstallationKey(b"the key of a batch")
SETTINGS = BatchSettings(DOUBLED, Mode.NONE, data=None, trainings_at_once=1, unsafe=False, reads_graphs=False, key=KEY)
RIGHT = notebook_bytes("def double(X): return X + X", "def halve(X): return X / 2")


class Process:
    """A loaded process, one fork of it that grades, and a line to each."""

    def __init__(self, log: Any, settings: BatchSettings) -> None:
        self.loaded, peer = Packets.pair()
        with peer:
            command = [sys.executable, "-P", "-m", "grader.batch.child", str(peer.fileno())]
            self.popen = subprocess.Popen(command, pass_fds=[peer.fileno()], stdout=log, stderr=log)
        self.loaded.send(pack_message(settings))
        self.log = log
        self.pid = 0

    def fork(self) -> None:
        assert self.receive_from_loaded(ChildReady) == ChildReady()
        line, peer = socket.socketpair()
        self.line = Channel(line)
        with peer:
            self.loaded.send(pack_message(ForkRequest()), (self.log.fileno(), peer.fileno()))
        self.pid = self.receive_from_loaded(Forked).pid
        assert self.receive() == ChildReady()

    def receive_from_loaded(self, kind: type[Any]) -> Any:
        return unpack_message(self.loaded.receive(60)[0], kind)

    def exit_code(self) -> int:
        self.loaded.send(pack_message(ExitCodeRequest(self.pid)))
        code: int = self.receive_from_loaded(ExitCode).code
        return code

    def grade(self, **notebooks: bytes) -> None:
        files = tuple(SubmittedFile(f"{name}.ipynb", content) for name, content in notebooks.items())
        self.line.send(pack_message(GradeRequest(files)))

    def receive(self) -> Any:
        return unpack_message(self.line.receive(60), ChildReady, *GRADE_ANSWERS)

    def outcome(self) -> Any:
        while isinstance(message := self.receive(), LongestSilence | GradingStep):
            continue
        return message

    def report(self) -> Report:
        outcome = self.outcome()
        assert isinstance(outcome, FinishedReport)
        return Report.from_json(outcome.report)

    def hang_up(self) -> None:
        self.line.close()

    def close(self) -> None:
        self.loaded.close()
        self.popen.kill()
        self.popen.wait()
        if self.pid:
            self.hang_up()


@pytest.fixture
def load() -> Iterator[Callable[..., Process]]:
    """Start a process with these settings; at the end, kill it and close the line to its fork."""
    with tempfile.TemporaryFile() as log:
        started: list[Process] = []

        def call(**others: Any) -> Process:
            started.append(Process(log, replace(SETTINGS, **others)))
            return started[-1]

        yield call
        for process in started:
            process.close()


@pytest.fixture
def start(load: Callable[..., Process]) -> Callable[..., Process]:
    """Start a process and fork it."""

    def call(**others: Any) -> Process:
        process = load(**others)
        process.fork()
        return process

    return call


def all_end(processes: set[int], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while left := {pid for pid in processes if Path(f"/proc/{pid}").exists()}:
        if time.monotonic() > end:
            return False
        processes = left
        time.sleep(0.05)
    return True


@pytest.mark.slow
def test_submissions_are_graded_one_after_the_other(start: Callable[..., Process]) -> None:
    process = start()
    process.grade(a=RIGHT)
    assert process.receive().seconds > 0
    assert isinstance(process.receive(), GradingStep)
    report = process.report()
    assert (report.score, report.files[0].name, report.key) == (3, "a.ipynb", KEY.id)
    process.grade(b=b"{")
    assert "b.ipynb" in process.report().obstacle
    process.grade(b=notebook_bytes("def double(X): return X"))
    assert process.report().score == 0


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write an assignment of one item, `value`, with this test module; return its folder."""

    def call(test: str) -> Path:
        folder = tmp_path / "written"
        folder.mkdir()
        folder.joinpath("rubric.toml").write_text(
            'title = "t"\npoints = 1\npackages = ["torch"]\n[sections]\n1 = "s"\n'
            '[[items]]\nid = "value"\nsection = "1"\ntitle = "t"\npoints = 1\nnames = ["value"]\n'
        )
        imports = "import atexit, os, sys\nfrom pathlib import Path\nfrom grader.testing import Student, item\n"
        folder.joinpath("test_value.py").write_text(imports + test)
        return folder

    return call


@pytest.mark.slow
def test_what_a_rubric_prints_is_not_a_message(start: Callable[..., Process], write: Callable[[str], Path]) -> None:
    folder = write(
        "os.write(1, b'{not json')\n"
        "@item('value')\ndef test_value(student: Student) -> None:\n    print('x', file=sys.__stdout__, flush=True)\n"
        "    assert student.value() == 1\n"
    )
    process = start(assignment=folder)
    process.grade(a=notebook_bytes("def value(): return 1"))
    assert process.report().score == 1


@pytest.mark.slow
def test_a_fork_clears_away_what_is_its_own_and_no_more(
    start: Callable[..., Process], write: Callable[[str], Path]
) -> None:
    folder = write(
        "touch = Path(__file__).with_name\natexit.register(touch('not its own').touch)\n"
        "@item('value')\ndef test_value(student: Student) -> None:\n    atexit.register(touch('its own').touch)\n"
        "    assert student.value() == 1\n"
    )
    process = start(assignment=folder)
    process.grade(a=notebook_bytes("def value(): return 1"))
    process.report()
    os.kill(process.pid, signal.SIGTERM)
    assert process.exit_code() == 0
    assert Path(folder, "its own").exists()
    assert not Path(folder, "not its own").exists()


@pytest.mark.slow
def test_forks_outlive_what_they_were_forked_from(start: Callable[..., Process]) -> None:
    process = start()
    process.popen.kill()
    process.popen.wait()
    process.grade(a=RIGHT)
    assert process.report().score == 3


def test_a_wrong_assignment_is_reported(load: Callable[..., Process], tmp_path: Path) -> None:
    assert "rubric.toml" in load(assignment=tmp_path).receive_from_loaded(CommandError).message


@pytest.mark.slow
def test_a_missing_data_set_is_reported(start: Callable[..., Process], tmp_path: Path) -> None:
    process = start(mode=Mode.QUICK, data=tmp_path)
    process.grade(a=RIGHT)
    assert str(tmp_path) in process.outcome().message


@pytest.mark.slow
@pytest.mark.parametrize("how", ["hung up on", "terminated"])
def test_it_ends_during_a_submission_and_leaves_no_process(start: Callable[..., Process], how: str) -> None:
    process = start()
    process.grade(a=notebook_bytes("import time", "time.sleep(4)"))
    while not getattr(process.receive(), "text", "").startswith("running"):
        continue
    started = descendants(process.pid)
    assert started
    if how == "hung up on":
        process.hang_up()
    else:
        os.kill(process.pid, signal.SIGTERM)
    assert process.exit_code() == 0
    assert all_end(started)
