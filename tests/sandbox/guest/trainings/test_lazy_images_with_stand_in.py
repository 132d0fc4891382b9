"""Images that nobody computed yet are, for all that a notebook does with them, the tensor that torch's loader gives."""

from __future__ import annotations

import copy
import io
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset, default_collate

from grader.models.resize import tabulate
from grader.sandbox.guest.trainings.lazy_images import LazyImages
from tests.support import stand_in_device

DEVICE = stand_in_device.NAME
BYTES = torch.randint(256, (4, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
PLAIN = BYTES[:, None].float().div(255)
CONVOLUTION = nn.Conv2d(1, 2, 3)


@pytest.fixture
def lazy() -> Any:
    """Return a new batch of 4 images of 28x28."""
    return make()


def make(size: tuple[int, int] = (28, 28)) -> Any:
    return LazyImages(BYTES, size, tabulate(lambda images: images.to(torch.get_default_dtype()).div_(255)))


def is_lazy(images: Tensor) -> bool:
    return type(images) is not Tensor


ANSWERS: dict[str, Callable[[Tensor], Any]] = {
    "shape": lambda X: (X.shape, X.size(), X.size(0), X.size(-1), len(X), X.dim(), X.ndim, X.numel(), torch.numel(X)),
    "type": lambda X: (X.dtype, X.type(), X.is_floating_point(), torch.is_tensor(X), isinstance(X, Tensor)),
    "device": lambda X: (X.device, X.is_cuda, X.layout, X.get_device()),
    "memory": lambda X: (X.stride(), X.element_size(), X.is_inference(), X._version),
    "gradient": lambda X: (X.requires_grad, X.grad, X.grad_fn, X.is_leaf),
    "name": lambda X: (str(type(X)), str(X.__class__)),
    "nothing to do": lambda X: [
        same is X
        for same in (
            X.to("cpu"),
            X.cpu(),
            X.float(),
            X.to(torch.float32),
            X.type("torch.FloatTensor"),
            torch.as_tensor(X),
        )
    ],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_what_needs_no_numbers_computes_nothing(lazy: Tensor, name: str) -> None:
    assert ANSWERS[name](lazy) == ANSWERS[name](PLAIN)
    assert is_lazy(lazy)


MOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "to a name": lambda X: X.to(DEVICE),
    "to a device": lambda X: X.to(torch.device(DEVICE, 0), non_blocking=True),
    "by keyword": lambda X: X.to(device=DEVICE),
    "like another": lambda X: X.to(torch.zeros(1, device=DEVICE)),
    "as another type": lambda X: X.to(DEVICE, torch.float64),
    "in another format": lambda X: X.to(DEVICE, memory_format=torch.channels_last),
    "twice": lambda X: X.float().to(DEVICE).to(DEVICE),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_batch_that_is_moved_is_made_on_the_device(lazy: Tensor, name: str) -> None:
    moved, expected = MOVES[name](lazy), MOVES[name](PLAIN)
    assert is_lazy(lazy)
    assert type(moved) is Tensor
    assert (moved.device, moved.dtype, moved.stride()) == (expected.device, expected.dtype, expected.stride())
    assert torch.equal(moved.cpu(), expected.cpu())


def test_nothing_else_stays_on_the_device() -> None:
    make((224, 224)).to(DEVICE)  # the weights are kept
    batch = make((224, 224))
    before = stand_in_device.device.used_bytes
    moved = batch.to(DEVICE)
    assert is_lazy(batch)
    assert stand_in_device.device.used_bytes - before == moved.numel() * 4


def test_pinned_memory_holds_the_bytes() -> None:
    own: Any = BYTES.clone()
    own.pin_memory = lambda *_: BYTES
    pinned: Any = LazyImages(own, (28, 28), tabulate(lambda images: images.float().div_(255))).pin_memory()
    assert is_lazy(pinned)
    assert torch.equal(pinned.to(DEVICE, non_blocking=True).cpu(), PLAIN)
    assert pinned._deferred.pinned
    assert pinned._deferred.images is BYTES


USES: dict[str, Callable[[Tensor], Any]] = {
    "sum": lambda X: X.sum(),
    "arithmetic": lambda X: 2 - X * 3 + X,
    "an item": lambda X: X[1, 0],
    "a mask": lambda X: X[X > 0.5],
    "iterating": lambda X: torch.stack(list(X)),
    "numpy": lambda X: torch.from_numpy(X.numpy()),
    "an array": lambda X: torch.from_numpy(numpy.asarray(X)),
    "lists": lambda X: torch.tensor(X.tolist()),
    "text": lambda X: torch.tensor(list(repr(X).encode() + f"{X.mean():.3f}".encode() + str(X).encode())),
    "stack": lambda X: torch.stack([X, X]),
    "concatenation": lambda X: torch.cat((X, PLAIN, X)),
    "collation": lambda X: default_collate([X, X]),
    "a data set": lambda X: TensorDataset(X, X)[2][1],
    "view": lambda X: X.view(4, -1),
    "squeeze": lambda X: X.squeeze(1),
    "clone": lambda X: X.clone(),
    "detach": lambda X: X.detach(),
    "data": lambda X: X.data,
    "dlpack": lambda X: torch.utils.dlpack.from_dlpack(X),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda X: pickle.loads(pickle.dumps(X)),
    "double": lambda X: X.double(),
    "to double": lambda X: X.to(torch.float64),
    "another format": lambda X: X.to(memory_format=torch.channels_last),
    "meta": lambda X: X.to("meta"),
    "a layer": lambda X: CONVOLUTION(X).detach(),
    "out": lambda X: torch.add(X, 1, out=torch.empty_like(X)),
    "contiguous": lambda X: X.contiguous(),
    "flip": lambda X: torch.flip(X, (0,)),
    "another function": lambda X: nn.functional.interpolate(X, size=(7, 7)),
    "three channels": lambda X: X.repeat(1, 3, 1, 1),
}


@pytest.mark.parametrize("name", USES)
def test_any_other_use_gives_what_it_gives_for_a_plain_tensor(lazy: Tensor, name: str) -> None:
    found, expected = USES[name](lazy), USES[name](PLAIN.clone())
    assert (type(found), found.dtype, found.stride()) == (type(expected), expected.dtype, expected.stride())
    assert found.is_meta or torch.equal(found, expected)
    assert type(lazy) is Tensor
    assert torch.equal(lazy, PLAIN)


CHANGES: dict[str, Callable[[Tensor], Any]] = {
    "add_": lambda X: X.add_(1),
    "an item": lambda X: X.__setitem__((0, 0), 7),
    "by numpy": lambda X: X.numpy().fill(3),
    "by a view": lambda X: X.view(-1).zero_(),
    "data": lambda X: setattr(X, "data", torch.ones(4, 1, 28, 28)),
    "by a part": lambda X: X[2].mul_(2),
    "requires_grad_": lambda X: X.requires_grad_(),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_in_place_go_to_the_device_too(lazy: Tensor, name: str) -> None:
    kept, plain = [lazy], PLAIN.clone()
    CHANGES[name](lazy)
    CHANGES[name](plain)
    assert kept[0] is lazy
    assert torch.equal(lazy, plain)
    assert torch.equal(lazy.to(DEVICE).detach().cpu(), plain.detach())
    assert lazy.requires_grad == plain.requires_grad


def test_a_change_returns_the_batch_itself(lazy: Tensor) -> None:
    assert lazy.add_(1) is lazy
    assert lazy.requires_grad_() is lazy
    CONVOLUTION(lazy).sum().backward()
    assert lazy.grad is not None


def test_attributes_of_the_student_stay(lazy: Any) -> None:
    lazy.note = "mine"
    assert float(lazy.sum()) == float(PLAIN.sum())
    assert vars(lazy) == {"note": "mine"}


def test_a_batch_that_something_refers_to_weakly_is_used_all_the_same(lazy: Tensor) -> None:
    reference = weakref.ref(lazy)
    assert torch.equal(lazy * 1, PLAIN)
    lazy[0] = 7
    assert torch.equal(lazy[0], torch.full((1, 28, 28), 7.0))
    assert torch.equal(lazy.to(DEVICE).cpu()[0], torch.full((1, 28, 28), 7.0))
    assert lazy.shape == PLAIN.shape
    assert reference() is lazy


def test_an_own_function_of_autograd_gets_the_numbers(lazy: Tensor) -> None:
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, images: Tensor, weight: Tensor) -> Tensor:
            ctx.save_for_backward(images)
            return images * weight

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Any:
            (images,) = ctx.saved_tensors
            return None, (images * gradient).sum()

    weight = torch.ones((), requires_grad=True)
    result: Any = Scaled.apply(lazy, weight)
    result.sum().backward()
    assert torch.equal(result.detach(), PLAIN)
    assert weight.grad is not None
    assert weight.grad.isclose(PLAIN.sum())


@pytest.mark.parametrize(
    "use", [lambda X: torch.autograd.Variable(X).to(DEVICE), lambda X: torch.as_tensor(X, device=DEVICE)]
)
def test_functions_that_do_not_ask_the_class_get_the_numbers(lazy: Tensor, use: Callable[[Tensor], Tensor]) -> None:
    found = use(lazy)
    assert (type(found), found.device.type) == (Tensor, DEVICE)
    assert torch.equal(found.cpu(), PLAIN)
    assert torch.equal(lazy, PLAIN)


def test_a_batch_computed_without_gradients_can_be_trained_on(lazy: Tensor) -> None:
    with torch.inference_mode():
        CONVOLUTION(lazy)
    CONVOLUTION(lazy).sum().backward()
    with torch.inference_mode():
        inside = make()
    assert inside.is_inference()
    assert inside.sum() == PLAIN.sum()
    assert inside.is_inference()


def test_it_has_the_default_type_of_its_time() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        batch = make()
    finally:
        torch.set_default_dtype(torch.float32)
    assert batch.dtype == torch.float64
    assert torch.equal(batch.to(DEVICE).cpu(), BYTES[:, None].double().div_(255))
    assert torch.equal(batch, BYTES[:, None].double().div_(255))


def test_errors_are_those_of_a_plain_tensor(lazy: Tensor) -> None:
    for wrong in (lambda X: X.to("nowhere"), lambda X: X.to(nothing=1), lambda X: bool(X), lambda X: X.view(5)):
        errors = []
        for images in (lazy, PLAIN):
            with pytest.raises(Exception) as error:  # noqa: PT011
                wrong(images)
            errors.append((type(error.value), str(error.value)))
        assert errors[0] == errors[1]


def test_it_is_saved_as_a_plain_tensor(lazy: Tensor) -> None:
    buffer = io.BytesIO()
    torch.save({"batch": [lazy]}, buffer)
    buffer.seek(0)
    (loaded,) = torch.load(buffer)["batch"]
    assert type(loaded) is Tensor
    assert torch.equal(loaded, PLAIN)
