"""Where the socket of a resident grader is, what its name stands for, and who may use it.

The name is made of everything that a running process cannot take over from a command: the grader's code, the packages,
the variables that are read when a process starts, and how the process is confined. If any of it changes, the name does,
so that a resident grader which is out of date is never found.

Each command imports this module before it does anything else, so it imports little.
"""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = [
    "SUFFIX",
    "compute_name",
    "connect",
    "is_confined_alike",
    "open_folder",
    "read_peer",
]

SUFFIX = ".sock"
_PACKAGE = Path(__file__).resolve().parents[1]
_LENGTH = 12  # characters
_CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7)

# Variables that the interpreter, the dynamic linker or a library reads once.
_READ_AT_START = (
    *("PYTHON", "LD_", "LC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "GLIBC_", "TORCH", "CUDA_"),
    *("NVIDIA_", "SLURM_JOB_ID", "PBS_JOBID", "LANG", "TZ", "TMPDIR"),
)
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
_CONFINEMENT = ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Seccomp_filters", "Cpus_allowed")


def open_folder() -> int | None:
    """Return a descriptor of the folder that the sockets are in. If it is missing, make it.

    It is $GRADER_DAEMON_DIR, else $XDG_RUNTIME_DIR/grader (XDG Base Directory Specification), else a folder of this
    user in /tmp. Return None if it cannot be made, or if anyone but this user could put a socket there.
    """
    configured = os.environ.get("GRADER_DAEMON_DIR")
    folder = Path(configured) if configured else _find_default_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return descriptor
    os.close(descriptor)
    return None


def _find_default_folder() -> Path:
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", ""))  # the specification says to ignore relative paths
    return runtime / "grader" if runtime.is_absolute() else Path(f"/tmp/notebook-grader-{os.geteuid()}")


def compute_name(variables: Mapping[str, str] = os.environ) -> tuple[str, str, str]:
    """Return the three parts of the name of a socket: the installation, its code, and the environment.

    Of two resident graders of one installation with different code, at most one is up to date.

    Args:
        variables: the environment of the process when it started.

    Raises:
        OSError: /proc is missing.
    """
    installation = str(_PACKAGE), sys.executable, os.geteuid()
    code = sorted(_list_code(_PACKAGE)), _list_packages()
    environment = _list_variables(variables), _list_bounds()
    return _hash(installation), _hash(code), _hash(environment)


def _hash(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:_LENGTH]


def _list_code(folder: str | Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and time of all files of code."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir() and entry.name != "__pycache__":
                yield from _list_code(entry.path)
            elif entry.name.endswith((".py", ".html", ".css", ".js", ".json", ".toml")):
                found = entry.stat()
                yield entry.path, found.st_size, found.st_mtime_ns


def _list_packages() -> list[tuple[str, int]]:
    """Return the folders that packages are installed in. To install or to remove one changes a folder's time."""
    folders = [path for path in map(Path, sys.path) if path.name.endswith("-packages") and path.is_dir()]
    return [(str(path), path.stat().st_mtime_ns) for path in (Path(sys.executable), *folders)]


def _list_variables(variables: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(item for item in variables.items() if item[0].startswith(_READ_AT_START))


def _list_bounds() -> object:
    with open("/proc/self/limits", encoding="ascii") as file:
        return file.read(), os.getpriority(os.PRIO_PROCESS, 0), _read_confinement("self")


def _read_confinement(process: str) -> list[str]:
    """Return as whom a process runs, in which namespaces, and behind which filters.

    Raises:
        OSError: the process has ended, or may not be looked into.
    """
    with open(f"/proc/{process}/status", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line for line in file.read().splitlines() if line.partition(":")[0] in _CONFINEMENT]
    return [*lines, *(str(Path(f"/proc/{process}/ns/{kind}").readlink()) for kind in _NAMESPACES)]


def is_confined_alike(process: int) -> bool:
    """Tell whether another process may do exactly what this one may.

    Code in a sandbox must not reach a process outside, in case it finds the socket.

    Args:
        process: its process id.
    """
    try:
        return _read_confinement(str(process)) == _read_confinement("self")
    except OSError:
        return False


def read_peer(connection: socket.socket) -> tuple[int, int]:
    """Return the process id and the user id of the other end of a unix socket."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(packed)
    return process, user


def connect(folder: int, name: str) -> socket.socket | None:
    """Connect to a socket. Return None if nothing listens there, or if it is another user who does.

    Args:
        folder: a descriptor of the folder. A path by way of it has no limit of 108 bytes (unix(7)).
        name: the name of the socket.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{name}")
        if read_peer(connection)[1] == os.geteuid():
            return connection
    except OSError:
        pass
    connection.close()
    return None
