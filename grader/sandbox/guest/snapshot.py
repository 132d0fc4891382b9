"""A snapshot: a fork of the kernel that waits, and forks once more for each process that answers tests.

Both run in the student's process image, where nothing can be relied on: the trusted side keeps its own deadlines and
treats every answer as data.
"""

from __future__ import annotations

import gc
import os
import re
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from grader.models import modules
from grader.models.export import NotExportable, export_graph
from grader.models.fit import train_in_place
from grader.models.probe import probe
from grader.models.recipe import Recipe
from grader.sandbox.guest.candidates import CandidateLog
from grader.sandbox.guest.checkpoint import Checkpoint
from grader.sandbox.guest.exceptions import is_refused_memory
from grader.sandbox.guest.objects import Objects, is_unchanged
from grader.sandbox.guest.seeding import seed_generators, seed_torch
from grader.sandbox.protocol.channels import Channel, Packets
from grader.sandbox.protocol.encoding import Closed, Failure, Handle
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.sandbox.protocol.values import pack_value, unpack_value

__all__ = ["TRAINED", "serve_snapshot"]

TRAINED = "__trained__"  # the name under which a namespace has the models that the last statement trained


def serve_snapshot(
    connection: socket.socket,
    namespace: dict[str, Any],
    checkpoints: Mapping[tuple[int, int], Checkpoint],
    candidates: CandidateLog,
) -> None:
    """Fork for each request, until the trusted side hangs up.

    Args:
        connection: where requests come from, each with a socket for the new process.
        namespace: the kernel's.
        checkpoints: earlier ones of the same kernel, by cell and part.
        candidates: what a search may try.
    """
    connection = _keep_only(connection)
    packets = Packets(connection)
    deadlines: dict[int, float] = {}
    while True:
        wait = max(0.0, min(deadlines.values()) - time.monotonic()) if deadlines else None
        ready, _, _ = select.select([connection], [], [], wait)
        _reap(deadlines)
        if not ready:
            continue
        try:
            request, descriptors = packets.receive()
        except Closed:
            return
        if "ping" in request:
            packets.send({"pong": True})
            continue
        pid = os.fork()
        if pid == 0:
            connection.close()
            try:
                channel = Channel(socket.socket(fileno=descriptors[0]))
                _TestProcess(channel, namespace, checkpoints, candidates, request).serve()
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.close(descriptors[0])
        deadlines[pid] = time.monotonic() + request["seconds"]


