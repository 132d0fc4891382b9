"""What a graph computes with secret weights, on the trusted side: the model that it describes must compute the same.

A student's graph may take gigabytes and minutes to compute. So it is computed in one long-lived child process, within
limits (`probing_process.py`). It is forked, because to import torch anew takes seconds. Where there is a GPU, it is
started anew all the same: once torch has computed gradients on such a machine, no fork of that process can.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Collection
from typing import Literal

from torch import Tensor

from grader.errors import InputError, SystemFault
from grader.gpu.nvml import open_driver
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Array, Closed, Malformed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.sandbox.protocol.tensors import array_to_tensor, tensor_to_array
from grader.training.graph import Graph, TooLarge
from grader.training.messages import PROBE_ANSWERS, ProbeAnswer, ProbeFailure, ProbeRequest
from grader.training.probing_process import CPU_SECONDS, MEMORY_BYTES, WALL_SECONDS, WEIGHTED, become_prober

__all__ = ["compute_graph", "count_influential", "probe_graph", "start_prober", "stop_prober"]

_MEMORY = f"{MEMORY_BYTES >> 30} GiB of memory"
_SECONDS_OF_GRACE = 10.0
_TOO_LONG = (signal.SIGXCPU, signal.SIGALRM)

_lock = threading.Lock()
_probers: list[_Prober] = []  # one, or none


def probe_graph(graph: Graph, images: Tensor, secret: int, *, drops_in_eval: bool = False) -> dict[str, Tensor]:
    """Return what `grader.models.probe.probe` must return for a model that this graph describes.

    Args:
        graph: the graph.
        images: (n, c, h, w).
        secret: the seed of the weights.
        drops_in_eval: whether dropout drops in eval mode, too.

    Raises:
        TooLarge: computing it takes too much memory or time.
    """
    return _ask("probe", graph, images, secret, drops_in_eval)


def compute_graph(graph: Graph, images: Tensor, secret: int, *, training: bool = False) -> Tensor | None:
    """Return what `grader.models.outputs.compute_outputs` must return for a model that this graph describes.

    Return None if some layer of the graph hardly matters for it. Then a model without that layer could compute the same
    as far as can be seen.

    Args:
        graph: the graph.
        images: (n, c, h, w).
        secret: the seed of the weights.
        training: whether to compute in train mode.

    Raises:
        TooLarge: computing it takes too much memory or time.
    """
    return _ask("outputs", graph, images, secret, training).get("outputs")


def count_influential(graph: Graph, images: Tensor, secret: int, operations: Collection[str] = WEIGHTED) -> int:
    """Return the number of layers with weights that matter for a graph's outputs.

    Args:
        graph: the graph.
        images: (n, c, h, w).
        secret: the seed of the weights.
        operations: what to count.

    Raises:
        TooLarge: computing it takes too much memory or time.
    """
    return int(_ask("influence", graph, images, secret, operations=operations)["influential"])


def start_prober() -> None:
    """Start the child process if there is none."""
    with _lock:
        _get_prober()


def stop_prober() -> None:
    """End the child process if there is one."""
    with _lock:
        while _probers:
            prober = _probers.pop()
            prober.close() if prober.is_usable else prober.hang_up()


def _ask(
    computation: Literal["probe", "outputs", "influence"],
    graph: Graph,
    images: Tensor,
    secret: int,
    option: bool = False,
    operations: Collection[str] = (),
) -> dict[str, Tensor]:
    pixels = tensor_to_array(images)
    assert isinstance(pixels, Array)
    request = ProbeRequest(computation, graph.to_json(), pixels, secret, option, tuple(operations))
    with _lock:
        answer = _get_prober().answer(request)
    if isinstance(answer, ProbeAnswer):
        return dict(zip(answer.names, map(array_to_tensor, answer.tensors), strict=True))
    if answer.too_large:
        raise TooLarge(f"it is too large: to compute it takes more than {answer.message}; use smaller layers")
    raise RuntimeError(answer.message)


def _get_prober() -> _Prober:
    if _probers and not _probers[0].is_usable:
        _probers.pop().hang_up()
    if not _probers:
        _probers.append(_Prober())
    return _probers[0]


def _may_have_gpu() -> bool:
    try:
        return open_driver() is not None
    except InputError:  # it does not work at the moment
        return True


def _start_anew(connection: socket.socket) -> int:
    """Start a process that imports torch itself, sees no GPU, and has `connection` as 3. Return its number."""
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-P", "-m", "grader.training.probing_process"],
        {**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        file_actions=[*nothing, (os.POSIX_SPAWN_DUP2, connection.fileno(), 3)],
        setsid=True,
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGALRM, signal.SIGXCPU],
    )


class _Prober:
    """The child process, seen from its parent."""

    def __init__(self) -> None:
        self._ended = False
        line, peer = socket.socketpair()
        self._parent = os.getpid()
        self._pid = _start_anew(peer) if _may_have_gpu() else os.fork()
        if self._pid == 0:
            become_prober(peer)
        peer.close()
        self._line = Channel(line)

    @property
    def is_usable(self) -> bool:
        """Whether it lives, and was started by this process and not by one that this is a fork of."""
        return self._parent == os.getpid() and not self._ended

    def hang_up(self) -> None:
        """Give up the line to it."""
        self._line.close()

    def answer(self, request: ProbeRequest) -> ProbeAnswer | ProbeFailure:
        """Return the answer to a request. The child is ended after one that took too much.

        Raises:
            SystemFault: the child is gone for another reason.
        """
        try:
            self._line.send(pack_message(request), WALL_SECONDS)
            answer = unpack_message(self._line.receive(WALL_SECONDS + _SECONDS_OF_GRACE), *PROBE_ANSWERS)
        except (Closed, Malformed, TimeoutError) as error:
            return self._explain_end(error)
        if isinstance(answer, ProbeFailure) and answer.too_large:
            self._end(kill=True)
            return ProbeFailure(_MEMORY, too_large=True)
        return answer

    def close(self) -> None:
        """End the process."""
        self._end(kill=True)

    def _explain_end(self, error: Exception) -> ProbeFailure:
        """Return what Linux has ended the child for."""
        number = -self._end(kill=not isinstance(error, Closed))
        if isinstance(error, TimeoutError) or number in _TOO_LONG:
            return ProbeFailure(f"{CPU_SECONDS} s", too_large=True)
        if number in (signal.SIGABRT, signal.SIGKILL):  # for a lack of memory, in C++ code or of the machine
            return ProbeFailure(_MEMORY, too_large=True)
        raise SystemFault(f"the process that computes graphs ended (signal {number}): {error}")

    def _end(self, *, kill: bool) -> int:
        """Wait for the end of the process, and return how it ended, as `os.waitstatus_to_exitcode` does."""
        self._ended = True
        self._line.close()
        if kill:
            os.kill(self._pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
