"""A snapshot: a fork of the kernel that waits, and forks once more for each process that answers tests.

Both run in the student's process image, where nothing can be relied on: the trusted side keeps its own deadlines and
treats every answer as data.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from types import GeneratorType
from typing import Any

from torch import nn

from grader.models import modules
from grader.models.export import NotExportable, export_graph
from grader.models.fit import train_in_place
from grader.models.outputs import compute_outputs
from grader.models.probe import probe
from grader.models.recipe import Recipe
from grader.models.rerun import Substitution
from grader.sandbox.guest.candidates import CandidateLog
from grader.sandbox.guest.cell_files import CellFiles
from grader.sandbox.guest.checkpoint import Checkpoint
from grader.sandbox.guest.exceptions import is_refused_memory
from grader.sandbox.guest.inherited import LINE, keep_only, limit_memory
from grader.sandbox.guest.objects import Objects, is_unchanged
from grader.sandbox.guest.raised import describe_spot
from grader.sandbox.guest.rerunning import rerun_notebook
from grader.sandbox.guest.seeding import seed_generators, seed_torch
from grader.sandbox.guest.stand_in import bind_stand_ins
from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.encoding import MAX_ANSWER_BYTES, Failure, Handle
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value

__all__ = ["TRAINED", "SnapshotCalls", "serve_snapshot"]

_Call = tuple[Callable[..., Any], Sequence[Any], Mapping[str, Any]]
_Steps = Generator[_Call, Any, Any]
TRAINED = "__trained__"  # the name under which a namespace has the models that the last statement trained


class SnapshotCalls:
    """What a process has to call that becomes a snapshot, and so does each process that is forked from it for a test.

    Args:
        state: the arguments of `serve_snapshot`.
    """

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def __init__(self, *state: Any) -> None:
        self._state = state
        self._test: _TestProcess | None = None
        self._error: BaseException | None = None
        self.result: Any = None

    def wait(self) -> bool:
        """Wait for the next call. The process ends if there is none."""
        try:
            if self._test is None:
                self._test = serve_snapshot(*self._state)
            self.function, self.args, self.kwargs = self._test.find_next_call(self.result, self._error)
            self._error = None
        except BaseException:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    def note_exception(self) -> None:
        """Note that the last call raised the exception that is being handled."""
        self._error = sys.exc_info()[1]


def serve_snapshot(
    connection: socket.socket,
    namespace: dict[str, Any],
    checkpoints: Mapping[tuple[int, int], Checkpoint],
    candidates: CandidateLog,
    files: CellFiles,
) -> _TestProcess:
    """Fork for each request, until the trusted side hangs up. Return in the forks.

    Args:
        connection: where requests come from, each with a socket for the new process.
        namespace: the kernel's.
        checkpoints: earlier ones of the same kernel, by cell and part.
        candidates: what a search may try.
        files: the cells that code stands in.

    Raises:
        Closed: the trusted side has hung up.
    """
    connection = keep_only(connection)
    packets = Packets(connection)
    deadlines: dict[int, float] = {}
    numbers: dict[int, int] = {}  # of the processes, by that of the request for them
    while True:
        wait = max(0.0, min(deadlines.values()) - time.monotonic()) if deadlines else None
        ready, _, _ = select.select([connection], [], [], wait)
        _reap(deadlines)
        if not ready:
            continue
        request, descriptors = packets.receive()
        if "ping" in request:
            packets.send({"pong": True})
            continue
        if "interrupt" in request:
            _interrupt(numbers.get(request["interrupt"]), deadlines)
            continue
        if request["last"]:
            _end_all(deadlines)
        pid = 0 if request["last"] else os.fork()
        if pid == 0:
            connection.detach()
            os.dup2(descriptors[0], LINE)
            os.close(descriptors[0])
            channel = Channel(socket.socket(fileno=LINE), max_sent_bytes=MAX_ANSWER_BYTES)
            return _TestProcess(channel, namespace, checkpoints, candidates, files, request)
        os.close(descriptors[0])
        deadlines[pid] = time.monotonic() + request["seconds"]
        numbers[request["number"]] = pid


def _reap(deadlines: dict[int, float]) -> None:
    """Kill the processes that are past their deadline, and reap all that have ended, the notebook's own included."""
    for pid, deadline in deadlines.items():
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while ended := os.waitpid(-1, os.WNOHANG)[0]:
            deadlines.pop(ended, None)


