"""Limits on the memory that a process of ours may take, so that what a student sends cannot exhaust the machine.

The limit is on data (RLIMIT_DATA), that is on all memory that a process can write to and does not share. A limit on
addresses would be of no use: importing torch alone takes 4.6 GB of them.
"""

from __future__ import annotations

import errno
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["MemoryExceeded", "allow_memory", "is_memory_refused", "limit_memory"]

_lock = threading.Lock()
_allowed: list[int] = []  # bytes, for each body of `limit_memory` that runs now
_before: list[int] = []  # the bytes that the process had, and its former limit, while there is such a body


class MemoryExceeded(Exception):
    """A process needed more memory than it may take."""


@contextmanager
def limit_memory(most: int) -> Iterator[None]:
    """Limit how much memory this process may take while the body runs, above what it has now.

    The limit holds for all threads. If bodies run in several, each adds to it. Processes that are started in the body
    inherit the limit, so those with needs of their own call `allow_memory`.

    Args:
        most: bytes.

    Raises:
        MemoryExceeded: the body failed because memory was refused.
    """
    with _lock:
        if not _allowed:
            _before[:] = _read_data_bytes(), resource.getrlimit(resource.RLIMIT_DATA)[0]
        _allowed.append(most)
        _apply()
    try:
        yield
    except Exception as error:
        if is_memory_refused(error):
            raise MemoryExceeded(f"needed more than {most / 2**30:g} GiB") from error
        raise
    finally:
        with _lock:
            _allowed.remove(most)
            _apply()


def _apply() -> None:
    taken, former = _before
    _set_limit(taken + sum(_allowed) if _allowed else former)


def allow_memory(most: int) -> None:
    """Let this process take at most `most` bytes above what it has, whatever limit it has inherited."""
    _set_limit(_read_data_bytes() + most)


def is_memory_refused(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, says that memory was refused."""
    while error is not None:
        refused = isinstance(error, OSError) and error.errno == errno.ENOMEM
        # torch raises a plain RuntimeError.
        refused = refused or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
        if refused or isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _set_limit(wanted: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    bounds = [bound for bound in (wanted, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds, default=resource.RLIM_INFINITY), hard))


def _read_data_bytes() -> int:
    """Return how much memory this process has that counts towards its limit on data."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
