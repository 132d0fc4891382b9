"""`grader data` and the part of `grader doctor` about trainings, as real processes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.training.idx import FILES
from tests.support.data_set_mirror import serving, upstream
from tests.support.notebooks import CORR2D, notebook_bytes

GRADER = Path(sys.executable).with_name("grader")
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SECONDS = 120

Ran = subprocess.CompletedProcess[str]


def ran(folder: Path, *arguments: str) -> Ran:
    """Run the grader with its own cache and without a terminal."""
    return subprocess.run(
        [GRADER, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "GRADER_CACHE": str(folder / "cache")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


def on_a_terminal(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the grader with its messages on a terminal, and return its exit code and the output on the terminal."""
    master, terminal = pty.openpty()
    of_a_terminal = {"COLUMNS": "80", "TERM": "xterm", "CI": "", "GRADER_CACHE": str(folder / "cache")}
    with subprocess.Popen(
        [GRADER, *arguments],
        cwd=folder,
        env={**os.environ, **of_a_terminal},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        sent = bytearray()
        while chunk := _read(master):
            sent += chunk
    os.close(master)
    return process.returncode, sent.decode("utf-8", "replace")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 2**16)
    except OSError:  # Linux's way to say that the other end of a terminal is closed
        return b""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Fashion-MNIST as a mirror has it."""
    return upstream(DEBIAN)


@pytest.mark.slow
def test_data_sets_are_listed_with_instructions_for_missing_ones(tmp_path: Path) -> None:
    alone, listed = ran(tmp_path, "data"), ran(tmp_path, "data", "list")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout == listed.stdout
    assert alone.stdout.splitlines() == [
        f"FashionMNIST  {DEBIAN} (Debian's package)",
        "MNIST         not found; to get it: grader data fetch MNIST",
    ]
    values = json.loads(ran(tmp_path, "data", "list", "--json", "-").stdout)
    assert [(each["name"], each["folder"]) for each in values] == [("FashionMNIST", str(DEBIAN)), ("MNIST", None)]
    assert re.fullmatch("[0-9a-f]{64}", values[0]["sha256"])


def test_fetched_files_have_the_layout_of_torchvision_and_progress_is_not_printed(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    with serving(files) as mirror:
        fetched = ran(tmp_path, "data", "fetch", "--mirror", "http://127.0.0.1:9/", "--mirror", mirror)
        elsewhere = ran(tmp_path, "data", "fetch", "FashionMNIST", "--mirror", mirror, "--into", "data")
    assert (fetched.returncode, fetched.stderr) == (0, "")
    for root, ran_there in ((tmp_path / "cache" / "data", fetched), (tmp_path / "data", elsewhere)):
        raw = root / "FashionMNIST" / "raw"
        assert sorted(path.name for path in raw.iterdir()) == sorted(f"{file}.gz" for file in FILES)
        assert ran_there.stdout.split()[0] == "FashionMNIST"
        assert Path(tmp_path, ran_there.stdout.split()[1]) == raw


def test_no_network_and_a_wrong_checksum_are_one_clear_line(files: dict[str, bytes], tmp_path: Path) -> None:
    wrong = dict(files, **{"t10k-labels-idx1-ubyte.gz": bytes(5_148)})
    with serving(wrong) as mirror:
        spoiled = ran(tmp_path, "data", "fetch", "--mirror", mirror)
    absent = ran(tmp_path, "data", "fetch", "MNIST", "--mirror", "http://127.0.0.1:9/")
    unknown = ran(tmp_path, "data", "fetch", "CIFAR10")
    for each, message in (
        (spoiled, "wrong checksum"),
        (absent, "Connection refused"),
        (unknown, "no data set 'CIFAR10'"),
    ):
        assert each.returncode == 2, each.stderr
        assert each.stdout == ""
        assert each.stderr.startswith("grader: ")
        assert each.stderr.count("\n") == 1
        assert message in each.stderr


def test_a_terminal_shows_the_progress(files: dict[str, bytes], tmp_path: Path) -> None:
    with serving(files) as mirror:
        code, sent = on_a_terminal(tmp_path, "data", "fetch", "--mirror", mirror)
    assert code == 0
    assert re.search(r"fetching FashionMNIST: \d+ % of 31 MB, about \d+ s left", sent)


@pytest.mark.slow
def test_a_notebook_s_name_may_contain_terminal_commands(tmp_path: Path) -> None:
    name = "[bold] \x1b[31m[red].ipynb"
    # The step with the name stays long enough for the terminal, which is drawn a few times a second.
    (tmp_path / name).write_bytes(notebook_bytes(CORR2D, "import time; time.sleep(1)"))
    code, sent = on_a_terminal(tmp_path, "check", name, "--training", "none", "--json", "report.json")
    assert code == 1, sent
    assert "[bold] [red].ipynb" in sent


@pytest.mark.slow
def test_doctor_shows_what_trainings_would_use(tmp_path: Path) -> None:
    lines = ran(tmp_path, "doctor").stdout.splitlines()
    assert f"data set FashionMNIST: {DEBIAN} (Debian's package)" in lines
    assert "data set MNIST: not found; to get it: grader data fetch MNIST" in lines
    assert f"CPU cores: {len(os.sched_getaffinity(0))}" in lines
    assert f"trainings kept: 0 in {tmp_path / 'cache' / 'trainings'}" in lines
    assert any(line.startswith("GPU") for line in lines)
