"""Models are built with what they ask for, run as a sketch where that is possible, and as they are where it is not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grader.judging.local import LocalRemote
from grader.student import Fault, Operation, StudentFault
from grader.testing import (
    Argument,
    Layer,
    Mismatch,
    assert_output,
    assert_parameters,
    build,
    number_of_classes,
    run,
)


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


class InitialisedByNumbers(Classifier):
    """Its construction depends on the numbers it drew."""

    def __init__(self) -> None:
        super().__init__()
        self.first = next(self.parameters()).tolist()[0]


class OneAtATime(Classifier):
    """It takes no batches."""

    def forward(self, X: Tensor) -> Tensor:
        return super().forward(X.reshape(1, 1, 3, 4))


def factory() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 2))


@pytest.mark.parametrize(
    "thing", [Classifier, LooksAtNumbers, InitialisedByNumbers, OneAtATime, factory, Classifier(), factory()]
)
def test_a_model_is_run_whatever_makes_it(thing: Any) -> None:
    model = run(LocalRemote(thing), (number_of_classes(10),), "Classifier()", (1, 3, 4))
    assert model.layers == (Layer("linear", (2,), (2, 12)),)
    assert list(model.parameters.values()) == [(2, 12), (2,)]
    assert model.operations[-1].shape == ((1, 2) if thing is OneAtATime else (3, 2))
    assert model.remote.kind == "module"


def test_a_model_is_sketched_where_that_is_possible() -> None:
    real: list[bool] = []

    class Watched(Classifier):
        def forward(self, X: Tensor) -> Tensor:
            real.append(not X.is_meta)
            return super().forward(X)

    run(LocalRemote(Watched), (), "Watched()", (1, 3, 4))
    assert real == [False]
    run(LocalRemote(Watched()), (), "Watched()", (1, 3, 4))
    assert real == [False, True]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.RAISED])
def test_only_an_exception_leads_to_another_try(fault: Fault) -> None:
    class Faulty(LocalRemote):
        def sketch(self, *args: Any, **kwargs: Any) -> Any:
            raise StudentFault(fault, "no answer")

    with pytest.raises(StudentFault) as raised:
        run(Faulty(Classifier), (), "Classifier()", (1, 3, 4))
    assert raised.value.fault is fault


def test_what_works_neither_way_is_the_students_fault() -> None:
    with pytest.raises(StudentFault, match="raises RuntimeError: mat1 and mat2 shapes cannot be multiplied"):
        run(LocalRemote(Classifier), (), "Classifier()", (1, 5, 5))


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
        run(LocalRemote(thing), (), "LeNet()", (1, 3, 4))


def test_a_model_is_built_with_what_its_signature_asks_for() -> None:
    built = build(LocalRemote(Classifier), (Argument(5, ("num_classes",)),), "Classifier()")
    assert built.parameter_shapes()["net.1.weight"] == (5, 12)
    instance = Classifier()
    assert build(LocalRemote(instance), (Argument(5, ("num_classes",)),), "Classifier()").value is instance  # type: ignore[attr-defined]


def test_the_number_of_learnable_numbers_is_compared() -> None:
    model = run(LocalRemote(Classifier), (), "Classifier()", (1, 3, 4))
    assert_parameters(model, 26)
    with pytest.raises(Mismatch, match="expected 61,706 parameters, found 26"):
        assert_parameters(model, 61_706)


def test_the_last_operation_gives_the_output() -> None:
    found = (Operation("relu", (3, 5)), Operation("addmm", (3, 10)))
    assert_output(found, (3, 10))
    with pytest.raises(Mismatch, match=r"expected shape \(3, 5\), found \(3, 10\)"):
        assert_output(found, (3, 5))
    with pytest.raises(Mismatch, match=r"expected shape \(3, 5\), found \(\)"):
        assert_output((), torch.zeros(3, 5).shape)
