"""Work in this very process: the names of the notebook in which the student runs a self-check.

No sandbox is needed, because this is the student's own process and the result does not count. The check leaves the
notebook as it was: it copies models and restores torch's generators.
"""

from __future__ import annotations

import copy
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import Any

import torch
from torch import nn

from grader.judging.local import LocalRemote, LocalStudent
from grader.models.modules import PACKAGES_PATTERN, find_module_name
from grader.student import Candidate, Definition, Fault, OwnTraining, StudentFault

__all__ = ["NamespaceWork"]

_PACKAGES = re.compile(PACKAGES_PATTERN)


class _OutOfTime(BaseException):
    """A call ran out of time. Not an Exception, so that no `except Exception` of the called code catches it."""


class NamespaceWork:
    """The names of a running notebook, as they are now.

    Args:
        namespace: the notebook's names and their values.
        seconds: the time limit of one call, if it can be interrupted: on the main thread, while Python code runs.
    """

    FILE = "this notebook"

    def __init__(self, namespace: Mapping[str, Any], seconds: float) -> None:
        self._namespace = namespace
        self._seconds = seconds

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return one definition, the present state, with those of the names that were written here."""
        written = frozenset(name for name in names if self._is_written(name))
        return [Definition(self.FILE, 0, written)] if written else []

    def imported_from(self, name: str) -> str | None:
        """Return the package from which a name was only imported."""
        module = find_module_name(self._namespace.get(name))
        return module if _PACKAGES.match(module) else None

    def candidates(self) -> Sequence[Candidate]:
        """Return nothing: a self-check looks up the names that are asked for."""
        return []

    def trainings(self) -> Sequence[OwnTraining]:
        """Return nothing: trainings are not followed here."""
        return ()

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[LocalRemote]:
        """Raise StudentFault: there are no trained models."""
        raise StudentFault(Fault.MISSING, "trainings are not followed here")

    @contextmanager
    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
        at_most: float | None = None,
    ) -> Iterator[LocalStudent]:
        """Open the present state, with copies of models."""
        own = {
            name: copy.deepcopy(thing) if isinstance(thing, nn.Module) else thing
            for name, thing in self._list_written()
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield LocalStudent(own, lambda: _limit_time(self._seconds))

    def _list_written(self) -> Iterator[tuple[str, Any]]:
        yield from ((name, thing) for name, thing in list(self._namespace.items()) if self._is_written(name))

    def _is_written(self, name: str) -> bool:
        thing = self._namespace.get(name)
        return callable(thing) and not _PACKAGES.match(find_module_name(thing))


@contextmanager
def _limit_time(seconds: float) -> Iterator[None]:
    """Interrupt a call after `seconds`, if it can be interrupted at all."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(_: int, __: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, interrupt)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _OutOfTime:
        raise StudentFault(Fault.TIMED_OUT, f"did not end within {seconds:.3g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
