"""Running the parts: what happens to one of them never ends the others, and loses nothing that was found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.parts import PARTS, CheckPart
from benchmarks.gpu.running import choose_seconds
from tests.support.paths import ROOT


def read(folder: Path) -> dict[str, Any]:
    """Return the parts of the results in a folder."""
    parts: dict[str, Any] = json.loads((folder / "results.json").read_text("utf-8"))["parts"]
    return parts


@pytest.mark.parametrize(
    ("way", "state", "said"),
    [
        ("raises", "ended", "RuntimeError: made to raise"),
        ("dies", "signal SIGSEGV", "its process ended with signal SIGSEGV"),
    ],
)
def test_a_part_that_breaks_is_a_row_and_the_next_one_runs(tmp_path: Path, way: str, state: str, said: str) -> None:
    code = main([str(tmp_path), "--rehearse", "--only", "facts", "--only", "doctor", "--break", f"facts:{way}",
                 "--break", "doctor:raises"])  # fmt: skip
    parts = read(tmp_path)
    assert code == 1
    assert parts["facts"]["state"] == state
    assert [row["name"] for row in parts["facts"]["rows"]] == ["the part so far", "the part", "memory given back"]
    assert said in parts["facts"]["rows"][1]["detail"]
    assert parts["doctor"]["rows"][0]["name"] == "the part so far"
    table = (tmp_path / "table.txt").read_text("utf-8")
    assert "facts: the part" in table
    assert "a rehearsal" in table


def test_a_part_that_hangs_is_ended_and_its_place_is_in_the_log(tmp_path: Path) -> None:
    main([str(tmp_path), "--rehearse", "--only", "facts", "--break", "facts:hangs", "--seconds", "8"])
    facts = read(tmp_path)["facts"]
    assert facts["state"] == "out of time"
    assert [row["name"] for row in facts["rows"][:2]] == ["the part so far", "the part"]
    assert "_break" in (tmp_path / "log.txt").read_text("utf-8")


def test_parts_for_which_no_time_is_left_are_rows(tmp_path: Path) -> None:
    assert main([str(tmp_path), "--rehearse", "--only", "facts", "--seconds", "0"]) == 1
    facts = read(tmp_path)["facts"]
    assert (facts["state"], facts["rows"][0]["outcome"]) == ("no time was left", "broke")


def test_what_was_found_is_written_when_the_check_is_stopped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", str(tmp_path), "--rehearse", "--only", "facts"]
    process = subprocess.Popen([*command, "--break", "facts:hangs"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    table = tmp_path / "table.txt"
    while not table.exists() or "the part so far" not in table.read_text("utf-8"):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the part so far" in printed
    assert read(tmp_path)["facts"]["rows"][0]["name"] == "the part so far"


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    main([str(tmp_path / "a" / "b"), "--rehearse", "--only", "facts", "--break", "facts:raises"])
    assert (tmp_path / "a" / "b" / "results.json").exists()


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "folder"), "--rehearse"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_later_parts_have_what_is_reserved_for_them() -> None:
    first, second = CheckPart("facts", 100, 20), CheckPart("doctor", 100, 50)
    assert choose_seconds(first, [second], 400) == 100
    assert choose_seconds(first, [second], 90) == 40
    assert choose_seconds(first, [second], 60) == 20
    assert choose_seconds(second, [], 30) == 30
    assert choose_seconds(second, [], -5) == 0


def test_all_parts_fit_into_the_time_that_is_reserved() -> None:
    assert sum(part.reserved for part in PARTS) <= 460


@pytest.mark.skipif(os.geteuid() != 0, reason="only root enters every sandbox of the check")
@pytest.mark.slow
def test_every_part_of_a_rehearsal_is_as_it_should_be(tmp_path: Path) -> None:
    code = main([str(tmp_path), "--rehearse"])
    table = (tmp_path / "table.txt").read_text("utf-8")
    assert code == 0, table
    parts = read(tmp_path)
    assert list(parts) == [part.name for part in PARTS]
    assert {part["state"] for part in parts.values()} == {"ended"}
    assert all(part["rows"][-1]["name"] == "memory given back" for part in parts.values())
    assert "all as it should be" in table
