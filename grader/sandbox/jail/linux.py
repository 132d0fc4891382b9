"""The system calls that isolation needs and Python does not offer. Each is a thin function that raises OSError."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "PathRules",
    "adopt_orphans",
    "attach_device_filter",
    "clone_tree",
    "die_with_parent",
    "drop_capabilities",
    "filter_system_calls",
    "forbid_new_privileges",
    "join_namespace",
    "make_private",
    "make_proc",
    "mount",
    "move_mount",
    "pivot_root",
    "read_landlock_abi",
    "restrict_by_landlock",
    "restrict_mount",
    "set_dumpable",
    "set_host_name",
    "unmount",
    "unshare",
    "use_huge_pages",
    "write_file",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
_MNT_DETACH = 2
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 4
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
_FSCONFIG_CMD_CREATE, _FS_CLOEXEC = 6, 1
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 4, 24, 38, 47
_PR_SET_SECCOMP, _PR_SET_CHILD_SUBREAPER = 22, 36
_SECCOMP_MODE_FILTER = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SIGKILL = 9
_MADV_COLLAPSE, _HUGE_PAGE = 25, 2 * 2**20

# Numbers above 423 are the same on every architecture.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_PIVOT_ROOT, _CAPSET = {"x86_64": (155, 126), "aarch64": (41, 91)}.get(platform.machine(), (-1, -1))

_BPF = {"x86_64": 321, "aarch64": 280}.get(platform.machine(), -1)
_BPF_PROG_LOAD, _BPF_PROG_ATTACH, _BPF_PROG_TYPE_CGROUP_DEVICE = 5, 8, 15
_BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI = 6, 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _check(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)
    return result


def _long(value: int) -> ctypes.c_long:
    return ctypes.c_long(value)


# The errors of unshare(2), in words: ENOSPC is about no disk.
_WITHOUT_NAMESPACES = {
    errno.EPERM: "this machine forbids it to this user",
    errno.EACCES: "this machine forbids it to this user",
    errno.ENOSPC: "the limit on namespaces is reached",
    errno.EINVAL: "the kernel has none",
    errno.ENOSYS: "the kernel has none",
}


def unshare(flags: int) -> None:
    """Move to new namespaces of the kinds that the CLONE_NEW* flags name."""
    if _libc.unshare(flags) < 0:
        number = ctypes.get_errno()
        raise OSError(number, _WITHOUT_NAMESPACES.get(number, os.strerror(number)))


def join_namespace(descriptor: int, flag: int) -> None:
    """Enter an existing namespace.

    Args:
        descriptor: an open file of /proc/PID/ns.
        flag: the CLONE_NEW* flag of the namespace's kind.
    """
    _check(_libc.setns(descriptor, flag), "setns")


def make_private() -> None:
    """Stop later mounts from reaching the mount namespace that this one was copied from."""
    _check(_libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None), "mount / private")


def mount(kind: str, target: Path, options: str = "") -> None:
    """Mount a new file system of a kind without a disk (tmpfs, devpts), without setuid files and foreign devices."""
    flags = ctypes.c_ulong(_MS_NOSUID | {"devpts": _MS_NOEXEC}.get(kind, _MS_NODEV))
    done = _libc.mount(kind.encode(), os.fsencode(target), kind.encode(), flags, options.encode() or None)
    _check(done, f"mount {kind} on {target}")


def unmount(target: Path) -> None:
    """Detach a mount, even if it is in use."""
    _check(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def clone_tree(path: Path) -> int:
    """Return a descriptor of a detached copy of the mounts at and below a path."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    done = _libc.syscall(_long(_OPEN_TREE), _long(_AT_FDCWD), os.fsencode(path), _long(flags))
    return _check(done, f"open_tree {path}")


def make_proc() -> int:
    """Return a descriptor of a new, detached /proc of this process's pid namespace."""
    kind = _check(_libc.syscall(_long(_FSOPEN), b"proc", _long(_FS_CLOEXEC)), "fsopen proc")
    try:
        create = (_long(_FSCONFIG_CMD_CREATE), None, None, _long(0))
        _check(_libc.syscall(_long(_FSCONFIG), _long(kind), *create), "fsconfig proc")
        attributes = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | _MOUNT_ATTR_NOEXEC
        return _check(
            _libc.syscall(_long(_FSMOUNT), _long(kind), _long(_FS_CLOEXEC), _long(attributes)), "fsmount proc"
        )
    finally:
        os.close(kind)


