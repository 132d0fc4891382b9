"""The trusted end of a student's work: the protocols of `grader.student`, implemented over snapshots.

Everything that arrives is data from an untrusted process. It is bounded in size and time, and only compared.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from grader.models.recipe import Recipe
from grader.sandbox.host.decoding import read_fault, read_tensors, reject_malformed
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Closed, Failure, Handle, Malformed
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value
from grader.student import (
    Candidate,
    Definition,
    Fault,
    Operation,
    OwnCurve,
    OwnTraining,
    Parameter,
    Recorded,
    StudentFault,
)

__all__ = ["SnapshotRemote", "SnapshotStudent"]

_LONG = ("train", "predict_classes")  # operations that may take longer than a test
_CHANGING = ("apply", "trained")  # operations that may change the notebook's own objects
_READING = ("parameter_shapes", "parameters", "signature", "sketch")  # operations that leave its models as they were
_SECONDS_AHEAD = 1.0  # for calls ahead; a test that fails makes them again, one by one
_MAX_CANDIDATES = 400
_IMAGES_AT_ONCE = 1000


def encode_argument(value: Any) -> Any:
    """Return an argument that a test passes to the student as plain data.

    Raises:
        TypeError: a tensor's dtype is not plain data.
    """
    if isinstance(value, Tensor):
        array = tensor_to_array(value)
        if isinstance(array, Failure):
            raise TypeError(array.message)
        return array
    if isinstance(value, SnapshotRemote):
        return value.handle
    if isinstance(value, tuple | list):
        return tuple(encode_argument(entry) for entry in value)
    if isinstance(value, Mapping):
        return {key: encode_argument(entry) for key, entry in value.items()}
    return value


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

    Attributes:
        used: as given, and True after calls ahead.
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
    ) -> None:
        self._channel = channel
        self._names = names
        self._seconds = seconds
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._end = end
        self._recorded = recorded
        self._remotes: dict[str, SnapshotRemote] = {}
        self._calls_ahead = calls_ahead
        self._results_ahead: deque[tuple[Handle, tuple[Any, ...], Any]] = deque()
        self.waited = 0.0
        self.used = used
        self.changed = False

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"{name} is among the names of no item in rubric.toml")
        if name not in self._remotes:
            remote = self.ask({"operation": "get", "name": name})
            if not isinstance(remote, SnapshotRemote):
                raise StudentFault(Fault.MALFORMED, f"{name} is no function, class or model")
            self._remotes[name] = remote
        return self._remotes[name]

    def read(self, name: str) -> Any:
        """Return the value of a name in Python's own types."""
        with reject_malformed():
            return unpack_value(self.ask({"operation": "read", "name": name}), _require_remote)

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
            self._channel.send(request, seconds=max(0.01, deadline - time.monotonic()))
            response = self._channel.receive(seconds=max(0.01, deadline - time.monotonic()))
        except TimeoutError:
            self._channel.close()
            seconds = deadline - self._started if long else self._seconds
            raise StudentFault(Fault.TIMED_OUT, f"ran past its {seconds:.3g} s") from None
        except Closed:
            raise StudentFault(Fault.CRASHED, "ended its process instead of returning") from None
        except Malformed as error:
            self._channel.close()
            raise StudentFault(Fault.MALFORMED, f"answered with something that is no plain data ({error})") from None
        finally:
            if long:
                taken = time.monotonic() - started
                self.waited += taken
                self._deadline += taken
        self.changed = before or self._changes_model(request)
        return self._decode(response)

    def _changes_model(self, request: Mapping[str, Any]) -> bool:
        """Return whether an operation may change a model of the notebook: its parameters, or its mode."""
        target = request.get("target")
        own = any(remote.kind == "module" and remote.handle == target for remote in self._remotes.values())
        return request["operation"] in _CHANGING or (own and request["operation"] not in _READING)

    def _decode(self, response: Any) -> Any:
        if isinstance(response, Failure):
            raise read_fault(response)
        if isinstance(response, Array):
            return array_to_tensor(response)
        if isinstance(response, Handle):
            return SnapshotRemote(self, response)
        if isinstance(response, tuple):
            return tuple(self._decode(entry) for entry in response)
        if isinstance(response, dict):
            return {key: self._decode(entry) for key, entry in response.items()}
        return response


