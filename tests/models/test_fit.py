"""The training loop: its arguments decide its result, bit for bit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from grader.models.fit import CurvePoint, fit, initialise, predict, train_in_place
from grader.models.stepping import prepare_images
from tests.support.easy_images import RECIPE, easy
from tests.support.small_models import Branches, sequential


def test_a_model_learns_and_its_curve_is_reported() -> None:
    images, labels = easy()
    model, points = sequential(), list[CurvePoint]()
    initialise(model, 0)
    assert fit(model, images, labels, RECIPE, 0, notify=points.append)
    assert float((predict(model, images, 28) == labels).double().mean()) > 0.9
    assert points[-1].epoch == 2
    assert points[-1].loss < points[0].loss
    assert points[-1].accuracy > points[0].accuracy


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    images, labels = easy()
    models = [Branches() for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        torch.manual_seed(id(model) % 1000)  # what the generator did before does not matter
        initialise(model, seed)
        fit(model, images, labels, RECIPE, seed)
    first, second, third = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["conv1.weight"], third["conv1.weight"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_training_that_diverges_says_so(optimizer: str) -> None:
    images, labels = easy()
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10, dtype=torch.float32), nn.Linear(10, 10))
    wild = replace(RECIPE, optimizer=optimizer, lr=1e30, decay=False)  # type: ignore[arg-type]
    assert not fit(model, images, labels, wild, 0)


def test_normalisations_are_judged_by_statistics_of_the_trained_weights() -> None:
    images, labels = easy()
    model = Branches()
    short = replace(RECIPE, images=64, epochs=1, lr=0.05)
    initialise(model, 0)
    fit(model, images, labels, short, 0)
    model.train()
    with torch.no_grad():
        hidden = model.conv1(prepare_images(images[:64], 28))
    assert model.bn1.running_mean is not None
    assert torch.allclose(model.bn1.running_mean, hidden.mean((0, 2, 3)), atol=1e-4)
    assert model.bn1.momentum == 0.1


def test_images_are_resized_and_normalised() -> None:
    images, _ = easy(4)
    X = prepare_images(images, 32)
    assert (X.shape, X.dtype) == ((4, 1, 32, 32), torch.float32)
    assert float(prepare_images(torch.full((1, 28, 28), 255, dtype=torch.uint8), 28).max()) == pytest.approx(
        (1 - 0.286) / 0.353
    )


def test_a_model_with_lazy_layers_is_trained_where_it_is() -> None:
    images, labels = easy()
    lazy = nn.Sequential(nn.LazyConv2d(4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10)).double()
    finite, classes, points = train_in_place(lazy, RECIPE, 0, images, labels, images[:100])
    assert finite
    assert float((classes == labels[:100]).double().mean()) > 0.8
    assert points[-1][0] == 2