class _MountAttributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


def restrict_mount(descriptor: int, *, read_only: bool, devices: bool = False, recursive: bool = True) -> None:
    """Forbid setuid files, devices (unless `devices`) and writing (if `read_only`) on a mount and those below it."""
    flags_to_set = _MOUNT_ATTR_NOSUID | (0 if devices else _MOUNT_ATTR_NODEV) | (_MOUNT_ATTR_RDONLY if read_only else 0)
    attributes = _MountAttributes(set=flags_to_set)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    size = _long(ctypes.sizeof(attributes))
    done = _libc.syscall(_long(_MOUNT_SETATTR), _long(descriptor), b"", _long(flags), ctypes.byref(attributes), size)
    _check(done, "mount_setattr")


def move_mount(descriptor: int, target: Path) -> None:
    """Attach a detached mount at a path."""
    done = _libc.syscall(
        _long(_MOVE_MOUNT),
        _long(descriptor),
        b"",
        _long(_AT_FDCWD),
        os.fsencode(target),
        _long(_MOVE_MOUNT_F_EMPTY_PATH),
    )
    _check(done, f"move_mount to {target}")


def pivot_root(new_root: Path, old_root: Path) -> None:
    """Make a mount the new root, and attach the old root at a folder below it."""
    _check(_libc.syscall(_long(_PIVOT_ROOT), os.fsencode(new_root), os.fsencode(old_root)), "pivot_root")


def set_host_name(name: str) -> None:
    """Set the host name of this UTS namespace."""
    _check(_libc.sethostname(name.encode(), len(name)), "sethostname")


def _prctl(option: int, value: int, third: int = 0) -> None:
    _check(_libc.prctl(option, _long(value), _long(third), _long(0), _long(0)), f"prctl {option}")


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent dies. A change of the user id cancels this."""
    _prctl(_PR_SET_PDEATHSIG, _SIGKILL)


def adopt_orphans() -> None:
    """Make this process the parent of all orphans among its descendants."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(dumpable: bool) -> None:
    """Allow or forbid processes of the same user to inspect this one."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def forbid_new_privileges() -> None:
    """Never gain privileges by executing files again."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


def filter_system_calls(instructions: bytes) -> None:
    """Apply a seccomp filter of 8-byte instructions to this process and its children."""
    program = _Program(len(instructions) // 8, instructions)
    done = _libc.prctl(_PR_SET_SECCOMP, _long(_SECCOMP_MODE_FILTER), ctypes.byref(program), _long(0), _long(0))
    _check(done, "seccomp")


def drop_capabilities() -> None:
    """Empty all capability sets, the bounding set included."""
    for capability in range(64):
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last capability, or without CAP_SETPCAP, and then no capability in the set is usable
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _check(_libc.syscall(_long(_CAPSET), header, nothing), "capset")


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "net", "scoped")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


_READ = 0b1101  # execute, read file, read directory
_LIST = 0b1000  # read directory
_USE = 0b110 | 1 << 15  # write file, read file, ioctl on a device
_OVERWRITE = 0b10 | 1 << 14  # write file, truncate
_FILE_RIGHTS = 0b1 | 0b10 | 0b100 | 1 << 14 | 1 << 15  # the rights that apply to a single file
_RULESET_BYTES = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}


def read_landlock_abi() -> int:
    """Return the version of Landlock that the kernel offers.

    Raises:
        OSError: the kernel has no Landlock.
    """
    return _check(_libc.syscall(_long(_LANDLOCK_CREATE_RULESET), None, _long(0), _long(1)), "Landlock")


