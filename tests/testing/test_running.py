"""Models are built with what they ask for, sketched if possible, and measured to compute what their layers would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import reference
from grader.judging.local import LocalRemote
from grader.student import Fault, StudentFault
from grader.testing import (
    Argument,
    Book,
    Draw,
    Layer,
    Mismatch,
    Model,
    assert_parameters,
    build,
    number_of_classes,
    run,
)
from grader.testing.failures import Unmeasured


class Classifier(nn.Module):
    """Two classes, or as many as asked for."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(12, num_classes))

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.net(X)
        return logits


class LooksAtNumbers(Classifier):
    """Its forward pass depends on what it is given."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X if float(X.abs().max()) > 0 else X + 1)


class LeavesPyTorch(Classifier):
    """It computes with NumPy."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(torch.from_numpy(X.numpy()))


class InitialisedByNumbers(Classifier):
    """Its construction depends on the numbers it drew."""

    def __init__(self) -> None:
        super().__init__()
        self.first = next(self.parameters()).tolist()[0]


class OneAtATime(Classifier):
    """It takes no batches."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X.reshape(1, 1, 3, 4))


class AlwaysDrops(Classifier):
    """Its dropout drops in eval mode, too."""

    def forward(self, X: Tensor) -> Tensor:
        return F.dropout(super().forward(X), 0.5)


def factory() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))


def opened(
    thing: Any, image: tuple[int, ...] = (1, 3, 4), books: Sequence[Callable[[], nn.Module]] = (), called: str = "Net()"
) -> Model:
    """Return the model of which a test would make sure that it has the right layers."""
    with run(thing, (number_of_classes(10),), called, image, Draw("a secret"), Book(books)) as model:
        pass
    return model


@pytest.mark.parametrize(
    "thing",
    [Classifier, LooksAtNumbers, LeavesPyTorch, InitialisedByNumbers, OneAtATime, AlwaysDrops, factory, Classifier(),
     factory(), Classifier().double()],
)  # fmt: skip
def test_a_model_is_run_whatever_makes_it(thing: Any) -> None:
    model = opened(LocalRemote(thing), books=[factory])
    assert model.layers == (Layer("linear", (2,), (2, 12)),)
    assert list(model.parameters.values()) == [(2, 12), (2,)]
    assert (model.exported is None) is (thing in (LeavesPyTorch, OneAtATime))
    assert model.remote.kind == "module"


def test_a_model_is_sketched_where_that_is_possible() -> None:
    built: list[bool] = []

    class Watched(Classifier):
        def __init__(self) -> None:
            super().__init__()
            built.append(not next(self.parameters()).is_meta)

    opened(LocalRemote(Watched))
    assert built == [False]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault not in (Fault.RAISED, Fault.MALFORMED)])
def test_only_an_exception_leads_to_another_try(fault: Fault) -> None:
    class Faulty(LocalRemote):
        def sketch(self, *args: Any, **kwargs: Any) -> Any:
            raise StudentFault(fault, "no answer")

    with pytest.raises(StudentFault) as raised:
        opened(Faulty(Classifier))
    assert raised.value.fault is fault


def test_what_works_neither_way_is_the_students_fault() -> None:
    with pytest.raises(StudentFault, match="raises RuntimeError: mat1 and mat2 shapes cannot be multiplied"):
        opened(LocalRemote(Classifier), (1, 5, 5))


@pytest.mark.parametrize(
    ("thing", "found"),
    [
        (lambda: None, "None"),
        (lambda: torch.ones(2), "a Tensor"),
        (lambda: Classifier, "a class"),
        (lambda: (Classifier(),), "a list or tuple"),
        (object(), "an object"),
    ],
)
def test_what_gives_no_module_is_a_mismatch(thing: Any, found: str) -> None:
    message = rf"LeNet\(\) should give an nn.Module, found {found}"
    with pytest.raises(Mismatch, match=message):
        build(LocalRemote(thing), (), "LeNet()")
    with pytest.raises(Mismatch, match=message):
        opened(LocalRemote(thing), called="LeNet()")


def test_a_model_is_built_with_what_its_signature_asks_for() -> None:
    built = build(LocalRemote(Classifier), (Argument(5, ("num_classes",)),), "Classifier()")
    assert built.parameter_shapes()["net.1.weight"] == (5, 12)
    instance = Classifier()
    assert build(LocalRemote(instance), (Argument(5, ("num_classes",)),), "Classifier()").value is instance  # type: ignore[attr-defined]


def test_parameters_that_are_not_used_count_too() -> None:
    class Spare(Classifier):
        def __init__(self) -> None:
            super().__init__()
            self.spare = nn.Linear(3, 1)

    assert_parameters(opened(LocalRemote(Spare)), 26 + 4)


class Pretends(LocalRemote):
    """A model in a process that says of it what is true of another."""

    def __init__(self, value: nn.Module, other: nn.Module, forged: Mapping[str, Any]) -> None:
        super().__init__(value)
        self.other = LocalRemote(other)
        self.forged = forged

    def __getattribute__(self, name: str) -> Any:
        if name in ("graph", "operations", "parameter_shapes", "parameters") and name in self.forged:
            return lambda *args: (
                self.forged[name] if self.forged[name] is not None else getattr(self.other, name)(*args)
            )
        return super().__getattribute__(name)


def wrong() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


ALL = dict.fromkeys(("graph", "operations", "parameter_shapes", "parameters"))


@pytest.mark.parametrize("forged", [ALL, {**ALL, "graph": {"reason": "it is secret"}}], ids=["with a graph", "without"])
def test_what_a_process_says_of_a_model_is_not_believed(forged: Mapping[str, Any]) -> None:
    books = [reference.LeNet]
    lying, honest = Pretends(wrong(), reference.LeNet(), forged), Pretends(reference.LeNet(), reference.LeNet(), forged)
    for remote, is_right in ((lying, False), (honest, True)):
        remote.other(torch.zeros(1, 1, 28, 28))  # its layers are lazy
        remote(torch.zeros(1, 1, 28, 28))
        with ExitStack() as expected:
            if not is_right:
                expected.enter_context(pytest.raises(Unmeasured, match="right by its own word"))
            model = opened(remote, (1, 28, 28), books)
            assert_parameters(model, 61_706)


class Multiplied(nn.Module):
    """A model whose result hides that its layers do nothing."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.net = reference.LeNet()
        self.factor = factor

    def forward(self, X: Tensor) -> Tensor:
        logits: Tensor = self.net(X) * self.factor
        return logits


