"""A control group opens the devices that it was given, pseudo-terminals, and no others, in both versions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.sandbox.jail.control_groups import join_control_group
from grader.sandbox.jail.device_rules import COMMON_DEVICES, allow_devices
from tests.support.device_files import find_devices, make_nodes

_ROOT = Path("/sys/fs/cgroup")
# Where groups of the two versions are made; a machine with version 1 often has an empty tree of version 2 beside it.
_TREES = {"version 1": [_ROOT / "devices"], "version 2": [_ROOT, _ROOT / "unified"]}
_FILES = {"version 1": "devices.list", "version 2": "cgroup.controllers"}


@pytest.fixture(params=_TREES)
def group(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty control group of a version, if the machine has it."""
    trees = [tree for tree in _TREES[request.param] if (tree / _FILES[request.param]).exists()]
    if not trees or os.geteuid() != 0:
        pytest.skip(f"root needs control groups of {request.param}")
    folder = trees[0] / f"grader-{os.getpid()}-rules"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no group can be made here: {error.strerror}")
    yield folder
    folder.rmdir()


def open_in(group: Path, *paths: Path) -> list[bool]:
    """Return which device files a process of the group can open, and whether it can make one."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            join_control_group(str(group))
            os.write(theirs, bytes([*map(_opens, paths), _makes()]))
        finally:
            os._exit(0)
    os.close(theirs)
    os.waitpid(child, 0)
    with os.fdopen(ours, "rb") as results:
        return list(map(bool, results.read()))


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError:
        return False
    return True


def _makes() -> bool:
    path = Path("/dev") / f"grader-test-{os.getpid()}-made"
    try:
        os.mknod(path, 0o020600, os.makedev(1, 3))
    except OSError:
        return False
    path.unlink()
    return True


def test_a_group_opens_the_devices_that_it_was_given_and_no_others(group: Path) -> None:
    with make_nodes(*find_devices(2)) as (own, other):
        assert open_in(group, own, other) == [True, True, True]
        allow_devices(group, (*COMMON_DEVICES, own, Path("/dev/no-such-device")))
        every = [True] * (len(COMMON_DEVICES) + 2)
        assert open_in(group, *COMMON_DEVICES, Path("/dev/ptmx"), own, other) == [*every, False, False]


def test_a_file_is_no_device(group: Path, tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    with pytest.raises(OSError, match="is no character device"):
        allow_devices(group, (tmp_path / "nvidia0",))


def test_a_folder_without_rules_for_devices_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="has no rules for devices"):
        allow_devices(tmp_path, COMMON_DEVICES)
