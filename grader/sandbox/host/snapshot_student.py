"""The trusted end of a student's work: implements the protocols of `grader.student` over snapshots.

Everything that arrives is data from an untrusted process: it is bounded in size and time, and used for nothing but
comparison.
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
from grader.sandbox.host.decoding import read_fault, read_tensor, read_tensors, reject_malformed
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Closed, Failure, Handle, Malformed
from grader.sandbox.protocol.tensors import tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value
from grader.student import Fault, Operation, OwnCurve, OwnTraining, Parameter, Recorded, StudentFault

__all__ = ["SnapshotRemote", "SnapshotStudent"]

_LONG = ("train", "answers")  # operations that may take longer than a test
_CHANGING = ("apply", "trained")  # operations after which the notebook's own things may be others
_LOOKING = ("parameter_shapes", "parameters", "signature", "sketch")  # those after which its models are what they were
_SECONDS_AHEAD = 1.0  # for calls which a test that goes wrong makes once more, one by one
_MAX_NAMES = 1000
_IMAGES_AT_ONCE = 1000


def encode_argument(value: Any) -> Any:
    """Return what a test passes to the student as plain data."""
    if isinstance(value, Tensor):
        found = tensor_to_array(value)
        if isinstance(found, Failure):
            raise TypeError(found.message)
        return found
    if isinstance(value, SnapshotRemote):
        return value.handle
    if isinstance(value, tuple | list):
        return tuple(encode_argument(entry) for entry in value)
    if isinstance(value, Mapping):
        return {key: encode_argument(entry) for key, entry in value.items()}
    return value


def _same(one: Any, other: Any) -> bool:
    """Tell whether an argument is the very tensor or remote that another is, or the same number or text."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return one is other or (isinstance(one, int | float | str) and one == other)


