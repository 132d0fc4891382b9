"""Control groups are made with their limits if the machine allows it, and never left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.sandbox.jail.control_groups import CONTROL_GROUPS, make_control_groups
from tests.support.sandbox_runs import LIMITS

ALL = frozenset(CONTROL_GROUPS)


def _find_parents() -> dict[str, Path]:
    """Return the folders in which groups can be made on this machine, or skip the test."""
    with make_control_groups(LIMITS, ALL) as places:
        missing = [reason for reason in places.values() if not reason.startswith("/")]
        if missing:
            pytest.skip(missing[0])
        return {kind: Path(place).parent for kind, place in places.items()}


def test_groups_have_their_bounds_and_are_removed() -> None:
    _find_parents()
    with make_control_groups(LIMITS, ALL) as places:
        folder = Path(places["memory"])
        bound = next(folder / name for name in ("memory.max", "memory.limit_in_bytes") if (folder / name).exists())
        assert int(bound.read_text()) == LIMITS.memory_bytes
        assert int(Path(places["pids"], "pids.max").read_text()) == LIMITS.processes
        weights = (Path(places["cpu"], name) for name in ("cpu.weight", "cpu.shares"))
        assert next(int(path.read_text()) for path in weights if path.exists()) in (100, 1024)
    assert [place for place in places.values() if Path(place).exists()] == []


def test_groups_are_removed_with_the_processes_left_in_them() -> None:
    _find_parents()
    with make_control_groups(LIMITS, ALL) as places:
        sleeper = subprocess.Popen(["sleep", "1000"])
        for place in places.values():
            Path(place, "cgroup.procs").write_text(str(sleeper.pid))
    assert sleeper.wait() == -9
    assert [place for place in places.values() if Path(place).exists()] == []


def test_groups_are_removed_when_the_body_raises() -> None:
    _find_parents()
    with pytest.raises(KeyError), make_control_groups(LIMITS, ALL) as places:
        raise KeyError
    assert [place for place in places.values() if Path(place).exists()] == []


def test_groups_of_graders_that_were_killed_are_removed_by_the_next() -> None:
    parents = _find_parents()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    orphans = [parent / f"grader-{ended.pid}-0123456789ab" for parent in parents.values()]
    living = [parent / f"grader-{os.getpid()}-0123456789ab" for parent in parents.values()]
    for folder in {*orphans, *living}:
        folder.mkdir()
    try:
        with make_control_groups(LIMITS, ALL):
            assert [folder for folder in orphans if folder.exists()] == []
            assert all(folder.exists() for folder in living)
    finally:
        for folder in {*orphans, *living}:
            if folder.exists():
                folder.rmdir()


def test_only_the_kinds_that_are_wanted_are_find_parents() -> None:
    with make_control_groups(LIMITS, frozenset()) as places:
        assert places == {}
