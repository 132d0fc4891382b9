"""The trusted end of a student's work: the protocols of `grader.student`, implemented over snapshots.

Everything that arrives is data from an untrusted process. It is bounded in size and time, and only compared.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.models.rerun import Substitution
from grader.models.stand_ins import StandIns
from grader.sandbox.host.decoding import reject_malformed
from grader.sandbox.host.faults import FaultReader
from grader.sandbox.host.replay import RecordedTest
from grader.sandbox.host.snapshot_remote import SnapshotRemote, encode_argument, require_remote
from grader.sandbox.host.stand_in_answers import answer_question, is_question
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Closed, Failure, Handle, Malformed
from grader.sandbox.protocol.tensors import array_to_tensor
from grader.sandbox.protocol.values import unpack_value
from grader.student import (
    Candidate,
    Definition,
    Fault,
    Recorded,
    Rerun,
    StudentFault,
)

__all__ = ["SnapshotStudent"]

_LONG = ("train", "predict_classes", "rerun")  # operations that may take longer than a test
_CHANGING = ("apply", "trained")  # operations that may change the notebook's own objects
_READING = ("parameter_shapes", "parameters", "signature", "sketch")  # operations that leave its models as they were
_SECONDS_AHEAD = 1.0  # for calls ahead; a test that fails makes them again, one by one
_MAX_CANDIDATES = 400


def _read_candidate(
    name: Any, cell: Any, number: Any, kind: Any, required: Any, class_name: Any, builds: Any
) -> tuple[Candidate, int | None]:
    if kind not in ("module", "class", "function") or not (number is None or 0 <= int(number) < _MAX_CANDIDATES):
        raise ValueError("no such candidate")
    name = str(name)[:100]
    # No part of a cell is negative, so this is no definition that an item asks for.
    part = 0 if number is None else -1 - int(number)
    definition = Definition("", int(cell), frozenset({name}), part, at_end=number is None)
    plain = frozenset(str(parameter)[:100].replace("_", "").lower() for parameter in tuple(required)[:100])
    candidate = Candidate(definition, name, kind, plain, str(class_name)[:100], builds is True)
    return candidate, None if number is None else int(number)


def _is_same_argument(value: Any, other: Any) -> bool:
    """Return whether two arguments are the same tensor or remote (by identity), or equal numbers or texts."""
    if type(value) is not type(other):
        return False
    if isinstance(value, tuple):
        return len(value) == len(other) and all(map(_is_same_argument, value, other))
    return value is other or (isinstance(value, int | float | str) and value == other)


class SnapshotStudent:
    """One test's view of a snapshot, over a process that was forked from it.

    Args:
        channel: the line to the process.
        seconds: the time for all operations together, except trainings and predictions of trained models.
        end: until when trainings and predictions are awaited (monotonic seconds).
        names: the names that a test may ask for.
        recorded: the values that names had after each cell.
        used: whether the process served other tests before.
        calls_ahead: whether several calls may be made ahead, in one frame; either all are answered or none.
        rerun: runs the cells of a notebook again (`grader.student.Student.rerun`); tells whether a used process did.
        record: records the requests and responses; None if nothing is recorded.
        faults: reads the faults of the notebook's code.
        interrupt: interrupts the process when its time is over, and returns what it says about that.
        stand_ins: answer what the process asks; None if it may ask nothing.

    Attributes:
        used: as given, and True after calls ahead or a rerun in a used process.
        waited: how many seconds trainings and predictions took.
        changed: whether the process can serve no other test, because one of the notebook's own models was changed in it
            or because it did not answer properly.
    """

    def __init__(
        self,
        channel: Channel,
        seconds: float,
        end: float,
        names: frozenset[str],
        recorded: Sequence[Recorded],
        used: bool = False,
        calls_ahead: bool = False,
        rerun: Callable[..., tuple[Rerun, bool]] | None = None,
        record: RecordedTest | None = None,
        faults: FaultReader | None = None,
        interrupt: Callable[[], Any] = lambda: None,
        stand_ins: StandIns | None = None,
    ) -> None:
        self._channel = channel
        self._faults = faults or FaultReader(None)
        self._interrupt = interrupt
        self._names = names
        self._seconds = seconds
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._end = end
        self._recorded = recorded
        self._remotes: dict[str, SnapshotRemote] = {}
        self._calls_ahead = calls_ahead
        self._rerun = rerun
        self._record = record
        self._stand_ins = stand_ins
        self._results_ahead: deque[tuple[Handle, tuple[Any, ...], Any]] = deque()
        self.waited = 0.0
        self.used = used
        self.changed = False

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"{name} is among the names of no item in rubric.toml")
        if self._stand_ins is not None:
            self._stand_ins.asked_by_test.add(name)
        if name not in self._remotes:
            remote = self.ask({"operation": "get", "name": name})
            if not isinstance(remote, SnapshotRemote):
                raise StudentFault(Fault.MALFORMED, f"{name} is no function, class or model")
            self._remotes[name] = remote
        return self._remotes[name]

    def read(self, name: str) -> Any:
        """Return the value of a name in Python's own types."""
        with reject_malformed():
            return unpack_value(self.ask({"operation": "read", "name": name}), require_remote)

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> SnapshotRemote:
        """Build a layer of torch.nn in the student's process."""
        request = {"operation": "layer", "kind": kind, "args": encode_argument(args), "kwargs": encode_argument(kwargs)}
        layer = self.ask(request)
        if not isinstance(layer, SnapshotRemote):
            raise StudentFault(Fault.MALFORMED, f"{kind} is not torch.nn's layer any more")
        return layer

    def candidates(self) -> list[tuple[Candidate, int | None]]:
        """Return what a search may try, each with the number under which it is restored, None for the last state.

        The definitions name no file yet.
        """
        with reject_malformed():
            return [_read_candidate(*entry) for entry in self.ask({"operation": "candidates"})[:_MAX_CANDIDATES]]

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Make calls that the test is about to make, all in one frame."""
        if not self._calls_ahead:
            return
        self.used = True
        targets = [getattr(self, name) for name, *_ in calls]
        if any(target.kind != "function" for target in targets):
            return
        requests = [
            {"target": target.handle, "args": encode_argument(args)}
            for target, (_, *args) in zip(targets, calls, strict=True)
        ]
        results = self.ask({"operation": "calls", "calls": requests}, _SECONDS_AHEAD)
        with reject_malformed():
            for target, (_, *args), result in zip(targets, calls, results, strict=True):
                self._results_ahead.append((target.handle, tuple(args), result))

    def take_result(self, target: Handle, args: tuple[Any, ...]) -> tuple[Any] | None:
        """Return the result of a call in a tuple of one, if it is the next of the calls made ahead; else None."""
        if not self._results_ahead:
            return None
        next_target, next_args, result = self._results_ahead[0]
        if next_target != target or not _is_same_argument(next_args, args):
            return None
        self._results_ahead.popleft()
        return (result,)

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell, in the order of the cells."""
        return self._recorded

    def rerun(self, wanted: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int = 0) -> Rerun:
        """Run the cells of a notebook again with other data, in a process that tests of its functions need no more."""
        if self._rerun is None:
            raise StudentFault(Fault.MISSING, "the cells cannot be run again here")
        seen, used = self._rerun(wanted, substitutions, entries)
        self.used = self.used or used
        return seen

    def mark_earning(self) -> None:
        """Note that an item earns points by what was asked here, which is asked again at the end."""
        if self._record is not None:
            self._record.earns = True

    def ask(self, request: dict[str, Any], at_most: float = math.inf) -> Any:
        """Send one operation and return the response.

        Args:
            request: the operation and its details.
            at_most: how many of the test's seconds the operation may take.

        Raises:
            StudentFault: there is no response in time, or it is no plain data, or it is a failure.
        """
        started, long = time.monotonic(), request["operation"] in _LONG
        deadline = max(self._end, self._deadline) if long else min(self._deadline, started + at_most)
        before, self.changed = self.changed, True
        try:
            response = self._exchange(request, deadline)
        except StudentFault as fault:
            self._note(request, fault.fault)
            raise
        finally:
            if long:
                taken = time.monotonic() - started
                self.waited += taken
                self._deadline += taken
        self._note(request, response)
        self.changed = before or self._changes_model(request)
        return self._decode(response)

    def _exchange(self, request: dict[str, Any], deadline: float) -> Any:
        try:
            self._channel.send(request, seconds=max(0.01, deadline - time.monotonic()))
            response = self._channel.receive(seconds=max(0.01, deadline - time.monotonic()))
            while self._stand_ins is not None and is_question(response):
                answer = answer_question(self._stand_ins, response)
                self._channel.send(answer, seconds=max(0.01, deadline - time.monotonic()))
                response = self._channel.receive(seconds=max(0.01, deadline - time.monotonic()))
            return response
        except TimeoutError:
            interrupted = self._interrupt()
            self._channel.close()
            seconds = deadline - self._started if request["operation"] in _LONG else self._seconds
            place = self._faults.read_place(interrupted.details) if isinstance(interrupted, Failure) else None
            raise StudentFault(Fault.TIMED_OUT, f"did not end within {seconds:.3g} s", place=place) from None
        except Closed:
            raise StudentFault(Fault.CRASHED, "ended its process instead of returning") from None
        except Malformed as error:
            self._channel.close()
            raise StudentFault(Fault.MALFORMED, f"answered with something that is no plain data ({error})") from None

    def _note(self, request: dict[str, Any], response: Any) -> None:
        if self._record is not None and request["operation"] not in _LONG:
            self._record.add(request, response)

    def _changes_model(self, request: Mapping[str, Any]) -> bool:
        """Return whether an operation may change a model of the notebook: its parameters, or its mode."""
        target = request.get("target")
        own = any(remote.kind == "module" and remote.handle == target for remote in self._remotes.values())
        return request["operation"] in _CHANGING or (own and request["operation"] not in _READING)

    def _decode(self, response: Any) -> Any:
        if isinstance(response, Failure):
            raise self._faults.read(response)
        if isinstance(response, Array):
            return array_to_tensor(response)
        if isinstance(response, Handle):
            return SnapshotRemote(self, response)
        if isinstance(response, tuple):
            return tuple(self._decode(entry) for entry in response)
        if isinstance(response, dict):
            return {key: self._decode(entry) for key, entry in response.items()}
        return response