@dataclass(frozen=True)
class PathRules:
    """The files that Landlock allows; paths that do not exist are skipped.

    Args:
        readable: paths that can be read and executed.
        writable: paths that can also be changed.
        listed: folders whose names can be listed.
        used: device files that can be read, written and controlled.
        overwritten: files, or folders whose files, can be written and neither read nor made.
    """

    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    listed: tuple[Path, ...] = ()
    used: tuple[Path, ...] = ()
    overwritten: tuple[Path, ...] = ()


def restrict_by_landlock(rules: PathRules, *, scoped: bool) -> None:
    """Allow only files below these paths and no TCP.

    Source: the kernel's userspace-api/landlock.rst.

    Args:
        rules: the files that stay allowed.
        scoped: whether to forbid abstract sockets and signals to the outside as well.
    """
    abi = read_landlock_abi()
    every = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    scopes = 0b11 if scoped and abi >= 6 else 0
    handled = _Ruleset(files=every, net=0b11 if abi >= 4 else 0, scoped=scopes)
    size = _long(_RULESET_BYTES.get(abi, 24))
    ruleset = _check(
        _libc.syscall(_long(_LANDLOCK_CREATE_RULESET), ctypes.byref(handled), size, _long(0)), "landlock_create_ruleset"
    )
    try:
        allowed = (
            *((_READ, rules.readable), (every, rules.writable), (_LIST, rules.listed)),
            *((_USE, rules.used), (_OVERWRITE, rules.overwritten)),
        )
        for rights, paths in allowed:
            for path in paths:
                _allow_beneath(ruleset, path, rights & every)
        _check(_libc.syscall(_long(_LANDLOCK_RESTRICT_SELF), _long(ruleset), _long(0)), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow_beneath(ruleset: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        allowed = rights if stat.S_ISDIR(os.fstat(parent).st_mode) else rights & _FILE_RIGHTS
        rule = _PathBeneath(allowed=allowed, parent=parent)
        done = _libc.syscall(_long(_LANDLOCK_ADD_RULE), _long(ruleset), _long(1), ctypes.byref(rule), _long(0))
        _check(done, f"landlock_add_rule {path}")
    finally:
        os.close(parent)


def attach_device_filter(group: Path, instructions: bytes) -> None:
    """Let a program of Linux decide which device files the processes of a control group of version 2 may open.

    Source: the kernel's admin-guide/cgroup-v2.rst ("Device controller") and uapi/linux/bpf.h.

    Args:
        group: the group's folder.
        instructions: the program, in instructions of 8 bytes.
    """
    program = ctypes.create_string_buffer(instructions)
    license_name = ctypes.create_string_buffer(b"MIT")
    places = ctypes.addressof(program), ctypes.addressof(license_name)
    head = struct.pack("=IIQQ", _BPF_PROG_TYPE_CGROUP_DEVICE, len(instructions) // 8, *places)
    loaded = _bpf(_BPF_PROG_LOAD, head, "bpf load")
    try:
        folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            ends = struct.pack("=IIII", folder, loaded, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI)
            _bpf(_BPF_PROG_ATTACH, ends, f"bpf attach to {group}")
        finally:
            os.close(folder)
    finally:
        os.close(loaded)


def _bpf(command: int, attributes: bytes, call: str) -> int:
    size = 128  # as of Linux 5.13; what follows the attributes is zero
    buffer = ctypes.create_string_buffer(attributes, size)
    return _check(_libc.syscall(_long(_BPF), _long(command), buffer, _long(size)), call)


def write_file(path: str, text: str) -> None:
    """Write a small file as open() would, but without its layers, which would make a fork copy pages of memory."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def use_huge_pages() -> None:
    """Collapse this process's own memory into pages of 2 MiB, so that a fork copies hundreds of entries, not 100,000.

    Kernels before 6.1 cannot do this; then nothing changes.
    """
    with open("/proc/self/maps") as maps:
        lines = [line.split() for line in maps]
    for address, access, _, _, inode, *name in lines:
        first, last = (int(end, 16) for end in address.split("-"))
        own = inode == "0" and access.startswith("rw") and name in ([], ["[heap]"])
        start, end = -(-first // _HUGE_PAGE) * _HUGE_PAGE, last // _HUGE_PAGE * _HUGE_PAGE
        if own and start < end:
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_COLLAPSE)
