"""Tests of grader/resident/endpoint.py."""

from __future__ import annotations

import os
import resource
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from grader.resident import endpoint
from grader.resident.endpoint import compute_name, connect, is_confined_alike, open_folder, read_peer

_NAME_ELSEWHERE = "from grader.resident.endpoint import compute_name; print(*compute_name())"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "sockets"
    monkeypatch.setenv("GRADER_DAEMON_DIR", str(made))
    return made


def _opens() -> bool:
    descriptor = open_folder()
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def test_the_folder_is_made_for_this_user_alone(folder: Path) -> None:
    assert _opens()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o770, 0o777, 0o1777])
def test_a_folder_that_others_may_enter_is_not_used(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    assert not _opens()


def test_a_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert not _opens()


def test_a_link_and_a_file_are_not_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert not _opens()
    folder.unlink()
    folder.touch()
    assert not _opens()


def test_the_runtime_folder_is_used_and_a_relative_one_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRADER_DAEMON_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert _opens()
    assert (tmp_path / "grader").is_dir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", "runtime")
    assert endpoint._find_default_folder() == Path(f"/tmp/notebook-grader-{os.geteuid()}")


def test_the_name_is_the_same_in_every_process_of_the_same_kind() -> None:
    names = {subprocess.check_output([sys.executable, "-P", "-c", _NAME_ELSEWHERE]) for _ in range(2)}
    assert names == {f"{' '.join(compute_name())}\n".encode()}


@pytest.mark.parametrize("variable", ["PYTHONPATH", "LD_PRELOAD", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "TZ"])
def test_a_variable_that_is_read_at_the_start_changes_the_name(variable: str) -> None:
    before, after = compute_name(), compute_name({**os.environ, variable: "another value"})
    assert after[:2] == before[:2]
    assert after[2] != before[2]


def test_a_variable_that_a_command_brings_along_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = compute_name()
    monkeypatch.setenv("GRADER_CACHE", "/somewhere")
    monkeypatch.setenv("COLUMNS", "40")
    assert compute_name() == before


def test_another_limit_or_priority_changes_the_name() -> None:
    here = f"{' '.join(compute_name())}\n".encode()

    def lower_limit() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0 if soft else 1, hard))

    command = [sys.executable, "-P", "-c", _NAME_ELSEWHERE]
    limited = subprocess.check_output(command, preexec_fn=lower_limit)
    nice = subprocess.check_output(["nice", "-n", "5", *command])
    assert len({here, limited, nice}) == 3


@pytest.mark.parametrize("change", ["content", "new file", "removed file"])
def test_changed_code_changes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "first.py").write_text("x = 1\n")
    (tmp_path / "room" / "second.py").write_text("y = 1\n")
    monkeypatch.setattr(endpoint, "_PACKAGE", tmp_path)
    before = compute_name()
    assert compute_name() == before
    match change:
        case "content":
            (tmp_path / "room" / "first.py").write_text("x = 2\n")
        case "new file":
            (tmp_path / "room" / "third.py").touch()
        case "removed file":
            (tmp_path / "room" / "second.py").unlink()
    installation, code, environment = compute_name()
    assert (installation, environment) == (before[0], before[2])
    assert code != before[1]


def test_an_installed_package_changes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setattr(sys, "path", [*sys.path, str(packages)])
    before = compute_name()
    (packages / "torch-3.0.dist-info").mkdir()
    assert compute_name()[1] != before[1]


def test_a_process_like_this_one_is_confined_alike() -> None:
    with subprocess.Popen(["sleep", "60"]) as peer:
        assert is_confined_alike(peer.pid)
        peer.kill()
    assert not is_confined_alike(peer.pid)


def test_a_process_that_may_do_less_is_not(tmp_path: Path) -> None:
    program = "import ctypes, time; print(ctypes.CDLL(None).prctl(38, 1, 0, 0, 0), flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as peer:
        assert peer.stdout
        assert peer.stdout.readline() == b"0\n"  # it has given up new privileges, as everything in a sandbox has
        assert not is_confined_alike(peer.pid)
        peer.kill()


def test_only_a_socket_of_this_user_is_connected_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = open_folder()
    assert descriptor is not None
    assert connect(descriptor, "missing.sock") is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"/proc/self/fd/{descriptor}/a.sock")
        listener.listen()
        line = connect(descriptor, "a.sock")
        assert line is not None
        assert read_peer(line) == (os.getpid(), os.geteuid())
        line.close()
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        assert connect(descriptor, "a.sock") is None
    monkeypatch.undo()
    assert connect(descriptor, "a.sock") is None  # it is left over
    os.close(descriptor)