class SnapshotRemote:
    """An object that stays in the student's process."""

    def __init__(self, student: SnapshotStudent, handle: Handle) -> None:
        self._student = student
        self.handle = handle
        self.kind = handle.kind
        self._signature: tuple[Parameter, ...] | None = None

    def __repr__(self) -> str:
        return f"a {self.handle.type_name} object"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and (result := self._student.take_result(self.handle, args)):
            return result[0]
        return self._ask("call", args=encode_argument(args), kwargs=encode_argument(kwargs))

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with values of Python's own types. Return the result, and the arguments if the call changed them."""
        response = self._ask("apply", given=pack_value((args, kwargs), _unwrap_handle))
        with reject_malformed():
            result, after = response
            return unpack_value(result, _require_remote), unpack_value(after, _require_remote)

    def attribute(self, name: str) -> Any:
        """Return an attribute in Python's own types."""
        with reject_malformed():
            return unpack_value(self._ask("attribute", name=name), _require_remote)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Build a model that has shapes but no numbers."""
        return self._ask("sketch", args=encode_argument(args), kwargs=encode_argument(kwargs))

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters of its signature."""
        if self._signature is None:
            with reject_malformed():
                self._signature = tuple(
                    Parameter(str(name), bool(required), bool(keyword_only))
                    for name, required, keyword_only in self._ask("signature")
                )
        return self._signature

    def parameters(self) -> dict[str, Tensor]:
        """Return a module's learnable parameters by name, in order."""
        return read_tensors(self._ask("parameters"))

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a module's learnable parameters by name, in order."""
        response = self._ask("parameter_shapes")
        with reject_malformed():
            return {str(name): tuple(int(n) for n in shape) for name, shape in response.items()}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Fill the named parameters of a module."""
        self._ask("load", values=encode_argument(values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name."""
        response = self._ask("gradients", inputs=encode_argument(inputs), cotangent=encode_argument(cotangent))
        with reject_malformed():
            gradients = read_tensors({name: value for name, value in response.items() if value is not None})
            return {name: gradients.get(name) for name in response}

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass."""
        response = self._ask("operations", inputs=encode_argument(inputs))
        with reject_malformed():
            return tuple(
                Operation(str(name), tuple(int(n) for n in shape), tuple(map(str, parameters)))
                for name, shape, parameters in response
            )

    def predict_classes(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model predicts for each image."""
        classes = [torch.empty(0, dtype=torch.int64)]
        for part in images.split(_IMAGES_AT_ONCE):
            response = self._ask("predict_classes", images=encode_argument(part), size=like.size, pixels=like.pixels)
            with reject_malformed():
                if response.shape != (len(part),) or response.dtype != torch.int64:
                    raise ValueError("not one class for each image")
            classes.append(response)
        return torch.cat(classes)

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return the module's description of its forward pass, which is only a claim."""
        return self._ask("graph", image=image)

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return the outputs of the module with parameters drawn from a seed."""
        return read_tensors(self._ask("probe", names=tuple(names), images=encode_argument(images), seed=seed))

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnCurve:
        """Train the module in the student's process."""
        tensors = {
            "images": encode_argument(images),
            "labels": encode_argument(labels),
            "judged": encode_argument(judged),
        }
        response = self._ask("train", recipe=asdict(recipe), seed=seed, **tensors)
        with reject_malformed():
            classes = read_tensors({"classes": response["classes"]})["classes"]
            if classes.shape != (len(judged),):
                raise ValueError("not one class for each image")
            points = tuple((float(x), float(loss), float(right)) for x, loss, right in response["points"][:100])
            return OwnCurve(response["finite"] is True, classes.long(), points)

    def _ask(self, operation: str, **details: Any) -> Any:
        return self._student.ask({"operation": operation, "target": self.handle, **details})


def _unwrap_handle(thing: Any) -> Handle:
    """Return the handle of an object that a test passes back to the student's process.

    Raises:
        TypeError: the object does not stand for one of the student's.
    """
    while not isinstance(thing, SnapshotRemote):
        if not hasattr(thing, "remote"):
            raise TypeError(f"a {type(thing).__name__} cannot be given to the student's code")
        thing = thing.remote
    return thing.handle


def _require_remote(thing: Any) -> SnapshotRemote:
    if not isinstance(thing, SnapshotRemote):
        raise TypeError("no object of the student's")
    return thing
