"""The cost of a training, computed from its graph."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from grader.models.recipe import Recipe
from grader.training.cost import count_teraflops, estimate_memory
from tests.support.small_models import graph

RECIPE = Recipe(images=1000, epochs=1, batch=100, optimizer="adam", lr=0.01, side=28, threshold=0.5)


def linear() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def test_a_fully_connected_layer_costs_its_products_three_times_and_its_steps() -> None:
    products, numbers = 2 * 784 * 10, 785 * 10
    assert count_teraflops(graph(linear), RECIPE) == pytest.approx((3 * products * 1000 + 10 * numbers * 10) / 1e12)


def test_more_images_cost_more() -> None:
    once, twice = (count_teraflops(graph(linear), replace(RECIPE, epochs=epochs)) for epochs in (1, 2))
    assert twice == pytest.approx(2 * once)


def test_the_memory_of_a_training_grows_with_the_results_that_it_keeps() -> None:
    def large() -> nn.Module:
        return nn.Sequential(nn.AdaptiveAvgPool2d(600), nn.Flatten(), nn.Linear(360_000, 10))

    small, much = (estimate_memory(graph(make), RECIPE) for make in (linear, large))
    assert small < 10 * 2**20
    assert much > RECIPE.batch * 2 * 360_000 * 4  # the pooling and the flattening
