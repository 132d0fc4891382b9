"""A graph as a module of our own."""

from __future__ import annotations

import torch
from torch import nn

from grader.training.network import Network
from tests.support.small_models import Branches, graph, sequential


def test_one_graph_and_seed_give_the_same_parameters() -> None:
    first, second = Network(graph(sequential)), Network(graph(sequential))
    for network in (first, second):
        network.initialise(3)
    assert all(torch.equal(*pair) for pair in zip(first.weights, second.weights, strict=True))
    second.initialise(4)
    assert not torch.equal(first.weights[0], second.weights[0])


def test_weights_are_xavier_uniform_and_biases_zero() -> None:
    network = Network(graph(sequential))
    network.initialise(0)
    kernel, bias, weight, _ = network.weights
    assert 0.9 * (6 / (5 * 25)) ** 0.5 < float(kernel.detach().abs().max()) <= (6 / (5 * 25)) ** 0.5
    assert 0.9 * (6 / 794) ** 0.5 < float(weight.detach().abs().max()) <= (6 / 794) ** 0.5
    assert not bias.any()


def test_normalisations_begin_at_one_and_zero_and_follow_the_images() -> None:
    network = Network(graph(Branches))
    network.initialise(0)
    scales = [weight for weight in network.weights if weight.dim() == 1 and bool((weight == 1).all())]
    assert len(scales) == 1
    (statistics,) = network.statistics.values()
    assert isinstance(statistics, nn.BatchNorm2d)
    network.train()(torch.randn(8, 1, 28, 28))
    assert statistics.running_mean is not None
    assert bool(statistics.running_mean.any())
    network.initialise(0)
    assert not statistics.running_mean.any()


def test_dropout_drops_in_training_only() -> None:
    network = Network(graph(lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10))))
    network.initialise(0)
    X = torch.randn(2, 1, 28, 28)
    with torch.no_grad():
        assert not torch.equal(network.train()(X), network.eval()(X))
        assert torch.equal(network.eval()(X), network.eval()(X))


def test_on_the_meta_device_there_are_shapes_and_no_numbers() -> None:
    assert Network(graph(sequential), "meta")(torch.empty(5, 1, 28, 28, device="meta")).shape == (5, 10)
