"""Trainings on a CPU give the numbers that kept results and thresholds rest on, whatever is done for GPUs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from grader.assignment import Assignment
from grader.models.fit import CurvePoint, fit, predict
from grader.models.recipe import Mode, Recipe
from grader.models.stepping import prepare_images
from grader.training.datasets import DataSet
from grader.training.network import Network
from tests.support.small_models import graph


def lenet() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10)),
    )


@pytest.fixture
def quick(hw2: Assignment) -> Recipe:
    return next(item for item in hw2.items if item.id == "lenet.training").recipes[Mode.QUICK]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(recipe: Recipe, data: DataSet) -> tuple[Network, list[CurvePoint]]:
    network, points = Network(graph(lenet)), list[CurvePoint]()
    network.initialise(0)
    assert fit(network, data.train_images, data.train_labels, recipe, 0, notify=points.append)
    return network, points


@pytest.mark.slow
@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() != "AVX512", reason="numbers of a CPU with AVX-512")
def test_lenet_reaches_what_it_reached_before_there_were_gpus(quick: Recipe, fashion_mnist: DataSet) -> None:
    network, points = trained(quick, fashion_mnist)
    right = predict(network, fashion_mnist.withheld_images[:2000], 28) == fashion_mnist.withheld_labels[:2000]
    assert float(right.double().mean()) == 0.7305
    assert points[9] == CurvePoint(0.496, 0.8406854271888733, 0.6794354838709677)
    assert points[-1] == CurvePoint(1.0, 0.5976420342922211, 0.80625)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_each_step_is_that_of_a_plain_loop(quick: Recipe, fashion_mnist: DataSet, optimizer: str) -> None:
    recipe = replace(quick, images=700, batch=64, side=28, decay=True, optimizer=optimizer)  # type: ignore[arg-type]
    network, points = trained(recipe, fashion_mnist)
    plain, seen = Network(graph(lenet)), list[tuple[float, float]]()
    plain.initialise(0)
    parameters = list(plain.parameters())
    made: torch.optim.Optimizer = torch.optim.Adam(parameters, lr=recipe.lr, fused=True)
    if optimizer == "sgd":
        made = torch.optim.SGD(parameters, lr=recipe.lr, fused=True)
    order = torch.Generator().manual_seed(0)
    for step, batch in enumerate(torch.randperm(700, generator=order).split(64)):
        made.param_groups[0]["lr"] = recipe.lr * (1 - step / math.ceil(700 / 64))
        logits = plain(prepare_images(fashion_mnist.train_images[batch], 28))
        y = fashion_mnist.train_labels[batch]
        loss = F.cross_entropy(logits, y)
        made.zero_grad()
        loss.backward()
        made.step()
        seen.append((float(loss.detach()) * len(y) / len(y), int((logits.argmax(1) == y).sum()) / len(y)))
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), plain.parameters(), strict=True))
    assert [(point.loss, point.accuracy) for point in points] == seen
