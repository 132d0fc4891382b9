"""Data sets and what trainings would use, as a user of the command line meets them."""

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
    """Run the grader with a cache of its own, nobody at the keyboard and no terminal."""
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
    """Run the grader with its messages on a terminal, and return its exit code and what the terminal was sent."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm", "GRADER_CACHE": str(folder / "cache")}
    with subprocess.Popen(
        [GRADER, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        sent = bytearray()
        while chunk := _read(ours):
            sent += chunk
    os.close(ours)
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


def test_data_sets_are_listed_with_what_to_do_for_those_that_are_missing(tmp_path: Path) -> None:
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


def test_fetched_files_lie_as_torchvision_lays_them_out_and_messages_stay_silent(
    files: dict[str, bytes], tmp_path: Path
) -> None:
    with serving(files) as mirror:
        fetched = ran(tmp_path, "data", "fetch", "--mirror", "http://127.0.0.1:9/", "--mirror", mirror)
        elsewhere = ran(tmp_path, "data", "fetch", "FashionMNIST", "--mirror", mirror, "--into", "data")
    assert (fetched.returncode, fetched.stderr) == (0, "")
    for root, told in ((tmp_path / "cache" / "data", fetched), (tmp_path / "data", elsewhere)):
        raw = root / "FashionMNIST" / "raw"
        assert sorted(path.name for path in raw.iterdir()) == sorted(f"{file}.gz" for file in FILES)
        assert told.stdout.split()[0] == "FashionMNIST"
        assert Path(tmp_path, told.stdout.split()[1]) == raw


def test_no_network_and_a_wrong_checksum_are_one_clear_line(files: dict[str, bytes], tmp_path: Path) -> None:
    wrong = dict(files, **{"t10k-labels-idx1-ubyte.gz": bytes(5_148)})
    with serving(wrong) as mirror:
        spoiled = ran(tmp_path, "data", "fetch", "--mirror", mirror)
    nobody = ran(tmp_path, "data", "fetch", "MNIST", "--mirror", "http://127.0.0.1:9/")
    unknown = ran(tmp_path, "data", "fetch", "CIFAR10")
    for each, said in ((spoiled, "wrong checksum"), (nobody, "Connection refused"), (unknown, "no data set 'CIFAR10'")):
        assert each.returncode == 2, each.stderr
        assert each.stdout == ""
        assert each.stderr.startswith("grader: ")
        assert each.stderr.count("\n") == 1
        assert said in each.stderr


def test_a_terminal_shows_how_far_it_is(files: dict[str, bytes], tmp_path: Path) -> None:
    with serving(files) as mirror:
        code, sent = on_a_terminal(tmp_path, "data", "fetch", "--mirror", mirror)
    assert code == 0
    assert re.search(r"fetching FashionMNIST: \d+ % of 31 MB, about \d+ s left", sent)


def test_a_notebook_may_be_called_what_a_terminal_takes_for_a_command(tmp_path: Path) -> None:
    name = "[bold] \x1b[31m[red].ipynb"
    (tmp_path / name).write_bytes(notebook_bytes(CORR2D))
    code, sent = on_a_terminal(tmp_path, "check", name, "--training", "none", "--json", "report.json")
    assert code == 1, sent
    assert "[bold] [red].ipynb" in sent


def test_doctor_tells_what_trainings_would_use(tmp_path: Path) -> None:
    lines = ran(tmp_path, "doctor").stdout.splitlines()
    assert f"data set FashionMNIST: {DEBIAN} (Debian's package)" in lines
    assert "data set MNIST: not found; to get it: grader data fetch MNIST" in lines
    assert f"CPU cores: {len(os.sched_getaffinity(0))}" in lines
    assert f"trainings kept: 0 in {tmp_path / 'cache' / 'trainings'}" in lines
    assert any(line.startswith("GPU") for line in lines)
