"""Which device files the processes of a control group may open: a list in version 1, a program of Linux in version 2.

A process that gets hold of another device file, by whatever path, cannot open it.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox.jail import linux

__all__ = ["COMMON_DEVICES", "allow_devices", "compile_rules"]

COMMON_DEVICES = tuple(Path("/dev") / name for name in ("null", "zero", "full", "random", "urandom"))

# Devices are named by two numbers, here without a file: /dev/ptmx, and all pseudo-terminals.
_TERMINALS: tuple[tuple[int, int | None], ...] = ((5, 2), (136, None))

# Instructions of BPF, and what the kernel says of the access that is tried (struct bpf_cgroup_dev_ctx).
_LOAD, _COPY, _SET, _AND, _SHIFT = 0x61, 0xBF, 0xB7, 0x57, 0x77
_UNLESS_EQUAL, _IF_ANY_BIT, _EXIT = 0x55, 0x45, 0x95
_ACCESS, _MAJOR, _MINOR = 0, 4, 8
_CHARACTER_DEVICE, _MAKE = 2, 1


def allow_devices(group: Path, nodes: Iterable[Path]) -> None:
    """Let the processes of a group read and write these device files and pseudo-terminals, and open and make no others.

    Args:
        group: the folder of an empty group.
        nodes: the device files; those that are missing are skipped.

    Raises:
        OSError: the rules cannot be set.
    """
    numbers = (*dict.fromkeys(_find_numbers(nodes)), *_TERMINALS)
    if (group / "devices.deny").exists():
        _write_list(group, numbers)
    elif (group / "cgroup.controllers").exists():
        linux.attach_device_filter(group, compile_rules(numbers))
    else:
        raise OSError(f"{group} has no rules for devices")


def _find_numbers(nodes: Iterable[Path]) -> Iterable[tuple[int, int | None]]:
    for node in nodes:
        try:
            status = node.stat()
        except FileNotFoundError:
            continue
        if not stat.S_ISCHR(status.st_mode):
            raise OSError(f"{node} is no character device")
        yield os.major(status.st_rdev), os.minor(status.st_rdev)


def _write_list(group: Path, numbers: Iterable[tuple[int, int | None]]) -> None:
    (group / "devices.deny").write_text("a")
    for major, minor in numbers:
        (group / "devices.allow").write_text(f"c {major}:{'*' if minor is None else minor} rw")
    if any(line.startswith("a") for line in (group / "devices.list").read_text().splitlines()):
        raise OSError(f"{group} allows all devices")


def compile_rules(numbers: Iterable[tuple[int, int | None]]) -> bytes:
    """Return a program of Linux that allows to read and write these character devices, and nothing else.

    Args:
        numbers: the major and the minor number of each; None for every minor.
    """
    answer, kind, access, major, minor = 0, 2, 3, 4, 5  # registers; the first one is what the program returns
    accept = _instruct(_SET, answer, value=1) + _instruct(_EXIT)
    rules = b""
    for first, second in numbers:
        rule = accept
        if second is not None:
            rule = _instruct(_UNLESS_EQUAL, minor, value=second, jump=_count(rule)) + rule
        rules += _instruct(_UNLESS_EQUAL, major, value=first, jump=_count(rule)) + rule
    checks = [
        _instruct(_LOAD, access, source=1, offset=_ACCESS),
        _instruct(_COPY, kind, source=access),
        _instruct(_AND, kind, value=0xFFFF),
        _instruct(_SHIFT, access, value=16),
        _instruct(_LOAD, major, source=1, offset=_MAJOR),
        _instruct(_LOAD, minor, source=1, offset=_MINOR),
        _instruct(_SET, answer, value=0),
        _instruct(_UNLESS_EQUAL, kind, value=_CHARACTER_DEVICE, jump=_count(rules) + 1),
        _instruct(_IF_ANY_BIT, access, value=_MAKE, jump=_count(rules)),
    ]
    return b"".join(checks) + rules + _instruct(_EXIT)


def _count(instructions: bytes) -> int:
    return len(instructions) // 8


def _instruct(
    operation: int, register: int = 0, *, source: int = 0, value: int = 0, offset: int = 0, jump: int = 0
) -> bytes:
    return struct.pack("=BBhi", operation, register | source << 4, offset or jump, value)
