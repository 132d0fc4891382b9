"""What `boot.py` runs in a virtual machine: control groups of version 2 do what those of version 1 do.

It is a script and no test module, because there is no pytest where it runs, nor torch, without which no sandbox starts.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from grader.sandbox.jail.control_groups import CONTROL_GROUPS, join_control_group, make_control_groups
from grader.sandbox.protocol.limits import Limits

_ROOT = Path("/sys/fs/cgroup")
_LIMITS = replace(Limits(), memory_bytes=300 * 2**20, processes=40)
_KINDS = frozenset(CONTROL_GROUPS)


def check_groups_are_made_with_their_bounds_and_removed() -> None:
    with make_control_groups(_LIMITS, _KINDS) as groups:
        (folder,) = {Path(place) for place in groups.values()}
        read = {name: (folder / name).read_text().strip() for name in ("memory.max", "memory.swap.max", "pids.max")}
        assert read["memory.max"] == str(_LIMITS.memory_bytes), read
        assert read["pids.max"] == str(_LIMITS.processes), read
        assert (folder / "cpu.weight").read_text().strip() == "100"
    assert list(_ROOT.glob("grader-*")) == []


def check_shared_memory_is_bounded_and_the_kill_is_counted() -> None:
    with make_control_groups(_LIMITS, _KINDS) as groups:
        folder = Path(groups["memory"])

        def fill() -> None:
            shared = mmap.mmap(-1, 600 * 2**20)
            for page in range(0, len(shared), 4096):
                shared[page] = 1

        assert _run_inside(str(folder), fill) == -signal.SIGKILL
        events = dict(line.split() for line in (folder / "memory.events").read_text().splitlines())
        assert int(events["oom_kill"]) >= 1, events


def check_processes_are_bounded_and_end_with_the_group() -> None:
    with make_control_groups(_LIMITS, _KINDS) as groups:

        def multiply() -> None:
            made = 0
            try:
                for _ in range(100):
                    if os.fork() == 0:
                        signal.pause()
                    made += 1
            except OSError:
                os._exit(made)

        made = _run_inside(groups["pids"], multiply)
        assert made == _LIMITS.processes - 1, made
        assert len(Path(groups["pids"], "cgroup.procs").read_text().split()) == made
    assert list(_ROOT.glob("grader-*")) == []


def check_only_the_devices_that_were_given_can_be_opened() -> None:
    with make_control_groups(_LIMITS, _KINDS, [Path("/dev/tty0")]) as groups:

        def reach() -> None:
            for name in ("null", "urandom", "ptmx", "tty0"):
                os.close(os.open(f"/dev/{name}", os.O_RDWR))
            try:
                os.open("/dev/kmsg", os.O_RDONLY)
            except PermissionError:
                os._exit(7)

        assert _run_inside(groups["devices"], reach) == 7


def check_groups_of_a_killed_grader_are_removed() -> None:
    orphan = _ROOT / "grader-999999-abc"
    orphan.mkdir()
    with make_control_groups(_LIMITS, _KINDS):
        assert not orphan.exists()


def check_controllers_that_are_off_are_enabled() -> None:
    control = _ROOT / "cgroup.subtree_control"
    for name in control.read_text().split():
        control.write_text(f"-{name}")
    with make_control_groups(_LIMITS, _KINDS) as groups:
        assert all(place.startswith("/") for place in groups.values()), groups
    assert set(control.read_text().split()) == _KINDS - {"devices"}  # it needs no controller


def _run_inside(folder: str, body: Callable[[], None]) -> int:
    """Run a function in a fork that is in a group. Return its exit code."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            join_control_group(folder)
            body()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _main() -> int:
    failed = 0
    print(os.uname().release, (_ROOT / "cgroup.controllers").read_text().strip())
    for name, check in list(globals().items()):
        if name.startswith("check_"):
            started = time.monotonic()
            try:
                check()
                print(f"passed {name} in {time.monotonic() - started:.1f} s")
            except BaseException:
                failed += 1
                print(f"FAILED {name}")
                traceback.print_exc(file=sys.stdout)
    return failed


if __name__ == "__main__":
    sys.exit(_main())
