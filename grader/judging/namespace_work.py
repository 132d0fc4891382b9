"""Work that stands in this very process: the names of the notebook in which somebody asks for a check of them.

There is no sandbox here, and none is needed: it is the student's own process, and what comes of it counts for nothing.
What is theirs stays as it is: models are copied, and torch's generators go on where they were.
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
from grader.student import Definition, Fault, OwnTraining, StudentFault

__all__ = ["NamespaceWork"]

_PACKAGES = re.compile(PACKAGES_PATTERN)


class _RanOut(BaseException):
    """Not an Exception, so that no `except Exception` in the code that is called holds it up."""


class NamespaceWork:
    """The names of a running notebook, as they are now.

    Args:
        namespace: names and what they are bound to.
        seconds: how long one call may take, where it can be interrupted: on the main thread, while Python runs.
    """

    FILE = "this notebook"

    def __init__(self, namespace: Mapping[str, Any], seconds: float) -> None:
        self._namespace = namespace
        self._seconds = seconds

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return one moment, which is now, with those of the names that stand for something written here."""
        written = frozenset(name for name in names if self._is_written(name))
        return [Definition(self.FILE, 0, written)] if written else []

    def imported_from(self, name: str) -> str | None:
        """Return the package a name was merely imported from."""
        module = find_module_name(self._namespace.get(name))
        return module if _PACKAGES.match(module) else None

    def candidates(self, filled_in: Sequence[str]) -> Sequence[tuple[Definition, str]]:
        """Return nothing: what is to be checked is called by its name."""
        return []

    def trainings(self) -> Sequence[OwnTraining]:
        """Return nothing: no training is followed here."""
        return ()

    def trained(self, training: OwnTraining, seconds: float | None = None) -> AbstractContextManager[LocalRemote]:
        """Raise the fault of a model that is not there."""
        raise StudentFault(Fault.MISSING, "no training is followed here")

    @contextmanager
    def open(
        self,
        definition: Definition | None,
        aliases: Mapping[str, str] | None = None,
        seconds: float | None = None,
        *,
        shared: bool = False,
    ) -> Iterator[LocalStudent]:
        """Give the names, with copies of models."""
        own = {name: copy.deepcopy(thing) if isinstance(thing, nn.Module) else thing for name, thing in self._written()}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield LocalStudent(own, lambda: _bounded(self._seconds))

    def _written(self) -> Iterator[tuple[str, Any]]:
        yield from ((name, thing) for name, thing in list(self._namespace.items()) if self._is_written(name))

    def _is_written(self, name: str) -> bool:
        thing = self._namespace.get(name)
        return callable(thing) and not _PACKAGES.match(find_module_name(thing))


@contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Interrupt what runs past its time, where this can be done at all."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def run_out(_: int, __: FrameType | None) -> None:
        raise _RanOut

    before = signal.signal(signal.SIGALRM, run_out)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _RanOut:
        raise StudentFault(Fault.TIMED_OUT, f"ran past its {seconds:.3g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)