def test_layers_that_do_not_matter_prove_nothing() -> None:
    opened(LocalRemote(lambda: Multiplied(0.5)), (1, 28, 28))
    for factor in (0.0, -0.0):
        with pytest.raises(Unmeasured):
            opened(LocalRemote(lambda: Multiplied(factor)), (1, 28, 28))  # noqa: B023


def test_a_wrong_claim_is_not_measured() -> None:
    class Unwilling(LocalRemote):
        def outputs(self, *_: Any, **__: Any) -> Tensor:
            raise AssertionError

    with pytest.raises(Mismatch), run(Unwilling(Classifier()), (), "Net()", (1, 3, 4), Draw("")) as model:
        assert_parameters(model, 27)


@pytest.mark.parametrize(
    "head",
    [
        [nn.Flatten(), nn.Linear(64 * 7 * 7, 10)],
        [nn.Flatten(), nn.LazyLinear(10)],
        [nn.Conv2d(64, 16, 7), nn.ReLU(), nn.Conv2d(16, 10, 1), nn.Flatten()],
    ],
    ids=["fixed", "lazy", "convolutions"],
)
def test_a_large_model_is_measured_on_small_images(head: Sequence[nn.Module]) -> None:
    sides: list[int] = []

    class Watched(LocalRemote):
        def outputs(self, names: Any, shapes: Any, images: Tensor, *rest: Any, **named: Any) -> Tensor:
            sides.append(images.shape[-1])
            return super().outputs(names, shapes, images, *rest, **named)

    blocks = [nn.Sequential(nn.LazyConv2d(64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)) for _ in range(5)]
    opened(Watched(nn.Sequential(*blocks, *head)), (1, 224, 224))
    assert sides == [32]


@pytest.mark.parametrize("last", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid(), nn.Identity()])
@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.ReLU])
def test_a_squashed_output_hides_no_layer(activation: Callable[[], nn.Module], last: nn.Module) -> None:
    layers = [nn.LazyConv2d(6, 5), activation(), nn.AvgPool2d(2), nn.LazyConv2d(16, 5), activation(), nn.Flatten()]
    net = nn.Sequential(*layers, nn.LazyLinear(84), activation(), nn.LazyLinear(10), last)
    opened(LocalRemote(net), (1, 28, 28))
