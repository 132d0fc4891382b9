"""A process that trains graphs, one after the other: `python -m grader.training.trainer_process FD`.

On the socket FD it receives a TrainingRequest and answers with any number of TrainingProgress and one TrainingDone
(`messages.py`). Graphs are the only thing it ever sees of a student's work.
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
from grader.sandbox.protocol.channels import Channel
from grader.sandbox.protocol.encoding import Closed
from grader.sandbox.protocol.messages import pack_message, unpack_message
from grader.training.cache import TrainingResult
from grader.training.datasets import find_data_set
from grader.training.graph import Graph
from grader.training.messages import TrainingDone, TrainingProgress, TrainingRequest
from grader.training.network import Network

__all__ = ["main"]

_SECONDS_BETWEEN_CHECKS = 1.0


def main(descriptor: int) -> None:
    """Train on request until the other end of the line is closed or the parent process ends."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    line = Channel(socket.socket(fileno=descriptor))
    try:
        while True:
            request = unpack_message(line.receive(), TrainingRequest)
            line.send(pack_message(TrainingDone(_train(request, line))))
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


def _train(request: TrainingRequest, line: Channel) -> TrainingResult:
    recipe, device = request.recipe, torch.device(request.device)
    data = find_data_set(request.data_set, request.data_folder)
    if data is None or data.sha256 != request.data_sha256:
        raise RuntimeError(f"the data set {request.data_set} has changed since the trainer was started")
    points: list[CurvePoint] = []

    def note(point: CurvePoint) -> None:
        # The cache of results knows one value that is not finite, and a result is the same whether it is from there.
        points.append(point if math.isfinite(point.loss) else replace(point, loss=math.nan))
        line.send(pack_message(TrainingProgress(point.epoch / recipe.epochs)))

    network = Network(Graph.from_json(request.graph))
    network.initialise(request.seed)
    network.to(device)
    images, labels = data.train_images, data.train_labels
    if device.type == "cuda":  # not yet run: no machine of this project has a GPU
        network.to(memory_format=torch.channels_last)
        images, labels = images.to(device), labels.to(device)
    finite = fit(network, images, labels, recipe, request.seed, device=device, notify=note)
    predictions = predict(network, data.withheld_images[: recipe.judged], recipe.side, device)
    right = predictions == data.withheld_labels[: recipe.judged]
    return TrainingResult(request.seed, float(right.double().mean()) if finite else 0.0, finite, tuple(points))


if __name__ == "__main__":
    main(int(sys.argv[1]))
