"""Tests of grader/resident/server.py, with real commands of a user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.resident.client import receive_message, send_message
from grader.resident.endpoint import SUFFIX
from grader.results.report import Report
from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.paths import ROOT
from tests.support.processes import descendants, runs, wait_until
from tests.support.resident import ResidentCommands, open_resident_commands

_CHECK = ("check", "hw2.ipynb", "--training", "none")
_ENDLESS = notebook_bytes("while True: pass")


@pytest.fixture
def own(warm: ResidentCommands) -> Iterator[Path]:
    """The folder of an assignment that hardly anybody knows."""
    assert warm.run("assignment", "new", "own_hw1").returncode == 0
    yield warm.folder / "own_hw1"
    shutil.rmtree(warm.folder / "own_hw1")


def _connect(commands: ResidentCommands) -> socket.socket:
    (path,) = commands.sockets.glob(f"*{SUFFIX}")
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    folder = os.open(commands.sockets, os.O_RDONLY)
    line.connect(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    return line


def test_a_report_is_the_same_as_without_it(warm: ResidentCommands) -> None:
    reports = [
        Report.from_json(warm.run(*_CHECK, "--json", "-", *options).stdout).canonical()
        for options in ([], ["--no-daemon"])
    ]
    assert reports[0] == reports[1]


def test_all_commands_are_run_by_one_process(warm: ResidentCommands) -> None:
    before = warm.status()
    shown = [warm.run(*_CHECK) for _ in range(2)]
    after = warm.status()
    assert [ran.returncode for ran in shown] == [1, 1]
    assert shown[0].stdout == shown[1].stdout
    assert [each["pid"] for each in after] == [each["pid"] for each in before]
    assert after[0]["commands"] == before[0]["commands"] + 2
    assert after[0]["running"] == 0


def test_another_assignment_is_loaded_for_the_next_command(warm: ResidentCommands, own: Path) -> None:
    shown = [warm.run("check", own / "example.ipynb", "--assignment", own) for _ in range(2)]
    assert [ran.returncode for ran in shown] == [1, 1], shown[0].stderr
    assert shown[0].stdout == shown[1].stdout
    assert str(own) in warm.status()[0]["assignments"]


def test_a_changed_rubric_counts_at_once(warm: ResidentCommands, own: Path) -> None:
    check = ("check", own / "example.ipynb", "--assignment", own, "--item", "accuracy")
    assert warm.run(*check).returncode == 0
    test = own / "test_classification.py"
    before = test.read_text()
    test.write_text(before.replace("student.accuracy(case.X, case.y), accuracy", "7, accuracy"))
    assert warm.run(*check).returncode == 1
    test.write_text(before)
    assert warm.run(*check).returncode == 0


def test_a_command_keeps_its_folder_variables_permissions_and_input(warm: ResidentCommands, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_bytes(notebook_bytes(CORR2D))
    script = 'umask 027; cd "$1"; GRADER_KEY_FILE="$1/key" "$2" check - --training none --json out.json < a.ipynb'
    program = Path(sys.executable).with_name("grader")
    ran = subprocess.run(
        ["sh", "-c", script, "sh", tmp_path, program],
        env=warm.environment,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert (ran.returncode, ran.stderr) == (1, "")
    assert (tmp_path / "out.json").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "key").is_file()
    assert json.loads((tmp_path / "out.json").read_text())["key"]


def test_a_mistake_is_told_as_without_it(warm: ResidentCommands) -> None:
    for words in (["check", "missing.ipynb"], ["check", "hw2.ipynb", "--assignment", "hw99"], ["batch", "--out"]):
        here = warm.run(*words)
        alone = warm.run(*words, GRADER_NO_DAEMON="1")
        assert here.returncode == alone.returncode == 2
        assert (here.stdout, here.stderr) == (alone.stdout, alone.stderr)


def test_a_class_is_graded_in_it(warm: ResidentCommands) -> None:
    before = warm.find_process()
    (warm.folder / "class").mkdir()
    for number in range(3):
        (warm.folder / "class" / f"s{number}.ipynb").write_bytes(notebook_bytes(CORR2D, f"x = {number}"))
    ran = warm.run("batch", "class", "--out", "reports", "--training", "none")
    assert ran.returncode == 0, ran.stderr
    assert "3 graded" in ran.stderr
    assert warm.find_process() == before
    assert not any((warm.folder / "reports" / "out").glob("*"))


def test_ctrl_c_ends_the_command_and_leaves_nothing(warm: ResidentCommands) -> None:
    (warm.folder / "endless.ipynb").write_bytes(_ENDLESS)
    resident = warm.find_process()
    idle = descendants(resident)
    with warm.start("check", "endless.ipynb", "--training", "none") as command:
        assert wait_until(lambda: len(descendants(resident) - idle) >= 3)
        command.send_signal(signal.SIGINT)
        assert command.wait(60) == 130
    assert wait_until(lambda: descendants(resident) <= idle)


@pytest.mark.slow
def test_a_command_in_the_background_ignores_ctrl_c_as_ever(warm: ResidentCommands) -> None:
    (warm.folder / "slow.ipynb").write_bytes(notebook_bytes(CORR2D, "import time; time.sleep(2)"))
    resident = warm.find_process()
    idle = descendants(resident)
    with warm.start("check", "slow.ipynb", "--training", "none", interrupts=False) as command:
        assert wait_until(lambda: len(descendants(resident) - idle) >= 3)
        command.send_signal(signal.SIGINT)
        output, errors = command.communicate(timeout=120)
    assert (command.returncode, errors) == (1, "")
    assert "corr2d" in output


def test_a_command_whose_user_is_killed_ends(warm: ResidentCommands) -> None:
    (warm.folder / "endless.ipynb").write_bytes(_ENDLESS)
    resident = warm.find_process()
    idle = descendants(resident)
    with warm.start("check", "endless.ipynb", "--training", "none") as command:
        assert wait_until(lambda: len(descendants(resident) - idle) >= 3)
        command.kill()
    assert wait_until(lambda: descendants(resident) <= idle)
    assert warm.run(*_CHECK).returncode == 1


def test_a_user_who_says_nothing_or_nonsense_keeps_no_other_waiting(warm: ResidentCommands) -> None:
    silent, wrong = _connect(warm), _connect(warm)
    wrong.send(b"[1, 2")
    with _connect(warm) as partial:
        send_message(partial, {"do": "run"})
    assert warm.run(*_CHECK).returncode == 1
    assert wrong.recv(1) == b""
    send_message(silent, {"do": "status"})
    assert receive_message(silent, 60)[0]["running"] == 0
    for line in (silent, wrong):
        line.close()


def test_a_process_that_is_confined_is_turned_away(warm: ResidentCommands) -> None:
    (path,) = warm.sockets.glob(f"*{SUFFIX}")
    program = (
        "import ctypes, os, socket, sys; sys.argv[2] == 'free' or ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)\n"
        "os.chdir(os.path.dirname(sys.argv[1])); line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        'line.connect(os.path.basename(sys.argv[1])); line.send(b\'{"do": "status"}\'); print(len(line.recv(9999)))'
    )

    def ask(kind: str) -> int:
        output = subprocess.run([sys.executable, "-c", program, path, kind], capture_output=True, text=True).stdout
        return int(output or 0)

    assert ask("free") > 0
    assert ask("confined") == 0


@pytest.mark.slow
def test_a_resident_grader_that_is_killed_costs_a_command_only_time(warm: ResidentCommands) -> None:
    (warm.folder / "slow.ipynb").write_bytes(notebook_bytes(CORR2D, "import time; time.sleep(4)"))
    resident = warm.find_process()
    idle = descendants(resident)
    with warm.start("check", "slow.ipynb", "--training", "none") as command:
        assert wait_until(lambda: len(descendants(resident) - idle) >= 3)
        os.kill(resident, signal.SIGKILL)
        output, errors = command.communicate(timeout=120)
    assert command.returncode == 1
    assert "corr2d" in output
    assert "starting again without it" in errors
    assert wait_until(lambda: not any(map(runs, idle)))
    assert warm.run(*_CHECK).returncode == 1  # the socket that is left over harms nobody
    assert warm.find_process() != resident


@pytest.mark.slow
def test_ten_commands_at_once_start_one(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        running = [commands.start(*_CHECK) for _ in range(10)]
        outputs = [command.communicate(timeout=300) for command in running]
        assert [command.returncode for command in running] == [1] * 10
        assert {errors for _, errors in outputs} == {""}
        assert len({output for output, _ in outputs}) == 1
        (found,) = commands.status()
        assert found["commands"] == 10


@pytest.mark.slow
def test_it_ends_when_nothing_uses_it(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        ran = commands.run(*_CHECK, GRADER_DAEMON_SECONDS="1")
        assert (ran.returncode, ran.stderr) == (1, "")
        assert wait_until(lambda: not list(commands.sockets.glob(f"*{SUFFIX}")))
        assert commands.status() == []


@pytest.mark.slow
def test_one_with_other_code_is_not_used_and_is_stopped(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "grader", tmp_path / "copy" / "grader", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-c", "from grader.cli.entry import main; main()", *_CHECK]
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        variables = {
            **commands.environment,
            "PYTHONPATH": str(tmp_path / "copy"),
            "GRADER_ASSIGNMENT_PATH": str(ROOT / "rubrics"),
        }

        def check() -> int:
            ran = subprocess.run(command, cwd=commands.folder, env=variables, capture_output=True, timeout=120)
            assert (ran.returncode, ran.stderr) == (1, b"")
            return commands.find_process()

        earlier = check()
        assert check() == earlier
        with (tmp_path / "copy" / "grader" / "place.py").open("a") as file:
            file.write("# changed\n")
        assert check() != earlier
        assert wait_until(lambda: not runs(earlier))


@pytest.mark.slow
def test_two_environments_have_one_each(tmp_path: Path) -> None:
    with open_resident_commands(tmp_path) as commands:
        (commands.folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
        for _ in range(2):
            assert commands.run(*_CHECK).returncode == 1
            assert commands.run(*_CHECK, TZ="Asia/Seoul").returncode == 1
        assert [found["commands"] for found in commands.status()] == [2, 2]
