"""Ask again what tests asked, in a process that no test has touched, and compare the responses.

Tests share a process, so a function that is wrong at its first call may be right by the time a test calls it. Asking
again shows that, and whatever else a response depends on besides its arguments: a counter in a file or in shared
memory, the time, the number of the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from grader.sandbox.host.execution import Snapshot
from grader.sandbox.host.snapshot_process import SnapshotProcess
from grader.sandbox.protocol.encoding import Array, Closed, Failure, Handle, Malformed
from grader.sandbox.protocol.tensors import array_to_tensor
from grader.student import Fault

__all__ = ["RecordedTest", "answers_the_same", "choose_tests"]

_MOST_RESULTS = 1  # of one test
_MOST_EXCHANGES = 24  # of one test
_MOST_BYTES = 2**20  # of the tensors in them
_CALLS = (-1, 0, 1)  # those that are repeated of a request that makes several
_SECONDS = 5.0  # for one test
_SECONDS_OF_ONE_THAT_HUNG = 0.2
_TOLERANCE = 1e-4
_PREPARING = ("get", "layer", "load", "parameters", "parameter_shapes", "signature")  # what comes before a result
_UNRECORDED = ("parameters",)  # a model may draw its parameters from a generator that nothing seeds


@dataclass
class RecordedTest:
    """The first requests and responses of one test, in one state.

    Attributes:
        snapshot: the state.
        aliases: the student's own names for the names that the test asks for.
        is_try: whether a search only tried the state.
        earns: whether the test's item earns points by it.
        exchanges: the requests, each with its response, or the fault if there was none.
    """

    snapshot: Snapshot
    aliases: Mapping[str, str]
    is_try: bool = False
    earns: bool = False
    exchanges: list[tuple[dict[str, Any], Any]] = field(default_factory=list)
    _results: int = 0
    _bytes: int = 0
    _names: frozenset[str] = frozenset()

    def add(self, request: dict[str, Any], response: Any) -> None:
        """Record an exchange, unless there are too many or too large ones; then the later ones are left out as well."""
        if request["operation"] in ("get", "read"):
            self._names |= {request["name"]}
        is_full = self._results >= _MOST_RESULTS or len(self.exchanges) >= _MOST_EXCHANGES
        if not is_full and self._bytes < _MOST_BYTES:
            self._bytes += _count_bytes(request) + _count_bytes(response)
            if self._bytes < _MOST_BYTES:
                self.exchanges.append((request, response))
                # That there is a model says nothing about it yet.
                self._results += request["operation"] not in _PREPARING and not isinstance(response, Handle)

    @property
    def subject(self) -> tuple[Any, ...]:
        """What was asked: the state, and the functions and classes."""
        return (id(self.snapshot.packets), self.snapshot.checkpoint, self.snapshot.candidate, self._names)


def _count_bytes(value: Any) -> int:
    match value:
        case Array():
            return len(value.data)
        case dict():
            return sum(map(_count_bytes, value.values()))
        case tuple():
            return sum(map(_count_bytes, value))
        case str():
            return len(value)
    return 8


def choose_tests(tests: Sequence[RecordedTest]) -> list[RecordedTest]:
    """Return the tests to repeat for each function and class, in another order than before.

    These are the last test that earned points, because it may have used what the tests before it left behind; and the
    first one that did not, because its calls were made when the fewest others had been made.
    """
    earning = {test.subject: test for test in tests if test.earns and test.exchanges}
    others = {test.subject: test for test in reversed(tests) if not (test.earns or test.is_try) and test.exchanges}
    return [*reversed(earning.values()), *others.values()]


def answers_the_same(process: SnapshotProcess, tests: Sequence[RecordedTest]) -> bool:
    """Return whether a process of the tests' state gives the recorded responses again.

    Args:
        process: an unused one, reset for the first test.
        tests: all of one state's process. Those after one that ends the process or hangs are not repeated.
    """
    for number, test in enumerate(tests):
        if number and not process.reset(test.snapshot, test.aliases, _SECONDS):
            return False
        for request, expected in _shorten(test.exchanges):
            response = _ask(
                process, request, _SECONDS if not isinstance(expected, Fault) else _SECONDS_OF_ONE_THAT_HUNG
            )
            if request["operation"] in _UNRECORDED:
                response, expected = _describe_shapes(response), _describe_shapes(expected)
            if not _are_alike(response, expected):
                return False
            if isinstance(expected, Fault):
                return True
    return True


def _shorten(exchanges: Sequence[tuple[dict[str, Any], Any]]) -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield the exchanges, with a few of the calls of a request that makes several, in another order.

    The last one comes first: the first cases of a test are the smallest, for which also a wrong function may be right.
    """
    for request, response in exchanges:
        if request["operation"] == "calls" and isinstance(response, tuple):
            made = list(zip(request["calls"], response, strict=False))
            chosen = [made[place] for place in _CALLS if -len(made) <= place < len(made)]
            yield {**request, "calls": tuple(call for call, _ in chosen)}, tuple(result for _, result in chosen)
        else:
            yield request, response


def _ask(process: SnapshotProcess, request: dict[str, Any], seconds: float) -> Any:
    """Return the response to a request, or the fault if there is none."""
    try:
        process.channel.send(request, seconds)
        return process.channel.receive(seconds)
    except TimeoutError:
        return Fault.TIMED_OUT
    except Closed:
        return Fault.CRASHED
    except Malformed:
        return Fault.MALFORMED


def _describe_shapes(response: Any) -> Any:
    if not isinstance(response, dict):
        return response
    return {name: (v.dtype, v.shape) if isinstance(v, Array) else v for name, v in response.items()}


def _are_alike(one: Any, other: Any) -> bool:
    """Return whether two responses are equal up to rounding. Texts of exceptions may differ."""
    if isinstance(one, Array) and isinstance(other, Array):
        return one == other or (one.dtype == other.dtype and one.shape == other.shape and _are_close(one, other))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_are_alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_alike(value, other[name]) for name, value in one.items())
    if isinstance(one, Failure) and isinstance(other, Failure):
        return one.name == other.name
    return type(one) is type(other) and bool(one == other or (one != one and other != other))


def _are_close(one: Array, other: Array) -> bool:
    a, b = array_to_tensor(one), array_to_tensor(other)
    if a.is_complex() or not a.is_floating_point():
        return torch.equal(a, b)
    return torch.allclose(a.double(), b.double(), rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
