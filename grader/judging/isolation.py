"""Shield a run of pytest from the rest of the process, and the rest of the process from it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import torch

__all__ = ["isolate_pytest"]

# pytest sets environment variables while it runs a test, so only one thread may run tests at a time.
_pytest_lock = threading.Lock()


@contextlib.contextmanager
def isolate_pytest() -> Iterator[None]:
    """Let this thread alone run tests, without pytest's variables and with output that disturbs no report."""
    # Output of a rubric's tests is for its author: standard output may be carrying the report.
    with _pytest_lock, _hide_pytest_variables(), _limit_to_one_thread(), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def _limit_to_one_thread() -> Iterator[None]:
    """Compute on one thread: for cases this small, starting several threads costs many times what it saves."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextlib.contextmanager
def _hide_pytest_variables() -> Iterator[None]:
    hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PYTEST_")}
    try:
        yield
    finally:
        os.environ.update(hidden)
