"""`grader batch` as a real process: exit codes, messages, and stopping it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grader.results.journal import JOURNAL, read_journal
from tests.support.notebooks import notebook_bytes
from tests.support.paths import ASSIGNMENTS
from tests.support.processes import descendants, wait_until

GRADER = [str(Path(sys.executable).with_name("grader")), "batch"]
DOUBLED = ASSIGNMENTS / "doubled"
OPTIONS = ["--assignment", str(DOUBLED), "--training", "none", "--jobs", "2"]


def hand_in(folder: Path, count: int, slow: tuple[int, ...] = ()) -> Path:
    """Write a folder for each student, with a notebook that earns 2 of 3 points; some take three seconds."""
    for number in range(count):
        own = folder / f"student-{number}"
        own.mkdir(parents=True)
        cells = ("import time\ntime.sleep(3)",) if number in slow else ()
        own.joinpath("hw.ipynb").write_bytes(notebook_bytes(f"# {number}\ndef double(X): return X + X", *cells))
    return folder


def batch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GRADER, *arguments, *OPTIONS], stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=120
    )


def done_in(out: Path) -> int:
    return len(read_journal(out)) if (out / JOURNAL).exists() else 0


@pytest.mark.slow
def test_a_class_is_graded(tmp_path: Path) -> None:
    class_ = hand_in(tmp_path / "class", 2)
    ran = batch(class_, "--out", tmp_path / "reports", "--json", "-")
    assert ran.returncode == 0, ran.stderr
    overview = json.loads(ran.stdout)
    assert overview["counts"] == {"graded": 2, "unreadable": 0, "failed": 0}
    assert overview["scores"]["mean"] == pytest.approx(200 / 3)
    assert "student-0: 2 of 3 points" in ran.stderr
    assert "1 of 2, " in ran.stderr
    assert "a minute" in ran.stderr
    assert str(tmp_path / "reports" / "summary.html") in ran.stderr
    assert json.loads((tmp_path / "reports" / "student-1.json").read_text())["score"] == 2
    again = batch(class_, "--out", tmp_path / "reports")
    assert "2 submissions, 2 of them already graded" in again.stderr
    assert (again.returncode, again.stdout) == (0, "")


@pytest.mark.slow
def test_unreadable_submissions_are_reported_and_the_others_graded(tmp_path: Path) -> None:
    class_ = hand_in(tmp_path / "class", 2)
    (class_ / "student-0" / "hw.ipynb").write_bytes(b"{")
    ran = batch(class_, "--out", tmp_path / "reports")
    assert ran.returncode == 1, ran.stderr
    assert "student-0: unreadable: " in ran.stderr
    assert "1 graded, 1 unreadable" in ran.stderr


def test_wrong_input_is_refused_in_one_line(tmp_path: Path) -> None:
    class_ = hand_in(tmp_path / "class", 1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    cases: list[tuple[list[str | Path], str]] = [
        ([tmp_path / "nowhere", "--out", tmp_path / "reports"], "nowhere"),
        ([tmp_path / "empty", "--out", tmp_path / "reports"], "empty"),
        ([class_, "--out", tmp_path / "file"], "cannot write reports"),
        ([class_, "--out", class_ / "reports"], "lies inside"),
        ([class_, "--out", tmp_path / "reports", "--json", tmp_path / "no" / "file"], "cannot write"),
    ]
    for arguments, part in cases:
        ran = batch(*arguments)
        assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
        assert ran.stderr.startswith("grader: ")
        assert ran.stderr.count("\n") == 1
        assert part in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_stopped_batch_leaves_no_process_and_can_be_continued(tmp_path: Path, number: signal.Signals) -> None:
    class_ = hand_in(tmp_path / "class", 5, slow=(2, 3))
    out = tmp_path / "reports"
    with subprocess.Popen(
        [*GRADER, class_, "--out", out, *OPTIONS],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        # What a shell starts in the background ignores interrupts, and so does all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert wait_until(lambda: done_in(out) >= 2)
        started = descendants(process.pid)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert len(started) > 2
    assert wait_until(lambda: not any(Path(f"/proc/{each}").exists() for each in started))
    if number is not signal.SIGKILL:
        assert process.returncode == 130
        assert "stopped; run the same command again" in errors
        assert "Traceback" not in errors
    done = done_in(out)
    assert 2 <= done < 5
    again = batch(class_, "--out", out)
    assert again.returncode == 0, again.stderr
    assert f"5 submissions, {done} of them already graded" in again.stderr
    assert (out / JOURNAL).read_bytes().count(b"\n") == 5
    assert len(list(out.glob("student-*.json"))) == 5


@pytest.mark.slow
def test_a_terminal_shows_rate_remaining_time_and_the_current_step(tmp_path: Path) -> None:
    class_ = hand_in(tmp_path / "class", 4, slow=(2, 3))
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [*GRADER, class_, "--out", tmp_path / "reports", *OPTIONS],
        stdin=subprocess.DEVNULL,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(master, 4096):
            shown += part
    except OSError:  # a terminal reports in this way that it has no writer left
        pass
    os.close(master)
    assert process.wait(60) == 0
    for text in (b"running hw.ipynb", b"a minute, about", b"4 of 4", b"4 graded"):
        assert text in shown
