"""Ctrl-C in every phase of a check: the end is quick and quiet, and the exit code is that of shells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import GRADER, SECONDS
from tests.support.notebooks import notebook_bytes
from tests.support.pseudo_terminal import CTRL_C, Shown, show_on_terminal

IDLE_SECONDS = 15  # a test machine may be busy; alone, it takes a tenth of this


def interrupt(folder: Path, arguments: list[str], when: Callable[[str, float], bool]) -> Shown:
    return show_on_terminal([GRADER, *arguments], folder, 80, press=[(CTRL_C, when)], seconds=SECONDS)


def require_quiet(shown: Shown) -> None:
    assert shown.code == 130, shown.text
    assert "Traceback" not in shown.text
    assert "Exception" not in shown.text
    assert "Aborted" not in shown.text
    assert shown.seconds < IDLE_SECONDS
    assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h")


# The installed program, with a sign that Python itself has started: until then, Python answers Ctrl-C in its own way.
STARTED = "from grader.cli.entry import main; print('started', flush=True); main()"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.1, 1.5, 2.2])
def test_ctrl_c_while_everything_starts_ends_it_at_once(tmp_path: Path, seconds: float) -> None:
    (tmp_path / "hw2.ipynb").write_bytes(notebook_bytes("while True: pass"))
    seen: list[float] = []

    def has_passed(text: str, since: float) -> bool:
        if "started" in text:
            seen.append(since)
        return bool(seen) and since >= seen[0] + seconds

    command: list[str | Path] = [GRADER.with_name("python"), "-c", STARTED, "check", "hw2.ipynb"]
    require_quiet(show_on_terminal(command, tmp_path, 80, press=[(CTRL_C, has_passed)], seconds=SECONDS))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "arguments", "step"),
    [
        ("while True: pass", ["check", "hw2.ipynb"], "cell 1 of 1"),
        ("def corr2d(X, K):\n    while True: pass", ["check", "hw2.ipynb", "--training", "none"], "judging"),
        ("while True: pass", ["check", "hw2.ipynb", "--item", "corr2d"], "cell 1 of 1"),
        ("while True: pass", ["batch", "hw2.ipynb", "--out", "out", "--training", "none"], "cell 1 of 1"),
    ],
)
def test_ctrl_c_while_the_work_runs_ends_it(tmp_path: Path, source: str, arguments: list[str], step: str) -> None:
    (tmp_path / "hw2.ipynb").write_bytes(notebook_bytes(source))
    require_quiet(interrupt(tmp_path, arguments, lambda text, _: step in text))


@pytest.mark.slow
def test_ctrl_c_at_a_prompt_for_standard_input_ends_it(tmp_path: Path) -> None:
    shown = interrupt(tmp_path, ["login", "--server", "http://127.0.0.1:9"], lambda text, _: "Token" in text)
    require_quiet(shown)
