"""Models in the student's process, over real snapshots: parameters, gradients, operations and sketches."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from grader.sandbox.host.snapshot_work import SnapshotWork
from grader.student import Fault, Operation
from tests.support.sandbox_runs import LIMITS, SEED, Ran, fault_of, ran

LAYERS_IN_A_ROW = """
from torch import nn
def f():
    return nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3456, 10))
"""
HOMEWORK = """
import torch
from torch import nn

def doubled(X): return X * 2

class Net(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.first = nn.Linear(3, width, bias=False)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.unused = nn.Parameter(torch.ones(1))
    def forward(self, X):
        return torch.sigmoid(self.first(X)) * self.frozen

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.LazyConv2d(2, kernel_size=3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    def forward(self, X):
        return self.net(X)

class VGG(nn.Module):
    def __init__(self, arch, num_classes=10):
        super().__init__()
        layers = []
        for num_convs, channels in arch:
            for _ in range(num_convs):
                layers += [nn.LazyConv2d(channels, kernel_size=3, padding=1), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(4096), nn.ReLU(), nn.LazyLinear(4096), nn.ReLU(),
                                 nn.LazyLinear(num_classes))
    def forward(self, X):
        return self.net(X)

class LooksAtNumbers(Net):
    def forward(self, X):
        return super().forward(X) if X.sum() > 0 else X

def makes(*, width): return Net(width)
def makes_nothing(): return None
def has_no_time():
    while True: pass

def f(): return "here"
"""
VGG11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))


@pytest.fixture(scope="module")
def homework(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, HOMEWORK) as run:
        assert run.statuses() == ["ok"]
        yield run


@pytest.fixture
def student(homework: Ran) -> Iterator[SnapshotStudent]:
    """A fresh process for every test."""
    with homework.student("f") as opened:
        yield opened


def test_parameters_are_those_that_training_changes(student: SnapshotStudent) -> None:
    shapes = {name: tuple(value.shape) for name, value in student.Net(4).parameters().items()}
    assert list(shapes.items()) == [("unused", (1,)), ("first.weight", (4, 3))]


def test_loaded_parameters_are_what_the_model_computes_with(student: SnapshotStudent) -> None:
    net = student.Net(1)
    net.load({"first.weight": torch.tensor([[1.0, 2.0, 3.0]])})
    assert torch.equal(net.parameters()["first.weight"], torch.tensor([[1.0, 2.0, 3.0]]))
    assert torch.allclose(net(torch.ones(1, 3)), torch.sigmoid(torch.tensor([[6.0]])))


def test_loading_what_does_not_fit_is_a_fault(student: SnapshotStudent) -> None:
    net = student.Net(2)
    for values in ({"nothing": torch.ones(1)}, {"first.weight": torch.ones(5)}, {"first.weight": torch.ones(1)}):
        assert fault_of(net.load, values)[0] == Fault.RAISED


def test_gradients_tell_which_parameters_they_reach(student: SnapshotStudent) -> None:
    X, cotangent = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2.0]])
    net = student.Net(1)
    weight = net.parameters()["first.weight"].requires_grad_()
    (torch.sigmoid(X @ weight.T) * cotangent).sum().backward()
    for _ in range(2):
        gradients = net.gradients(X, cotangent=cotangent)
        assert gradients["unused"] is None
        assert isinstance(gradients["first.weight"], Tensor)
        assert torch.allclose(gradients["first.weight"], weight.grad if weight.grad is not None else X)
    assert fault_of(student.doubled.gradients, X)[0] == Fault.RAISED


def test_lazy_models_have_parameters_after_the_first_forward_pass(student: SnapshotStudent) -> None:
    net = student.Lazy()
    assert net.parameters() == {}
    assert net(torch.zeros(1, 1, 5, 5)).shape == (1, 4)
    shapes = [tuple(value.shape) for value in net.parameters().values()]
    assert shapes == [(2, 1, 3, 3), (2,), (4, 18), (4,)]
    assert set(net.gradients(torch.ones(1, 1, 5, 5))) == set(net.parameters())


def test_operations_are_those_of_a_forward_pass_in_order_with_their_parameters(student: SnapshotStudent) -> None:
    net = student.Lazy()
    assert net.operations(torch.zeros(2, 1, 5, 5)) == (
        Operation("convolution", (2, 2, 3, 3), ("net.0.weight", "net.0.bias")),
        Operation("relu", (2, 2, 3, 3)),
        Operation("view", (2, 18)),
        Operation("addmm", (2, 4), ("net.3.bias", "net.3.weight")),
    )
    assert fault_of(net.operations, torch.zeros(2, 3))[0] is Fault.RAISED


def test_operations_leave_the_model_in_eval_mode_and_what_is_sent_as_it_is(student: SnapshotStudent) -> None:
    net, X = student.layer("Dropout", 0.5), torch.ones(100, 1)
    assert not torch.equal(net(X), X)
    assert [each.name for each in net.operations(X)] in ([], ["alias"])
    assert torch.equal(net(X), X)
    assert torch.equal(X, torch.ones(100, 1))


def test_the_operations_of_a_function_have_no_parameters(student: SnapshotStudent) -> None:
    assert student.doubled.operations(torch.zeros(2, 3)) == (Operation("mul", (2, 3)),)


def test_the_shapes_of_parameters_come_without_their_values(student: SnapshotStudent) -> None:
    assert list(student.Net(4).parameter_shapes().items()) == [("unused", (1,)), ("first.weight", (4, 3))]
    lazy = student.Lazy()
    assert lazy.parameter_shapes() == {}
    lazy.operations(torch.zeros(1, 1, 5, 5))
    assert lazy.parameter_shapes() == {name: tuple(value.shape) for name, value in lazy.parameters().items()}
    assert fault_of(student.doubled.parameter_shapes)[0] is Fault.RAISED


def test_a_sketch_has_the_operations_and_shapes_of_the_model_itself(student: SnapshotStudent) -> None:
    X = torch.ones(2, 1, 5, 5)
    sketch, net = student.Lazy.sketch(), student.Lazy()
    assert sketch.kind == "module"
    assert sketch.operations(X) == net.operations(X)
    assert sketch.parameter_shapes() == net.parameter_shapes()
    assert student.makes.sketch(width=5).parameter_shapes()["first.weight"] == (5, 3)


@pytest.mark.slow
def test_a_sketch_of_129_million_parameters_fits_where_the_model_does_not(
    homework: Ran, student: SnapshotStudent
) -> None:
    X = torch.zeros(3, 1, 224, 224)
    sketch = student.VGG.sketch(VGG11)
    assert sketch.operations(X)[-1].shape == (3, 10)
    numbers = sum(torch.Size(shape).numel() for shape in sketch.parameter_shapes().values())
    assert numbers == 128_806_154
    with homework.student("f") as other:
        net = other.VGG(VGG11)
        assert fault_of(net.operations, X)[0] in (Fault.OUT_OF_MEMORY, Fault.TIMED_OUT)


def test_a_sketch_has_no_numbers_to_give(student: SnapshotStudent) -> None:
    sketch = student.Net.sketch()
    assert fault_of(sketch.parameters)[0] is Fault.RAISED
    assert fault_of(sketch, torch.ones(1, 3))[0] is Fault.RAISED
    assert fault_of(student.LooksAtNumbers.sketch().operations, torch.ones(1, 3))[0] is Fault.RAISED
    assert student.LooksAtNumbers().operations(torch.ones(1, 3))


def test_what_is_made_after_a_sketch_is_real(student: SnapshotStudent) -> None:
    student.Net.sketch()
    assert fault_of(student.Net.sketch, 1, 2, 3)[0] is Fault.RAISED
    assert student.Net()(torch.ones(1, 3)).shape == (1, 2)


def test_a_sketch_of_what_makes_no_model_is_what_it_gives(student: SnapshotStudent) -> None:
    assert student.makes_nothing.sketch() is None


def test_a_sketch_has_no_more_time_than_anything_else(homework: Ran) -> None:
    work = SnapshotWork(homework.execution, homework.names, dataclasses.replace(LIMITS, test_seconds=1.0), SEED)
    with work.open(homework.definition("f")) as student:
        assert fault_of(student.has_no_time.sketch)[0] is Fault.TIMED_OUT


def test_layers_are_torch_s_own(student: SnapshotStudent) -> None:
    layer = student.layer("Conv2d", 1, 2, kernel_size=(1, 2), bias=False)
    assert layer.kind == "module"
    assert {name: tuple(each.shape) for name, each in layer.parameters().items()} == {"weight": (2, 1, 1, 2)}
    assert fault_of(student.layer, "NoSuchLayer")[0] == Fault.RAISED
    assert fault_of(student.layer, "Conv2d", 1)[0] == Fault.RAISED


@pytest.mark.slow
def test_the_first_backward_pass_of_a_fork_does_not_end_the_process(zygote: Zygote) -> None:
    """Without the step that `zygote.py` adds to every fork, one fork in twenty ends with "Invalid thread pool!"."""
    names, images = ["0.weight", "0.bias", "3.weight", "3.bias"], torch.ones(4, 1, 28, 28)
    with ran(zygote, LAYERS_IN_A_ROW) as found:
        for _ in range(100):
            with found.student("f") as student:
                model = student.f()
                model.graph((1, 28, 28))
                assert model.probe(names, images, 3)["gradients"].any()
