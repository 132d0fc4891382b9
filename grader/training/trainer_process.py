"""A process that trains graphs, one after the other: `python -m grader.training.trainer_process`.

It reads one JSON object a line on standard input and writes one a line on standard output: {"point": [...]} while it
trains and {"run": {...}} at the end. It never sees anything of a student's but graphs.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from grader.models.fit import CurvePoint, fit, predict
from grader.models.recipe import Recipe
from grader.training.cache import TrainingResult, encode_result
from grader.training.datasets import find_data_set
from grader.training.graph import Graph
from grader.training.network import Network

__all__ = ["main"]

_SECONDS_BETWEEN_LOOKS = 1.0


def main() -> None:
    """Serve trainings until standard input ends, or whoever started this process."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        _say({"run": encode_result(_trained(order))})


def _end_with(parent: int) -> None:
    """End in the midst of a training, where its result is of use to nobody.

    The kernel could do that as well, but not for this parent: it goes by the thread that started a process, and that
    one ends much earlier.
    """
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)


def _trained(order: dict[str, Any]) -> TrainingResult:
    graph, recipe, seed = Graph.from_json(order["graph"]), Recipe(**order["recipe"]), int(order["seed"])
    device = torch.device(order["device"])
    folder = order["data"]["folder"]
    data = find_data_set(order["data"]["name"], Path(folder) if folder else None)
    if data is None or data.sha256 != order["data"]["sha256"]:
        raise RuntimeError(f"the data set {order['data']['name']} is no longer what it was")
    points: list[CurvePoint] = []

    def told(point: CurvePoint) -> None:
        points.append(point)
        _say({"point": point.epoch / recipe.epochs})

    network = Network(graph)
    network.initialise(seed)
    network.to(device)
    images, labels = data.train_images, data.train_labels
    if device.type == "cuda":  # not yet run: no machine of this project's has a GPU
        network.to(memory_format=torch.channels_last)
        images, labels = images.to(device), labels.to(device)
    finite = fit(network, images, labels, recipe, seed, device=device, notify=told)
    answers = predict(network, data.withheld_images[: recipe.judged], recipe.side, device)
    right = answers == data.withheld_labels[: recipe.judged]
    return TrainingResult(seed, float(right.double().mean()) if finite else 0.0, finite, tuple(points))


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)  # noqa: T201 - the line to whoever started us


if __name__ == "__main__":
    main()
