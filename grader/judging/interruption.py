"""Interrupt a rubric's test that computes without end, in whatever thread it runs."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from grader.testing.failures import Overtime

__all__ = ["limit_computing"]

_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_BETWEEN_INTERRUPTIONS = 1.0  # of computing, for a test that catches the first one

_raise_in_thread = ctypes.pythonapi.PyThreadState_SetAsyncExc
_raise_in_thread.argtypes = [ctypes.c_ulong, ctypes.py_object]


@contextmanager
def limit_computing(seconds: float) -> Iterator[None]:
    """Raise Overtime in this thread once it has computed for `seconds`. Waiting for a student's code is not counted.

    Python code is interrupted between two instructions, and a call into C when it returns. A signal would do the same
    in the main thread only, and not everything is judged there.
    """
    limit = _Limit(seconds)
    try:
        _watcher.add(limit)
        try:
            yield
        finally:
            _watcher.remove(limit)
    except Overtime:
        _watcher.remove(limit)  # the first call may have been interrupted
        raise


class _Limit:
    """A limit on what the thread that makes it computes."""

    def __init__(self, seconds: float) -> None:
        self._thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._thread)
        self._end = time.clock_gettime(self._clock) + seconds
        self._exceeded = False

    def check(self) -> None:
        """Interrupt the thread if it has computed for too long."""
        if time.clock_gettime(self._clock) >= self._end:
            self._exceeded = True
            self._end += _SECONDS_BETWEEN_INTERRUPTIONS
            _raise_in_thread(self._thread, ctypes.py_object(Overtime))

    def take_back(self) -> None:
        """Drop an interruption of this thread that has not been raised yet.

        It is replaced by one that is raised here. If it were withdrawn instead, CPython 3.11 would never stop looking
        for it, and a function that is traced (`sys.settrace`) would not begin.
        """
        if not self._exceeded:
            return
        try:
            _raise_in_thread(self._thread, ctypes.py_object(Overtime))
            while True:
                pass
        except Overtime:
            pass


class _Watcher:
    """Checks all limits that hold, in one thread: to start one for each test would take longer. It ends with them."""

    def __init__(self) -> None:
        self._limits: list[_Limit] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._report_unraisable = sys.unraisablehook

    def add(self, limit: _Limit) -> None:
        """Check a limit from now on."""
        with self._lock:
            self._limits.append(limit)
            if self._thread is None or not self._thread.is_alive():  # no thread outlives a fork
                if sys.unraisablehook != self._drop_interruption:
                    self._report_unraisable = sys.unraisablehook
                    sys.unraisablehook = self._drop_interruption
                self._thread = threading.Thread(target=self._watch, name="watcher of tests", daemon=True)
                self._thread.start()

    def remove(self, limit: _Limit) -> None:
        """Check a limit no more."""
        with self._lock:
            if limit in self._limits:
                self._limits.remove(limit)
        limit.take_back()

    def _watch(self) -> None:
        while True:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            with self._lock:
                if not self._limits:
                    self._thread = None
                    if sys.unraisablehook == self._drop_interruption:
                        sys.unraisablehook = self._report_unraisable
                    return
                for limit in self._limits:
                    limit.check()

    def _drop_interruption(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Say nothing of an interruption that a destructor or a callback swallowed: the next one follows soon."""
        if not issubclass(unraisable.exc_type, Overtime):
            self._report_unraisable(unraisable)


_watcher = _Watcher()