class SnapshotStudent:
    """One test's view of a snapshot, over a process that was forked from it.

    `seconds` is for all that is asked together, but for trainings and what trained models answer: these are waited for
    until `end` (monotonic seconds), and `waited` is how long that took. `used` tells whether the process served other
    tests before, `changed` whether it can serve no other: a model of the notebook's own was changed in it, or it did
    not answer as it should. `early` allows calls ahead, which are answered together or not at all.
    """

    def __init__(
        self,
        channel: Channel,
        seconds: float,
        end: float,
        names: frozenset[str],
        recorded: Sequence[Recorded],
        used: bool = False,
        early: bool = False,
    ) -> None:
        self._channel = channel
        self._names = names
        self._seconds = seconds
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._end = end
        self._recorded = recorded
        self._found: dict[str, SnapshotRemote] = {}
        self._early = early
        self._called: deque[tuple[Handle, tuple[Any, ...], Any]] = deque()
        self.waited = 0.0
        self.used = used
        self.changed = False

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"{name} is among the names of no item in rubric.toml")
        if name not in self._found:
            found = self.ask({"operation": "get", "name": name})
            if not isinstance(found, SnapshotRemote):
                raise StudentFault(Fault.MALFORMED, f"{name} is no function, class or model")
            self._found[name] = found
        return self._found[name]

    def read(self, name: str) -> Any:
        """Return what a name stands for, in Python's own values."""
        with reject_malformed():
            return unpack_value(self.ask({"operation": "read", "name": name}), _remote)

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> SnapshotRemote:
        """Build a layer of torch.nn in the student's process."""
        request = {"operation": "layer", "kind": kind, "args": encode_argument(args), "kwargs": encode_argument(kwargs)}
        layer = self.ask(request)
        if not isinstance(layer, SnapshotRemote):
            raise StudentFault(Fault.MALFORMED, f"{kind} is not torch.nn's layer any more")
        return layer

    def names(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """Return the names of the student's own models and callables, each with the parameters it requires."""
        with reject_malformed():
            found = self.ask({"operation": "names"})[:_MAX_NAMES]
            return tuple((str(name)[:100], frozenset(map(str, required))) for name, required in found)

    def ahead(self, calls: Sequence[tuple[Any, ...]]) -> None:
        """Make calls that will be asked for, all in one frame."""
        if not self._early:
            return
        self.used = True
        targets = [getattr(self, name) for name, *_ in calls]
        if any(target.kind != "function" for target in targets):
            return
        asked = [
            {"target": each.handle, "args": encode_argument(args)}
            for each, (_, *args) in zip(targets, calls, strict=True)
        ]
        answers = self.ask({"operation": "calls", "calls": asked}, _SECONDS_AHEAD)
        with reject_malformed():
            for target, (_, *args), answer in zip(targets, calls, answers, strict=True):
                self._called.append((target.handle, tuple(args), answer))

    def called(self, target: Handle, args: tuple[Any, ...]) -> tuple[Any] | None:
        """Return what a call came to where it is the next of those ahead."""
        if not self._called or self._called[0][0] != target or not _same(self._called[0][1], args):
            return None
        return (self._called.popleft()[2],)

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell, in order of the cells."""
        return self._recorded

    def ask(self, request: dict[str, Any], at_most: float = math.inf) -> Any:
        """Send one operation and return what came back, within so many seconds of the test's.

        Raises StudentFault for anything but a plain answer in time.
        """
        started, long = time.monotonic(), request["operation"] in _LONG
        deadline = max(self._end, self._deadline) if long else min(self._deadline, started + at_most)
        before, self.changed = self.changed, True
        try:
            self._channel.send(request, seconds=max(0.01, deadline - time.monotonic()))
            answer = self._channel.receive(seconds=max(0.01, deadline - time.monotonic()))
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
        self.changed = before or self._changes(request)
        return self._incoming(answer)

    def _changes(self, request: Mapping[str, Any]) -> bool:
        """Tell whether an operation leaves a model of the notebook's changed: filled, initialised, in another mode."""
        own = any(found.kind == "module" and found.handle == request.get("target") for found in self._found.values())
        return request["operation"] in _CHANGING or (own and request["operation"] not in _LOOKING)

    def _incoming(self, answer: Any) -> Any:
        if isinstance(answer, Failure):
            raise read_fault(answer)
        if isinstance(answer, Array):
            return read_tensor(answer)
        if isinstance(answer, Handle):
            return SnapshotRemote(self, answer)
        if isinstance(answer, tuple):
            return tuple(self._incoming(entry) for entry in answer)
        if isinstance(answer, dict):
            return {key: self._incoming(entry) for key, entry in answer.items()}
        return answer


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
        if not kwargs and (ahead := self._student.called(self.handle, args)):
            return ahead[0]
        return self._ask("call", args=encode_argument(args), kwargs=encode_argument(kwargs))

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with Python's own values."""
        answer = self._ask("apply", given=pack_value((args, kwargs), _handle))
        with reject_malformed():
            result, after = answer
            return unpack_value(result, _remote), unpack_value(after, _remote)

    def attribute(self, name: str) -> Any:
        """Return an attribute in Python's own values."""
        with reject_malformed():
            return unpack_value(self._ask("attribute", name=name), _remote)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Call what makes a model so that the model has shapes and no numbers."""
        return self._ask("sketch", args=encode_argument(args), kwargs=encode_argument(kwargs))

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters it is called with."""
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
        answer = self._ask("parameter_shapes")
        with reject_malformed():
            return {str(name): tuple(int(n) for n in shape) for name, shape in answer.items()}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Fill the named parameters of a module."""
        self._ask("load", values=encode_argument(values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name."""
        answer = self._ask("gradients", inputs=encode_argument(inputs), cotangent=encode_argument(cotangent))
        with reject_malformed():
            reached = read_tensors({name: value for name, value in answer.items() if value is not None})
            return {name: reached.get(name) for name in answer}

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass."""
        answer = self._ask("operations", inputs=encode_argument(inputs))
        with reject_malformed():
            return tuple(
                Operation(str(name), tuple(int(n) for n in shape), tuple(str(each) for each in parameters))
                for name, shape, parameters in answer
            )

    def answers(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model holds for the likeliest for each image."""
        found = [torch.empty(0, dtype=torch.int64)]
        for part in images.split(_IMAGES_AT_ONCE):
            answer = self._ask("answers", images=encode_argument(part), size=like.size, pixels=like.pixels)
            with reject_malformed():
                if answer.shape != (len(part),) or answer.dtype != torch.int64:
                    raise ValueError("not one class for each image")
            found.append(answer)
        return torch.cat(found)

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return what the module says of its forward pass."""
        return self._ask("graph", image=image)

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return what the module computes with parameters drawn from a seed."""
        return read_tensors(self._ask("probe", names=tuple(names), images=encode_argument(images), seed=seed))

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnCurve:
        """Train the module in the student's process."""
        given = {
            "images": encode_argument(images),
            "labels": encode_argument(labels),
            "judged": encode_argument(judged),
        }
        answer = self._ask("train", recipe=asdict(recipe), seed=seed, **given)
        with reject_malformed():
            classes = read_tensors({"classes": answer["classes"]})["classes"]
            if classes.shape != (len(judged),):
                raise ValueError("not one class for each image")
            points = tuple((float(x), float(loss), float(right)) for x, loss, right in answer["points"][:100])
            return OwnCurve(answer["finite"] is True, classes.long(), points)

    def _ask(self, operation: str, **details: Any) -> Any:
        return self._student.ask({"operation": operation, "target": self.handle, **details})


def _handle(thing: Any) -> Handle:
    """Return the handle of what a test gives back to the student's process."""
    while not isinstance(thing, SnapshotRemote):
        if not hasattr(thing, "remote"):
            raise TypeError(f"a {type(thing).__name__} cannot be given to the student's code")
        thing = thing.remote
    return thing.handle


def _remote(thing: Any) -> SnapshotRemote:
    if not isinstance(thing, SnapshotRemote):
        raise TypeError("no object of the student's")
    return thing