def _keep_only(connection: socket.socket) -> socket.socket:
    """Give up the kernel's other sockets, its output, timers and signal handlers, and all tensor threads but one."""
    os.dup2(connection.fileno(), 3)
    os.closerange(4, 65536)
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for descriptor in (1, 2):  # the files behind them would grow
        os.dup2(sys.stdout.fileno(), descriptor)
    signal.set_wakeup_fd(-1)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)  # a fork does not inherit them, but the kernel itself may become the snapshot
    for number in (signal.SIGINT, signal.SIGCHLD, signal.SIGALRM, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    # The threads of a parallel operation do not survive a fork, and waiting for them never ends.
    torch.set_num_threads(1)
    gc.freeze()
    return socket.socket(fileno=3)


def _reap(deadlines: dict[int, float]) -> None:
    """Kill the processes that are past their deadline, and reap all that have ended, the notebook's own included."""
    for pid, deadline in deadlines.items():
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        while ended := os.waitpid(-1, os.WNOHANG)[0]:
            deadlines.pop(ended, None)


class _TestProcess:
    """Answers operations on the student's objects until the trusted side hangs up.

    An operation's method is named after it: `_do_call` for "call".
    """

    def __init__(
        self,
        channel: Channel,
        namespace: dict[str, Any],
        checkpoints: Mapping[tuple[int, int], Checkpoint],
        candidates: CandidateLog,
        request: dict[str, Any],
    ) -> None:
        self._channel = channel
        self._namespace = namespace
        self._at_end = dict(namespace)
        self._checkpoints = checkpoints
        self._candidates = candidates
        self._restored: tuple[tuple[int, int] | None, int | None] = (None, None)
        self._seed: int = request["seed"]
        _limit_memory(request["memory_bytes"])
        self._do_begin(request)

    def serve(self) -> None:
        while True:
            try:
                request = self._channel.receive()
            except Closed:
                return
            try:
                answer = getattr(self, "_do_" + request["operation"])(request)
            except BaseException as error:  # whatever the student's code raises is the answer
                refused = is_refused_memory(error)
                answer = Failure("MemoryRefused", "") if refused else Failure(_read_name(error), _read_text(error))
            self._send(answer)

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
        self._aliases: dict[str, str] = request["aliases"]
        self._objects = Objects()
        seed_generators(self._seed)

    def _do_candidates(self, request: dict[str, Any]) -> Any:
        """Return what a search may try (`CandidateLog.describe`)."""
        return self._candidates.describe(self._at_end)

    def _do_call(self, request: dict[str, Any]) -> Any:
        target = self._objects.unpack(request["target"])
        arguments = self._objects.unpack((request["args"], request["kwargs"]))
        result = target(*arguments[0], **arguments[1])
        if not is_unchanged((request["args"], request["kwargs"]), arguments):
            return Failure("ChangedArgument", "")
        return self._objects.pack(result)

    def _do_calls(self, request: dict[str, Any]) -> Any:
        return tuple(self._do_call({"kwargs": {}, **call}) for call in request["calls"])

    def _do_read(self, request: dict[str, Any]) -> Any:
        name = self._aliases.get(request["name"], request["name"])
        if name not in self._namespace:
            return Failure("Missing", f"{name} is not defined")
        return pack_value(self._namespace[name], self._objects.handle_of)

    def _do_attribute(self, request: dict[str, Any]) -> Any:
        return pack_value(getattr(self._objects.unpack(request["target"]), request["name"]), self._objects.handle_of)

    def _do_apply(self, request: dict[str, Any]) -> Any:
        """Call with Python's own values. Return the result, and the arguments if the call changed them."""
        target = self._objects.unpack(request["target"])
        args, kwargs = unpack_value(request["given"], self._objects.unpack)
        result = pack_value(target(*args, **kwargs), self._objects.handle_of)
        after = pack_value((args, kwargs), self._objects.handle_of)
        return (result, None if after == request["given"] else after)

    def _do_layer(self, request: dict[str, Any]) -> Handle:
        arguments = self._objects.unpack((request["args"], request["kwargs"]))
        seed_torch(0)
        return self._objects.keep(getattr(nn, request["kind"])(*arguments[0], **arguments[1]))

    def _do_signature(self, request: dict[str, Any]) -> Any:
        target = self._objects.unpack(request["target"])
        return modules.read_signature(target)

    def _do_sketch(self, request: dict[str, Any]) -> Any:
        target = self._objects.unpack(request["target"])
        arguments = self._objects.unpack((request["args"], request["kwargs"]))
        return self._objects.pack(modules.sketch(target, *arguments))

    def _do_parameters(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        return {name: tensor_to_array(parameter) for name, parameter in modules.find_learnable(module).items()}

    def _do_parameter_shapes(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        return {name: tuple(parameter.shape) for name, parameter in modules.find_learnable(module).items()}

    def _do_load(self, request: dict[str, Any]) -> None:
        modules.fill(self._objects.unpack(request["target"]), self._objects.unpack(request["values"]))

    def _do_gradients(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        inputs, cotangent = self._objects.unpack((request["inputs"], request["cotangent"]))
        gradients = modules.gradients(module, inputs, cotangent)
        return {name: None if value is None else tensor_to_array(value) for name, value in gradients.items()}

    def _do_graph(self, request: dict[str, Any]) -> Any:
        try:
            return export_graph(self._objects.unpack(request["target"]), request["image"])
        except NotExportable as error:
            return {"reason": str(error)[:500]}

    def _do_probe(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        summary = probe(module, request["names"], array_to_tensor(request["images"]), request["seed"])
        return self._objects.pack(summary)

    def _do_train(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        tensors = (array_to_tensor(request[name]) for name in ("images", "labels", "judged"))
        finite, classes, points = train_in_place(module, Recipe(**request["recipe"]), request["seed"], *tensors)
        return {"finite": finite, "classes": tensor_to_array(classes), "points": points}

    def _do_trained(self, request: dict[str, Any]) -> Any:
        return self._objects.keep(self._namespace[TRAINED][request["number"]])

    def _do_predict_classes(self, request: dict[str, Any]) -> Any:
        module, images = self._objects.unpack((request["target"], request["images"]))
        return tensor_to_array(modules.predict_classes(module, images, request["size"], request["pixels"]))

    def _do_operations(self, request: dict[str, Any]) -> Any:
        module = self._objects.unpack(request["target"])
        return tuple(modules.trace_operations(module, self._objects.unpack(request["inputs"])))


def _limit_memory(memory_bytes: int) -> None:
    try:
        with open("/proc/self/status") as status:
            used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
    except OSError:
        return  # a sandbox without /proc; only the bound of the whole submission holds
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = used + memory_bytes if hard == resource.RLIM_INFINITY else min(used + memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def _read_name(error: BaseException) -> str:
    return re.sub(r"\W", "", type(error).__name__)[:100] or "Exception"


def _read_text(error: BaseException) -> str:
    try:
        return str(error)[:2000]
    except Exception:  # making the text raises too
        return ""
