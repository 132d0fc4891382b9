"""A process that trains graphs, one after the other: `python -m grader.training.trainer_process FD cuda|cpu`.

On the socket FD it receives a TrainingRequest and answers with any number of TrainingProgress and one TrainingDone or,
with a GPU, one TrainingFailed (`messages.py`). Graphs are the only thing it ever sees of a student's work.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import threading
import time
from dataclasses import replace

import torch

from grader.models.fit import CurvePoint, fit, predict
from grader.models.stepping import CaptureFailed, Computation, StepRecorder
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.training.accelerator import CPU, CUDA, Accelerator, AcceleratorVersions
from grader.training.cache import TrainingResult
from grader.training.cost import is_small, limit_of_memory
from grader.training.datasets import DataSet, find_data_set
from grader.training.graph import Graph
from grader.training.messages import (
    TRAINER_REQUESTS,
    TrainingDone,
    TrainingFailed,
    TrainingProgress,
    TrainingRequest,
    VersionsRequest,
)
from grader.training.network import Network

__all__ = ["main"]

_SECONDS_BETWEEN_CHECKS = 1.0
_SHOWN = 2000  # characters of an error


def main(descriptor: int, accelerator: Accelerator) -> None:
    """Train on request until the other end of the line is closed or the parent process ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    line = Channel(socket.socket(fileno=descriptor))
    server = _Server(line, accelerator)
    try:
        while True:
            line.send(pack_message(server.answer(unpack_message(line.receive(), *TRAINER_REQUESTS))))
    except Closed:
        pass


def _end_with(parent: int) -> None:
    """End this process when its parent ends, even during a training: the result is of no use any more.

    The kernel's parent-death signal does not serve here: it is sent when the thread that started a process ends, which
    is much earlier than the end of the parent.
    """
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_CHECKS)
    os._exit(1)


class _Server:
    """Answers requests by trainings on one device."""

    def __init__(self, line: Channel, accelerator: Accelerator) -> None:
        self._line, self._accelerator = line, accelerator
        self._is_prepared = False

    def answer(self, request: TrainingRequest | VersionsRequest) -> TrainingDone | TrainingFailed | AcceleratorVersions:
        """Return the answer to a request. Without a GPU, an error ends the process."""
        try:
            if not self._is_prepared:
                self._accelerator.prepare()
                self._is_prepared = True
            if isinstance(request, VersionsRequest):
                return self._accelerator.describe()
            result = self._train(request)
            self._accelerator.release()
            return TrainingDone(result)
        except Exception as error:
            if isinstance(error, Closed) or not self._accelerator.is_gpu:
                raise
            text = f"{type(error).__name__}: {error}"
            return TrainingFailed(self._accelerator.classify(error), text[:_SHOWN])

    def _train(self, request: TrainingRequest) -> TrainingResult:
        data = find_data_set(request.data_set, request.data_folder)
        if data is None or data.sha256 != request.data_sha256:
            raise RuntimeError(f"the data set {request.data_set} has changed since the trainer was started")
        graph, accelerator = Graph.from_json(request.graph), self._accelerator
        accelerator.limit_memory(None if request.alone else limit_of_memory(graph, request.recipe))
        if accelerator.is_gpu:
            try:
                return self._train_once(request, graph, data, accelerator)
            except CaptureFailed as error:
                sys.stderr.write(f"trains without recording its steps: {error}\n")
            accelerator.release()
            return self._train_once(request, graph, data, CPU())  # steps repeated by Python, with the same numbers
        return self._train_once(request, graph, data, None)

    def _train_once(
        self, request: TrainingRequest, graph: Graph, data: DataSet, recorder: StepRecorder | None
    ) -> TrainingResult:
        recipe, device = request.recipe, self._accelerator.device
        points: list[CurvePoint] = []

        def note(point: CurvePoint) -> None:
            # The cache of results has one value that is not finite, and a result is the same whether it is from there.
            points.append(point if math.isfinite(point.loss) else replace(point, loss=math.nan))
            self._line.send(pack_message(TrainingProgress(point.epoch / recipe.epochs)))

        network = Network(graph)
        network.initialise(request.seed)
        network.to(device)
        computation = Computation(device)
        images, labels = data.train_images, data.train_labels
        if self._accelerator.is_gpu:
            large = not is_small(graph, recipe)
            if large:
                network.to(memory_format=torch.channels_last)
            computation = Computation(device, half=large, exact_resize=True, recorder=recorder)
            images, labels = images[: recipe.images].to(device), labels[: recipe.images].to(device)
        finite = fit(network, images, labels, recipe, request.seed, computation=computation, notify=note)
        predictions = predict(network, data.withheld_images[: recipe.judged], recipe.side, computation)
        right = predictions == data.withheld_labels[: recipe.judged]
        return TrainingResult(request.seed, float(right.double().mean()) if finite else 0.0, finite, tuple(points))


if __name__ == "__main__":
    main(int(sys.argv[1]), CUDA() if sys.argv[2] == "cuda" else CPU())
