"""Landlock gives a device file the rights to use it, and a folder whose files may be overwritten no others."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.sandbox.jail import linux


def try_under(rules: linux.PathRules, *attempts: Callable[[], object]) -> list[str]:
    """Make the attempts in a fork with these rules. Return the names of the errors, or "" for none."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            linux.forbid_new_privileges()
            linux.restrict_by_landlock(rules, scoped=False)
            os.write(theirs, " ".join(map(_try, attempts)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours) as results:
        return [name.removesuffix(".") for name in results.read().split(" ")]


def _try(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return f"{errno.errorcode[error.errno or 0]}."
    return "."


def control(path: str) -> Callable[[], object]:
    """Return an attempt to open a device and to control it in a way that it does not know."""
    return lambda: fcntl.ioctl(os.open(path, os.O_RDONLY), 0)


def write(path: str, flags: int = os.O_WRONLY) -> Callable[[], object]:
    """Return an attempt to open a file and to write to it."""
    return lambda: os.write(os.open(path, flags), b"x")


@pytest.fixture(autouse=True)
def _landlock() -> None:
    try:
        if linux.read_landlock_abi() < 5:
            pytest.skip("Landlock knows ioctl since Linux 6.10")
    except OSError as error:
        pytest.skip(str(error))


def test_a_device_in_use_is_read_written_and_controlled_and_one_to_read_is_only_read() -> None:
    rules = linux.PathRules(readable=(Path("/dev/zero"),), used=(Path("/dev/null"),))
    attempts = control("/dev/null"), write("/dev/null"), control("/dev/zero"), write("/dev/zero"), control("/dev/full")
    assert try_under(rules, *attempts) == ["ENOTTY", "", "EACCES", "EACCES", "EACCES"]


def test_what_is_overwritten_can_neither_be_read_nor_made(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("secret")
    there, missing = str(tmp_path / "there"), str(tmp_path / "missing")
    flags = os.O_WRONLY | os.O_TRUNC
    attempts = write(there, flags), write(missing, os.O_WRONLY | os.O_CREAT), lambda: os.open(there, os.O_RDONLY)
    assert try_under(linux.PathRules(overwritten=(tmp_path,)), *attempts) == ["", "EACCES", "EACCES"]
    assert (tmp_path / "there").read_text() == "x"
