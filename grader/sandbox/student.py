"""The trusted end of a student's work: implements the protocols of `grader.student` over snapshots.

Everything that arrives is data from an untrusted process: it is bounded in size and time, and used for nothing but
comparison.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from grader.assignment import Limits
from grader.recipe import Recipe
from grader.sandbox.answers import fault_of, plain_data, tensor_of, tensors
from grader.sandbox.execution import Execution, Snapshot
from grader.sandbox.values import packed, unpacked
from grader.sandbox.wire import Array, Channel, Closed, Failure, Handle, Malformed
from grader.student import Definition, Fault, Operation, OwnRun, OwnTraining, Parameter, Recorded, StudentFault

__all__ = ["SnapshotStudent", "SnapshotWork"]

_SECONDS_OF_GRACE = 1.0
_LONG = ("train", "answers")  # operations that may take longer than a test
_MAX_CANDIDATES = 32
_IMAGES_AT_ONCE = 1000


def outgoing(value: Any) -> Any:
    """Return what a test passes to the student as plain data."""
    if isinstance(value, Tensor):
        plain = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
        data = bytes(plain.reshape(-1).view(torch.uint8).numpy().data) if plain.numel() else b""
        return Array(str(plain.dtype).removeprefix("torch."), tuple(plain.shape), data)
    if isinstance(value, _SnapshotRemote):
        return value.handle
    if isinstance(value, tuple | list):
        return tuple(outgoing(entry) for entry in value)
    if isinstance(value, Mapping):
        return {key: outgoing(entry) for key, entry in value.items()}
    return value


class SnapshotStudent:
    """One test's view of a snapshot, over a process that was forked for this test.

    `seconds` is for all that is asked together, but for trainings and what trained models answer: these are waited for
    until `end` (monotonic seconds), and `waited` is how long that took.
    """

    def __init__(
        self, channel: Channel, seconds: float, end: float, names: frozenset[str], recorded: Sequence[Recorded]
    ) -> None:
        self._channel = channel
        self._names = names
        self._seconds = seconds
        self._started = time.monotonic()
        self._deadline = self._started + seconds
        self._end = end
        self._recorded = recorded
        self.waited = 0.0

    def __getattr__(self, name: str) -> Any:
        if name not in self._names:
            raise AttributeError(f"{name} is among the names of no item in rubric.toml")
        found = self.ask({"operation": "get", "name": name})
        if not isinstance(found, _SnapshotRemote):
            raise StudentFault(Fault.MALFORMED, f"{name} is no function, class or model")
        return found

    def read(self, name: str) -> Any:
        """Return what a name stands for, in Python's own values."""
        with plain_data():
            return unpacked(self.ask({"operation": "read", "name": name}), _remote)

    def layer(self, kind: str, *args: Any, **kwargs: Any) -> _SnapshotRemote:
        """Build a layer of torch.nn in the student's process."""
        request = {"operation": "layer", "kind": kind, "args": outgoing(args), "kwargs": outgoing(kwargs)}
        layer = self.ask(request)
        if not isinstance(layer, _SnapshotRemote):
            raise StudentFault(Fault.MALFORMED, f"{kind} is not torch.nn's layer any more")
        return layer

    def names(self, filled_in: Sequence[str]) -> tuple[str, ...]:
        """Return the student's own models, and callables that require nothing but these parameters."""
        with plain_data():
            found = self.ask({"operation": "names", "filled_in": tuple(filled_in)})
            return tuple(str(name)[:100] for name in found[:_MAX_CANDIDATES])

    def recorded(self) -> Sequence[Recorded]:
        """Return the small values that names had after each cell, in order of the cells."""
        return self._recorded

    def ask(self, request: dict[str, Any]) -> Any:
        """Send one operation and return what came back.

        Raises StudentFault for anything but a plain answer in time.
        """
        started, long = time.monotonic(), request["operation"] in _LONG
        deadline = max(self._end, self._deadline) if long else self._deadline
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
        return self._incoming(answer)

    def _incoming(self, answer: Any) -> Any:
        if isinstance(answer, Failure):
            raise fault_of(answer)
        if isinstance(answer, Array):
            return tensor_of(answer)
        if isinstance(answer, Handle):
            return _SnapshotRemote(self, answer)
        if isinstance(answer, tuple):
            return tuple(self._incoming(entry) for entry in answer)
        if isinstance(answer, dict):
            return {key: self._incoming(entry) for key, entry in answer.items()}
        return answer


