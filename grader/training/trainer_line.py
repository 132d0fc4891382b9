"""The trusted end of `trainer_process.py`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from grader.errors import DeviceFault, SystemFault
from grader.gpu.device import GPU
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed, Malformed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.training.accelerator import AcceleratorVersions, FailureKind
from grader.training.cache import TrainingResult
from grader.training.devices import make_environment
from grader.training.messages import (
    TRAINING_ANSWERS,
    VERSIONS_ANSWERS,
    TrainingDone,
    TrainingFailed,
    TrainingRequest,
    VersionsRequest,
)

__all__ = ["LONGEST_SILENCE", "TRAINER_COMMAND", "OutOfDeviceMemory", "ProcessBroke", "TrainerLine"]

LONGEST_SILENCE = 600.0  # seconds, after which a process that sends nothing is broken
TRAINER_COMMAND = (sys.executable, "-P", "-m", "grader.training.trainer_process")
_SECONDS_TO_END = 10.0  # a process that waits for a broken GPU may not end at all
_SHOWN_LOG = 4000  # bytes
_Answer = TypeVar("_Answer")


class ProcessBroke(SystemFault):
    """A process that trains ended. Another one may succeed."""


class OutOfDeviceMemory(Exception):
    """The device had too little memory for a training at that moment."""


class TrainerLine:
    """A process that trains, and the line to it.

    Args:
        gpu: the GPU that it uses; None for the CPU.
        command: starts the process; it is given the number of a socket, and "cuda" or "cpu".
        silence: seconds, after which the process is broken if it sends nothing.
    """

    def __init__(
        self, gpu: GPU | None = None, command: Sequence[str] = TRAINER_COMMAND, silence: float = LONGEST_SILENCE
    ) -> None:
        self._gpu, self._silence = gpu, silence
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        line, peer = socket.socketpair()
        self._line = Channel(line)
        with peer:
            self._process = subprocess.Popen(
                [*command, str(peer.fileno()), "cuda" if gpu else "cpu"],
                pass_fds=[peer.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=make_environment(gpu, os.environ),
                start_new_session=True,  # Ctrl-C reaches only the command, which then ends this process
            )

    def train(self, request: TrainingRequest, progress: Callable[[float], None]) -> TrainingResult:
        """Train a graph and return the result; `progress` is called with the share that is done.

        Raises:
            OutOfDeviceMemory: the device has too little memory at the moment.
            DeviceFault: the device failed, or sent nothing for ten minutes.
            ProcessBroke: the process ended or, without a GPU, sent nothing for ten minutes.
            SystemFault: the training failed for another reason.
        """
        self._send(request)
        while True:
            message = self._receive(*TRAINING_ANSWERS)
            if isinstance(message, TrainingDone):
                return message.result
            if isinstance(message, TrainingFailed):
                self._raise_failure(message)
            else:
                progress(message.share)

    def describe(self) -> AcceleratorVersions:
        """Return what decides numbers on the GPU. Raises what `train` does."""
        self._send(VersionsRequest())
        answer = self._receive(*VERSIONS_ANSWERS)
        if isinstance(answer, TrainingFailed):
            self._raise_failure(answer)
        assert isinstance(answer, AcceleratorVersions)
        return answer

    def _send(self, request: Any) -> None:
        try:
            self._line.send(pack_message(request), self._silence)
        except (Closed, Malformed, TimeoutError) as error:
            raise self._explain_end(error) from None

    def _receive(self, *kinds: type[_Answer]) -> _Answer:
        try:
            return unpack_message(self._line.receive(self._silence), *kinds)
        except (Closed, Malformed, TimeoutError) as error:
            raise self._explain_end(error) from None

    def _explain_end(self, error: Exception) -> SystemFault:
        self._end()
        if self._gpu and isinstance(error, TimeoutError):
            return DeviceFault(
                f"{self._gpu.name} does not answer: nothing for {self._silence:.0f} s\n{self._read_log()}"
            )
        return ProcessBroke(f"the process that trains broke ({error}):\n{self._read_log()}")

    def _raise_failure(self, failure: TrainingFailed) -> None:
        if failure.kind is FailureKind.MEMORY:
            raise OutOfDeviceMemory(failure.message)
        self._end()
        if failure.kind is FailureKind.DEVICE:
            raise DeviceFault(f"{self._gpu.name if self._gpu else 'the device'} failed: {failure.message}")
        raise SystemFault(f"a training failed: {failure.message}")

    def _end(self) -> None:
        self._process.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_SECONDS_TO_END)

    def _read_log(self) -> str:
        """Return the end of what the process wrote."""
        self._log.seek(0)
        return self._log.read()[-_SHOWN_LOG:].decode(errors="replace")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._end()
        self._line.close()
        self._log.close()
