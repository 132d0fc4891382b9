"""A command in the resident grader as a person sees it, on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.command_line import GRADER
from tests.support.notebooks import CORR2D, notebook_bytes
from tests.support.processes import descendants, wait_until
from tests.support.pseudo_terminal import CTRL_C, Shown, show_on_terminal
from tests.support.resident import ResidentCommands

CTRL_Z = b"\x1a"


def _show(warm: ResidentCommands, words: Sequence[str | Path], press: bytes = b"", when: str = "") -> Shown:
    variables = {"GRADER_DAEMON_DIR": str(warm.sockets), "GRADER_NO_DAEMON": None}
    keys = [(press, lambda text, _: when in text)] if press else []
    return show_on_terminal([GRADER, *words], warm.folder, 100, press=keys, variables=variables)


def test_progress_and_report_are_drawn_as_without_it(warm: ResidentCommands) -> None:
    before = warm.status()[0]["commands"]
    shown = _show(warm, ["check", "hw2.ipynb", "--training", "none"])
    assert warm.status()[0]["commands"] == before + 1
    alone = _show(warm, ["check", "hw2.ipynb", "--training", "none", "--no-daemon"])
    assert shown.code == alone.code == 1
    assert "\x1b[1m" in shown.raw  # colours and bold text are for terminals
    assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h")
    assert shown.raw.rsplit("\x1b[?25h", 1)[-1] == alone.raw.rsplit("\x1b[?25h", 1)[-1]  # after the progress


def test_ctrl_c_ends_a_check_and_a_watch(warm: ResidentCommands) -> None:
    (warm.folder / "endless.ipynb").write_bytes(notebook_bytes("while True: pass"))
    (resident,) = warm.status()
    idle = descendants(resident["pid"])
    checked = _show(warm, ["check", "endless.ipynb", "--training", "none"], CTRL_C, "cell 1 of 1")
    assert checked.code == 130, checked.text
    watched = _show(warm, ["check", "hw2.ipynb", "--watch"], CTRL_C, "corr2d")
    assert watched.code == 1, watched.text
    for shown in (checked, watched):
        assert "Traceback" not in shown.text
        assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h")
    assert wait_until(lambda: descendants(resident["pid"]) <= idle)


@pytest.mark.slow
def test_ctrl_z_pauses_the_command_as_well(warm: ResidentCommands) -> None:
    (warm.folder / "slow.ipynb").write_bytes(notebook_bytes(CORR2D, "import time; time.sleep(3)"))
    script = f"set -m; {GRADER} check slow.ipynb --training none; echo paused $?; fg > /dev/null; echo ended $?"
    variables = {"GRADER_DAEMON_DIR": str(warm.sockets), "GRADER_NO_DAEMON": None}
    keys = [(CTRL_Z, lambda text, _: "cell 2 of 2" in text)]
    shown = show_on_terminal(["bash", "-c", script], warm.folder, 100, press=keys, variables=variables)
    assert "paused 147" in shown.text.replace("paused 148", "paused 147"), shown.text  # 128 and SIGSTOP or SIGTSTP
    assert "ended 1" in shown.text