class _SnapshotRemote:
    """An object that stays in the student's process."""

    def __init__(self, student: SnapshotStudent, handle: Handle) -> None:
        self._student = student
        self.handle = handle
        self.kind = handle.kind

    def __repr__(self) -> str:
        return f"a {self.handle.type_name} object"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._ask("call", args=outgoing(args), kwargs=outgoing(kwargs))

    def apply(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Call it with Python's own values."""
        answer = self._ask("apply", given=packed((args, kwargs), _handle))
        with plain_data():
            result, after = answer
            return unpacked(result, _remote), unpacked(after, _remote)

    def attribute(self, name: str) -> Any:
        """Return an attribute in Python's own values."""
        with plain_data():
            return unpacked(self._ask("attribute", name=name), _remote)

    def sketch(self, *args: Any, **kwargs: Any) -> Any:
        """Call what makes a model so that the model has shapes and no numbers."""
        return self._ask("sketch", args=outgoing(args), kwargs=outgoing(kwargs))

    def signature(self) -> tuple[Parameter, ...]:
        """Return the parameters it is called with."""
        with plain_data():
            return tuple(
                Parameter(str(name), bool(required), bool(keyword_only))
                for name, required, keyword_only in self._ask("signature")
            )

    def parameters(self) -> dict[str, Tensor]:
        """Return a module's learnable parameters by name, in order."""
        return tensors(self._ask("parameters"))

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a module's learnable parameters by name, in order."""
        answer = self._ask("parameter_shapes")
        with plain_data():
            return {str(name): tuple(int(n) for n in shape) for name, shape in answer.items()}

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Fill the named parameters of a module."""
        self._ask("load", values=outgoing(values))

    def gradients(self, *inputs: Tensor, cotangent: Tensor | None = None) -> dict[str, Tensor | None]:
        """Return d(sum(output * cotangent))/d(parameter) by name."""
        answer = self._ask("gradients", inputs=outgoing(inputs), cotangent=outgoing(cotangent))
        with plain_data():
            reached = tensors({name: value for name, value in answer.items() if value is not None})
            return {name: reached.get(name) for name in answer}

    def operations(self, *inputs: Tensor) -> tuple[Operation, ...]:
        """Return the tensor operations of one forward pass."""
        answer = self._ask("operations", inputs=outgoing(inputs))
        with plain_data():
            return tuple(
                Operation(str(name), tuple(int(n) for n in shape), tuple(str(each) for each in parameters))
                for name, shape, parameters in answer
            )

    def answers(self, images: Tensor, like: OwnTraining) -> Tensor:
        """Return the class that a model holds for the likeliest for each image."""
        found = [torch.empty(0, dtype=torch.int64)]
        for part in images.split(_IMAGES_AT_ONCE):
            answer = self._ask("answers", images=outgoing(part), size=like.size, pixels=like.pixels)
            with plain_data():
                if answer.shape != (len(part),) or answer.dtype != torch.int64:
                    raise ValueError("not one class for each image")
            found.append(answer)
        return torch.cat(found)

    def graph(self, image: tuple[int, ...]) -> Any:
        """Return what the module says of its forward pass."""
        return self._ask("graph", image=image)

    def probe(self, names: Sequence[str], images: Tensor, seed: int) -> dict[str, Tensor]:
        """Return what the module computes with parameters drawn from a seed."""
        return tensors(self._ask("probe", names=tuple(names), images=outgoing(images), seed=seed))

    def train(self, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor) -> OwnRun:
        """Train the module in the student's process."""
        given = {"images": outgoing(images), "labels": outgoing(labels), "judged": outgoing(judged)}
        answer = self._ask("train", recipe=asdict(recipe), seed=seed, **given)
        with plain_data():
            classes = tensors({"classes": answer["classes"]})["classes"]
            if classes.shape != (len(judged),):
                raise ValueError("not one class for each image")
            points = tuple((float(x), float(loss), float(right)) for x, loss, right in answer["points"][:100])
            return OwnRun(answer["finite"] is True, classes.long(), points)

    def _ask(self, operation: str, **details: Any) -> Any:
        return self._student.ask({"operation": operation, "target": self.handle, **details})


def _handle(thing: Any) -> Handle:
    """Return the handle of what a test gives back to the student's process."""
    while not isinstance(thing, _SnapshotRemote):
        if not hasattr(thing, "remote"):
            raise TypeError(f"a {type(thing).__name__} cannot be given to the student's code")
        thing = thing.remote
    return thing.handle


def _remote(thing: Any) -> _SnapshotRemote:
    if not isinstance(thing, _SnapshotRemote):
        raise TypeError("no object of the student's")
    return thing


class SnapshotWork:
    """A submission whose cells have been run: its definitions, values, and a way into each state."""

    def __init__(self, execution: Execution, names: Sequence[str], limits: Limits, seed: int) -> None:
        self._execution = execution
        self._names = frozenset(names)
        self._limits = limits
        self._seed = seed
        self._deadline = time.monotonic() + limits.judge_seconds
        self._recorded = tuple(_recorded(execution))
        self._snapshots = _definitions(execution)

    def definitions(self, names: Sequence[str]) -> Sequence[Definition]:
        """Return the moments at which one of these names was bound to something the student wrote, in order."""
        wanted = frozenset(names)
        return [definition for definition in self._snapshots if definition.names & wanted]

    def imported_from(self, name: str) -> str | None:
        """Return the package a name was merely imported from."""
        return self._execution.imported.get(name)

    def candidates(self, filled_in: Sequence[str]) -> Sequence[tuple[Definition, str]]:
        """Return callables and models of each notebook's last state."""
        last = {
            snapshot.file: Definition(snapshot.file, snapshot.cell, snapshot.names, snapshot.part)
            for snapshot in self._execution.snapshots
        }
        found: list[tuple[Definition, str]] = []
        for definition in last.values():
            try:
                with self.open(definition) as student:
                    found += [(definition, name) for name in student.names(filled_in)]
            except StudentFault:
                continue  # a state that cannot even list its names has nothing to offer
        return found

    def trainings(self) -> Sequence[OwnTraining]:
        """Return what the notebooks' own training loops did, in order."""
        return tuple(self._execution.trainings)

    @contextmanager
    def open(
        self, definition: Definition | None, aliases: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> Iterator[SnapshotStudent]:
        """Open a state in a fresh process; None opens one that offers recorded values only."""
        snapshot = None if definition is None else self._snapshots[definition]
        with self._opened(snapshot, aliases or {}, seconds) as student:
            yield student

    @contextmanager
    def trained(self, training: OwnTraining, seconds: float | None = None) -> Iterator[_SnapshotRemote]:
        """Open the model as a training left it."""
        place = (training.file, training.cell, training.part)
        snapshot = next((s for s in self._execution.snapshots if (s.file, s.cell, s.part) == place), None)
        if snapshot is None:
            raise StudentFault(Fault.MISSING, "the trained model is not there")
        with self._opened(snapshot, {}, seconds) as student:
            model = student.ask({"operation": "trained", "number": training.number})
            if not isinstance(model, _SnapshotRemote):
                raise StudentFault(Fault.MALFORMED, "the trained model is no model")
            yield model

    @contextmanager
    def _opened(
        self, snapshot: Snapshot | None, aliases: Mapping[str, str], seconds: float | None
    ) -> Iterator[SnapshotStudent]:
        granted = min(self._limits.test_seconds, self._deadline - time.monotonic())
        if granted <= 0:
            raise StudentFault(Fault.TIMED_OUT, f"all tests together ran past their {self._limits.judge_seconds:g} s")
        with self._process(snapshot, aliases, granted, max(granted, seconds or 0)) as student:
            try:
                yield student
            finally:
                self._deadline += student.waited

    @contextmanager
    def _process(
        self, snapshot: Snapshot | None, aliases: Mapping[str, str], seconds: float, life: float
    ) -> Iterator[SnapshotStudent]:
        """Fork a process of a snapshot that lives as long as the context, and no longer than `life` in seconds."""
        ours, theirs = socket.socketpair()
        channel = Channel(ours)
        with ours, theirs:
            if snapshot is not None:
                request = {
                    "seconds": life + _SECONDS_OF_GRACE,
                    "memory_bytes": self._limits.test_memory_bytes,
                    "seed": self._seed,
                    "aliases": dict(aliases),
                }
                try:
                    snapshot.packets.send(request, (theirs.fileno(),), seconds=_SECONDS_OF_GRACE)
                except (Closed, TimeoutError):
                    raise StudentFault(Fault.CRASHED, "the notebook's process of that cell is gone") from None
            theirs.close()
            yield SnapshotStudent(channel, seconds, time.monotonic() + life, self._names, self._recorded)


def _definitions(execution: Execution) -> dict[Definition, Snapshot]:
    """Return each definition's snapshot: as it stood when it was made, and after that as it stood at the end."""
    when_made = {Definition(s.file, s.cell, s.names, s.part): s for s in execution.snapshots}
    at_end = {
        Definition(s.file, cell, frozenset(n for n, at in s.at_end.items() if at == cell), at_end=True): s
        for s in execution.snapshots
        for cell in sorted(set(s.at_end.values()))
    }
    return when_made | at_end


def _recorded(execution: Execution) -> Iterator[Recorded]:
    for note in execution.notes:
        value = note.value
        if isinstance(value, Array):
            yield Recorded(note.file, note.cell, note.name, tensor_of(value))
        elif isinstance(value, tuple) and all(type(entry) is int for entry in value):
            yield Recorded(note.file, note.cell, note.name, value)
        elif isinstance(value, dict) and all(isinstance(entry, Array) for entry in value.values()):
            yield Recorded(note.file, note.cell, note.name, {name: tensor_of(a) for name, a in value.items()})
