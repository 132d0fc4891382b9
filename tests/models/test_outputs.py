"""What a model computes with drawn weights depends on the weights, the images and the model, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from grader.models.outputs import GAIN, are_close, compute_outputs, draw_weights
from tests.support.small_models import Branches, sequential

IMAGES = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def computed(model: nn.Module, seed: int = 3, images: Tensor = IMAGES, training: bool = False) -> Tensor:
    named = dict(model.named_parameters())
    shapes = [tuple(value.shape) for value in named.values()]
    return compute_outputs(model, list(named), shapes, images, seed, training=training)


def drops() -> nn.Module:
    return nn.Sequential(sequential(), nn.Dropout())


@pytest.mark.parametrize("make", [sequential, Branches, drops])
@pytest.mark.parametrize("training", [False, True])
def test_the_module_s_own_numbers_do_not_matter_and_stay(make: Callable[[], nn.Module], training: bool) -> None:
    model = make()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    expected = computed(model, training=training)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.device("meta"):
        sketched = make()
    for other in (make(), make().double(), sketched):
        assert are_close(computed(other, training=training), expected)
    assert not are_close(computed(model, seed=4, training=training), expected)
    assert not are_close(computed(model, images=IMAGES.flip(0), training=training), expected)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is:")
def test_a_scripted_model_is_filled() -> None:
    assert are_close(computed(torch.jit.script(sequential())), computed(sequential()))


def test_weights_of_another_shape_suit_other_images() -> None:
    model = sequential()
    shapes = [(4, 1, 5, 5), (4,), (10, 4 * 4 * 4), (10,)]
    names = [name for name, _ in model.named_parameters()]
    small = nn.Sequential(*model[:4], nn.Linear(4 * 4 * 4, 10))
    images = torch.randn(1, 1, 8, 8)
    assert are_close(compute_outputs(model, names, shapes, images, 1), computed(small, 1, images))


def test_drawn_weights_take_little_memory_and_no_two_rows_are_equal() -> None:
    ((large,), (small,)) = (draw_weights([shape], 0, GAIN) for shape in ((4096, 25088), (6, 1, 5, 5)))
    assert large.untyped_storage().nbytes() < 2_000_000
    for weight in (large[:500, :2000], small.flatten(1)):
        assert len(torch.unique(weight.contiguous(), dim=0)) == len(weight)
    assert float(large.std()) == pytest.approx(GAIN * (2 / 25088) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("layer", "size"), [(nn.Linear(5000, 1700), (5000,)), (nn.Conv2d(90, 300, (18, 20), stride=2), (90, 20, 21))]
)
def test_a_large_layer_is_computed_in_parts_as_a_whole(layer: nn.Linear | nn.Conv2d, size: tuple[int, ...]) -> None:
    X, shapes = torch.randn(2, *size), [tuple(value.shape) for value in layer.parameters()]
    found = compute_outputs(layer, ["weight", "bias"], shapes, X, 3)
    weight, bias = draw_weights(shapes, 3)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)  # type: ignore[union-attr]
        assert are_close(found, layer(X).flatten(1).double())


def test_an_unknown_parameter_is_an_error() -> None:
    with pytest.raises(ValueError, match="no such parameter"):
        compute_outputs(sequential(), ["9.weight"], [(1,)], IMAGES, 0)


@pytest.mark.parametrize(
    ("found", "close"),
    [
        (torch.tensor([[1.0, 100.0]]), True),
        (torch.tensor([[1.005, 100.0]]), True),
        (torch.tensor([[1.02, 100.0]]), False),
        (torch.tensor([[1.0, torch.nan]]), False),
        (torch.tensor([1.0, 100.0]), False),
        ("no tensor", False),
    ],
)
def test_outputs_are_close_if_nothing_but_rounding_differs(found: object, close: bool) -> None:
    found = found.double() if isinstance(found, Tensor) else found
    assert are_close(found, torch.tensor([[1.0, 100.0]]).double()) is close
    assert not are_close(found, torch.tensor([[1.0, torch.inf]]).double())