def _interrupt(pid: int | None, deadlines: Mapping[int, float]) -> None:
    """Interrupt a test process whose time is over: its exception then tells which line was running."""
    if pid is not None and pid in deadlines:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def _end_all(pids: Iterable[int]) -> None:
    """End the test processes. Memory that is shared with none is not copied when it is written to."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for pid in pids:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


class _TestProcess:
    """Answers operations on the student's objects until the trusted side hangs up.

    An operation's method is named after it: `_do_call` for "call". It returns the answer, or yields each call of the
    student's code, receives its result, and then returns the answer.
    """

    def __init__(
        self,
        channel: Channel,
        namespace: dict[str, Any],
        checkpoints: Mapping[tuple[int, int], Checkpoint],
        candidates: CandidateLog,
        files: CellFiles,
        request: dict[str, Any],
    ) -> None:
        self._channel = channel
        self._namespace = namespace
        self._at_end = dict(namespace)
        self._checkpoints = checkpoints
        self._candidates = candidates
        self._files = files
        self._restored: tuple[tuple[int, int] | None, int | None] = (None, None)
        self._seed: int = request["seed"]
        self._steps: _Steps | None = None  # of the request that is being answered
        limit_memory(request["memory_bytes"])
        self._do_begin(request)

    def find_next_call(self, result: Any, error: BaseException | None) -> _Call:
        """Answer requests until one needs a call of the student's code, and return it.

        Args:
            result: the result of the last call.
            error: the exception that it raised instead.

        Raises:
            Closed: the trusted side has hung up.
        """
        while True:
            if self._steps is None:
                result = error = None
                self._steps = self._answer(self._channel.receive())
            try:
                return self._steps.send(result) if error is None else self._steps.throw(error)
            except StopIteration as end:
                self._send(end.value)
            except BaseException as raised:  # whatever the student's code raises is the answer
                self._send(self._describe(raised))
            self._steps = None

    def _describe(self, raised: BaseException) -> Failure:
        spot = describe_spot(raised, self._files.locate)
        if is_refused_memory(raised):
            return Failure("MemoryRefused", "", spot)
        return Failure(_read_name(raised), _read_text(raised), spot)

    def _answer(self, request: dict[str, Any]) -> _Steps:
        answer = getattr(self, "_do_" + request["operation"])(request)
        if isinstance(answer, GeneratorType):
            answer = yield from answer
        return answer

    def _send(self, answer: Any) -> None:
        try:
            self._channel.send(answer)
        except TypeError as error:
            self._channel.send(Failure("Malformed", f"the result is not plain data: {error}"))

    def _do_get(self, request: dict[str, Any]) -> Any:
        name = self._aliases.get(request["name"], request["name"])
        if name not in self._namespace:
            return Failure("Missing", f"{name} is not defined")
        value = self._namespace[name]
        return self._objects.keep(value) if callable(value) else self._objects.pack(value)

    def _do_begin(self, request: dict[str, Any]) -> None:
        """Reset for the next test: restore the requested state, drop all objects, seed the generators."""
        checkpoint, candidate = request["checkpoint"], request["candidate"]
        if (checkpoint, candidate) != self._restored:
            self._namespace.clear()
            self._namespace.update(self._at_end)
            if checkpoint:
                self._checkpoints[checkpoint].restore(self._namespace)
            if candidate is not None:
                self._candidates.restore(candidate, self._namespace)
            self._restored = (checkpoint, candidate)
        self._stand_ins = bind_stand_ins(request.get("stand_ins", ()), self._namespace, self._channel)
        self._aliases: dict[str, str] = request["aliases"]
        self._objects = Objects()
        seed_generators(self._seed)

    def _do_candidates(self, request: dict[str, Any]) -> Any:
        """Return what a search may try (`CandidateLog.describe`)."""
        return self._candidates.describe(self._at_end)

    def _do_call(self, request: dict[str, Any]) -> _Steps:
        target = self._objects.unpack(request["target"])
        arguments = self._objects.unpack((request["args"], request["kwargs"]))
        result = yield target, *arguments
        if not is_unchanged((request["args"], request["kwargs"]), arguments):
            return Failure("ChangedArgument", "")
        return self._objects.pack(result)

    def _do_calls(self, request: dict[str, Any]) -> _Steps:
        results = []
        for call in request["calls"]:
            results.append((yield from self._do_call({"kwargs": {}, **call})))
        return tuple(results)

    def _do_read(self, request: dict[str, Any]) -> Any:
        name = self._aliases.get(request["name"], request["name"])
        if name not in self._namespace:
            return Failure("Missing", f"{name} is not defined")
        return pack_value(self._namespace[name], self._objects.handle_of)

    def _do_attribute(self, request: dict[str, Any]) -> _Steps:
        value = yield getattr, (self._objects.unpack(request["target"]), request["name"]), {}
        return pack_value(value, self._objects.handle_of)

    def _do_apply(self, request: dict[str, Any]) -> _Steps:
        """Call with Python's own values. Return the result, and the arguments if the call changed them."""
        target = self._objects.unpack(request["target"])
        args, kwargs = unpack_value(request["given"], self._objects.unpack)
        result = pack_value((yield target, args, kwargs), self._objects.handle_of)
        after = pack_value((args, kwargs), self._objects.handle_of)
        return (result, None if after == request["given"] else after)

    def _do_layer(self, request: dict[str, Any]) -> Handle:
        arguments = self._objects.unpack((request["args"], request["kwargs"]))
        seed_torch(0)
        return self._objects.keep(getattr(nn, request["kind"])(*arguments[0], **arguments[1]))

    def _do_signature(self, request: dict[str, Any]) -> Any:
        target = self._objects.unpack(request["target"])
        return modules.read_signature(target)

    def _do_sketch(self, request: dict[str, Any]) -> _Steps:
        target = self._objects.unpack(request["target"])
        arguments = self._objects.unpack((request["args"], request["kwargs"]))
        return self._objects.pack((yield modules.sketch, (target, *arguments), {}))

    def _do_parameters(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        return {name: tensor_to_array(parameter) for name, parameter in modules.find_learnable(module).items()}

    def _do_parameter_shapes(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        return {name: tuple(parameter.shape) for name, parameter in modules.find_learnable(module).items()}

    def _do_load(self, request: dict[str, Any]) -> None:
        modules.fill(self._objects.unpack(request["target"]), self._objects.unpack(request["values"]))

    def _do_gradients(self, request: dict[str, Any]) -> _Steps:
        module = self._objects.unpack(request["target"])
        inputs, cotangent = self._objects.unpack((request["inputs"], request["cotangent"]))
        gradients = yield modules.gradients, (module, inputs, cotangent), {}
        return {name: None if value is None else tensor_to_array(value) for name, value in gradients.items()}

    def _do_graph(self, request: dict[str, Any]) -> _Steps:
        try:
            return (yield export_graph, (self._objects.unpack(request["target"]), request["image"]), {})
        except NotExportable as error:
            return error.to_plain()

    def _do_probe(self, request: dict[str, Any]) -> _Steps:
        module = self._objects.unpack(request["target"])
        arguments = (module, request["names"], array_to_tensor(request["images"]), request["seed"])
        return self._objects.pack((yield probe, arguments, {}))

    def _do_outputs(self, request: dict[str, Any]) -> _Steps:
        module, images = self._objects.unpack(request["target"]), array_to_tensor(request["images"])
        named = {name: request[name] for name in ("gain", "training")}
        arguments = (module, request["names"], request["shapes"], images, request["seed"])
        return tensor_to_array((yield compute_outputs, arguments, named))

    def _do_train(self, request: dict[str, Any]) -> _Steps:
        module = self._objects.unpack(request["target"])
        tensors = (array_to_tensor(request[name]) for name in ("images", "labels", "judged"))
        arguments = (module, Recipe(**request["recipe"]), request["seed"], *tensors)
        finite, classes, points = yield train_in_place, arguments, {}
        return {"finite": finite, "classes": tensor_to_array(classes), "points": points}

    def _do_trained(self, request: dict[str, Any]) -> Any:
        return self._objects.keep(self._namespace[TRAINED][request["number"]])

    def _do_predict_classes(self, request: dict[str, Any]) -> _Steps:
        module, images = self._objects.unpack((request["target"], request["images"]))
        return tensor_to_array(
            (yield modules.predict_classes, (module, images, request["size"], request["pixels"]), {})
        )

    def _do_rerun(self, request: dict[str, Any]) -> _Steps:
        substitutions = [
            Substitution(array_to_tensor(found), array_to_tensor(put), in_calls)
            for found, put, in_calls in request["substitutions"]
        ]
        wanted = {int(cell): names for cell, names in request["wanted"].items()}
        arguments = (request["cells"], self._namespace, substitutions, wanted, request["entries"], self._stand_ins)
        return (yield rerun_notebook, arguments, {})

    def _do_operations(self, request: dict[str, Any]) -> _Steps:
        module = self._objects.unpack(request["target"])
        return tuple((yield modules.trace_operations, (module, self._objects.unpack(request["inputs"])), {}))


def _read_name(error: BaseException) -> str:
    return re.sub(r"\W", "", type(error).__name__)[:100] or "Exception"


def _read_text(error: BaseException) -> str:
    try:
        return str(error)[:2000]
    except Exception:  # making the text raises too
        return ""
