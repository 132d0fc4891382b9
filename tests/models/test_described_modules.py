"""Modules as descriptions, and modules that are built from descriptions."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import reference
from grader.models.described_modules import NotDescribable, build_module, describe_module

MODULES: dict[str, Callable[[], nn.Module]] = {
    "a block of VGG": lambda: reference.vgg_block(2, 4),
    "a residual block": lambda: reference.Residual(3),
    "a residual block with a 1x1 convolution": lambda: reference.Residual(6, use_1x1conv=True, strides=2),
    "LeNet": reference.LeNet,
    "a layer that is used twice": lambda: nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1)] * 2),
}
SIDES = {"LeNet": (1, 28, 28)}


@pytest.mark.parametrize("name", MODULES)
def test_a_built_module_computes_what_the_described_one_does(name: str) -> None:
    X = torch.rand(2, *SIDES.get(name, (3, 8, 8)))
    module = MODULES[name]()
    built = build_module(json.loads(json.dumps(describe_module(module)), object_hook=with_tuples))
    module(X), built(X)
    parameters, others = list(module.parameters()), dict(built.named_parameters())
    assert sorted(tuple(p.shape) for p in parameters) == sorted(tuple(p.shape) for p in others.values())
    for values in (parameters, others.values()):
        for value in values:
            nn.init.constant_(value, 0.01 * value.numel() ** 0.5)
    assert torch.allclose(module(X), built(X), atol=1e-5)


def with_tuples(table: dict[str, object]) -> dict[str, object]:
    """Return a table in which JSON's lists are tuples again."""

    def to_tuple(value: object) -> object:
        return tuple(map(to_tuple, value)) if isinstance(value, list) else value

    return {name: to_tuple(value) for name, value in table.items()}


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, X: Tensor) -> Tensor:
        return self.scale * X


class Depends(nn.Module):
    def forward(self, X: Tensor) -> Tensor:
        return X if X.sum() > 0 else -X


@pytest.mark.parametrize("module", [Scaled(), Depends(), nn.LSTM(3, 4)])
def test_what_is_not_joined_of_known_layers_has_no_description(module: nn.Module) -> None:
    with pytest.raises(NotDescribable):
        describe_module(module)
