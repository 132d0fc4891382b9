"""A process that answers for its models as a right submission's would: what is only said earns nothing.

The tables are right ones, recorded from the book's models. Only what depends on weights and inputs that are drawn for
this submission cannot be among them: it was recorded with others.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

import reference
from grader.assignment import Assignment
from grader.grading.grade import grade
from grader.models.export import export_graph
from grader.models.modules import find_learnable, read_signature, sketch, trace_operations
from grader.models.outputs import compute_outputs
from grader.models.probe import probe
from grader.results.report import Verdict
from grader.sandbox.host.sandbox import Zygote
from tests.support.notebooks import submission

ARCHITECTURE = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, ...]]] = {
    "LeNet": (reference.LeNet, (1, 28, 28), (1, 28, 28)),
    "VGG": (lambda: reference.VGG(ARCHITECTURE), (1, 224, 224), (1, 32, 32)),
    "ResNet18": (reference.ResNet18, (1, 96, 96), (1, 32, 32)),
}
JUDGED = (
    *("lenet.shapes", "lenet.params", "vgg_block", "vgg11.shapes"),
    *("residual", "resnet18.shapes", "init_cnn", "conv2d_layer"),
)

# Each class does nothing, or nearly so. The names are those of the items.
STUBS = """
import torch
from torch import nn
class LeNet(nn.Module):
    def __init__(self, *args, **named):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(10))
    def forward(self, X):
        return X.flatten(1)[:, :10] * self.weight
class VGG(LeNet): pass
class ResNet18(LeNet): pass
class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
    def forward(self, X):
        return X
class Conv2D(Residual):
    def __init__(self, kernel_size):
        nn.Module.__init__(self)
def vgg_block(num_convs, out_channels):
    return Residual(out_channels)
def init_cnn(module):
    pass
"""
FORGE = """
import sys
from collections.abc import Mapping
snapshot = sys.modules["grader.sandbox.guest.snapshot"]
TABLES = {tables!r}
def to_tensors(value):
    if isinstance(value, Mapping):
        if value.keys() == {{"shape", "numbers"}}:
            return torch.tensor(value["numbers"], dtype=torch.float64).reshape(value["shape"])
        return {{name: to_tensors(entry) for name, entry in value.items()}}
    return value
def forge(operation, table):
    right = getattr(snapshot._TestProcess, "_do_" + operation)
    def answer(self, request):
        about = type(self._objects.unpack(request["target"])).__name__
        if about not in table:
            return right(self, request)
        return self._objects.pack(to_tensors(table[about]))
    setattr(snapshot._TestProcess, "_do_" + operation, answer)
for name, table in TABLES.items():
    forge(name, table)
snapshot._TestProcess._do_load = lambda self, request: None
"""


def plain(value: Any) -> Any:
    """Return tensors as lists that a notebook can hold; large ones as their beginnings, which nothing reads."""
    if isinstance(value, torch.Tensor):
        return {"shape": tuple(value.shape), "numbers": value.double().flatten().tolist()}
    return {name: plain(entry) for name, entry in value.items()} if isinstance(value, dict) else value


@cache
def right_tables() -> dict[str, dict[str, Any]]:
    """Return what the process of a right submission answers, by the operation and by the class that is asked about."""
    tables: dict[str, dict[str, Any]] = {name: {} for name in ("graph", "operations", "parameter_shapes", "outputs")}
    for name, (make, image, small) in MODELS.items():
        model = sketch(make, (), {})
        tables["graph"][name] = export_graph(model, image)
        tables["operations"][name] = tuple(trace_operations(model, (torch.empty(3, *image, device="meta"),)))
        shapes = {key: tuple(value.shape) for key, value in find_learnable(model).items()}
        tables["parameter_shapes"][name] = shapes
        fitting = sketch(make, (), {})
        fitting(torch.empty(2, *small, device="meta"))
        used = [tuple(value.shape) for value in fitting.parameters()]
        outputs = compute_outputs(fitting, list(shapes), used, torch.randn(1, *small), 1)
        tables["outputs"][name] = plain(outputs)
    block = reference.Residual(3).eval()
    block(torch.randn(4, 3, 6, 6))
    tables["operations"]["Residual"] = tuple(trace_operations(block, (torch.randn(4, 3, 6, 6),)))
    tables["parameter_shapes"]["Residual"] = {key: tuple(value.shape) for key, value in block.named_parameters()}
    parameters = {key: plain(value.detach()) for key, value in block.named_parameters()}
    layer = nn.Linear(40, 30)
    nn.init.xavier_uniform_(layer.weight)
    drawn = {key: plain(value.detach()) for key, value in layer.named_parameters()}
    conv = {"weight": plain(torch.randn(1, 2)), "bias": plain(torch.randn(1))}
    tables["parameters"] = {"Residual": parameters, "Linear": drawn, "Conv2d": drawn, "Conv2D": conv}
    tables["call"] = {"Residual": plain(block(torch.randn(4, 3, 6, 6)).detach()), "Conv2D": plain(torch.randn(5, 7))}
    tables["gradients"] = {"Conv2D": conv}
    lenet = reference.LeNet()
    images = torch.randn(4, 1, 28, 28)
    lenet(images)
    tables["probe"] = {"LeNet": plain(probe(lenet, [key for key, _ in lenet.named_parameters()], images, 1))}
    tables["signature"] = {"LeNet": read_signature(reference.LeNet)}
    return tables


def forged(*operations: str, **others: Any) -> str:
    tables = {name: right_tables()[name] for name in operations}
    return STUBS + FORGE.format(tables=tables | others)


def earned(cell: str, hw2: Assignment, zygote: Zygote) -> dict[str, tuple[float, str]]:
    report = grade(submission(cell), hw2, zygote, only=JUDGED)
    assert [cell.status for cell in report.cells] == ["ok"]
    return {item.id: (item.points, item.message) for item in report.items if item.points}


@pytest.mark.slow
@pytest.mark.parametrize("operation", [*right_tables()])
def test_a_right_answer_to_one_question_earns_nothing(operation: str, hw2: Assignment, zygote: Zygote) -> None:
    assert earned(forged(operation), hw2, zygote) == {}


def test_right_answers_to_all_questions_earn_nothing(hw2: Assignment, zygote: Zygote) -> None:
    report = grade(submission(forged(*right_tables())), hw2, zygote, only=JUDGED)
    assert report.score == 0
    models = {item.id: item for item in report.items if item.id in ("lenet.shapes", "vgg11.shapes", "resnet18.shapes")}
    # The claims are right, so that nothing but the measurement holds them back.
    assert {item.verdict for item in models.values()} == {Verdict.PENDING}
    assert all("right by its own word" in item.message for item in models.values())


def test_right_answers_of_models_that_hide_their_graphs_earn_nothing(hw2: Assignment, zygote: Zygote) -> None:
    hidden = {key: {"reason": "it depends on numbers"} for key in MODELS}
    report = grade(submission(forged(*right_tables(), graph=hidden)), hw2, zygote, only=JUDGED)
    assert report.score == 0
    verdicts = {item.id: item.verdict for item in report.items}
    assert verdicts["lenet.shapes"] is verdicts["lenet.params"] is verdicts["vgg11.shapes"] is Verdict.PENDING
