"""LeNet: d2l.ai section 7.6."""

from collections.abc import Sequence
from math import prod

import torch

from grader.testing import Fault, Mismatch, Operation, Remote, Student, StudentFault, assert_module, item

# What one image becomes. The flat 400 between (16, 5, 5) and 120 is the same numbers in a row, so it needs no stage.
STAGES = ((6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120,), (84,), (10,))
POOLED = ((6, 14, 14), (16, 5, 5))
PARAMETERS = 61_706

REQUIRED = {
    "num_classes": 10,
    "n_classes": 10,
    "classes": 10,
    "lr": 0.1,
    "learning_rate": 0.1,
    "in_channels": 1,
    "channels": 1,
}
# Operations that lay the same numbers out anew.
VIEWS = {"_reshape_alias", "_unsafe_view", "expand", "permute", "squeeze", "t", "transpose", "unsqueeze", "view"}
COPIES = {"_to_copy", "alias", "clone", "contiguous", "copy", "detach"}
WEIGHTED = {"addmm", "bmm", "convolution", "mm"}
ACTIVATIONS = {"sigmoid", "relu", "clamp", "clamp_min", "maximum", "threshold"}
AVERAGES_AND_MAXIMA = ("pool", "mean", "amax", "max")


@item("lenet.shapes")
def test_lenet_has_the_shapes_of_the_book(student: Student) -> None:
    stages = stages_of(forward(student, lenet(student)))
    for number, expected in enumerate(STAGES):
        if number == len(stages) or stages[number][0] != expected:
            found = written(stages[number][0]) if number < len(stages) else "nothing more"
            before = f"after {written(STAGES[number - 1])}" if number else "first"
            shapes = [list(shape) for shape, _ in stages]
            message = f"expected {written(expected)} {before}, found {found}"
            raise Mismatch(message, expected=[list(shape) for shape in STAGES], found=shapes)
    if len(stages) > len(STAGES):
        raise Mismatch(f"expected 10 outputs at the end, found {written(stages[len(STAGES)][0])} after them")
    assert_pooled_and_activated(stages)


@item("lenet.params")
def test_lenet_has_the_parameters_of_the_book(student: Student) -> None:
    model = lenet(student)
    forward(student, model)  # because layers may be lazy
    found = sum(value.numel() for value in model.parameters().values())
    if found != PARAMETERS:
        raise Mismatch(f"expected {PARAMETERS:,} parameters, found {found:,}", expected=PARAMETERS, found=found)


def lenet(student: Student) -> Remote:
    """Return the student's model: an instance as it is, a class or a factory called with what it cannot do without."""
    LeNet = student.LeNet
    if getattr(LeNet, "kind", None) in ("class", "function"):
        needed = {p.name: REQUIRED[p.name] for p in LeNet.signature() if p.required and p.name in REQUIRED}
        LeNet = LeNet(**needed)
    return assert_module(LeNet, "LeNet()")


def forward(student: Student, model: Remote) -> Sequence[Operation]:
    """Return the operations on three images, or on one where the model takes only one at a time."""
    X = images(student, model)
    try:
        return model.operations(X)
    except StudentFault as fault:
        if fault.fault is not Fault.RAISED:
            raise
        return model.operations(X[:1])


def images(student: Student, model: Remote) -> torch.Tensor:
    """Return three images, (3, 1, 28, 28), of the dtype the student's layers have: their default may be float64."""
    X = torch.linspace(-1, 1, 3 * 28 * 28).reshape(3, 1, 28, 28)
    for module in (model, student.layer("Linear", 1, 1)):
        for value in module.parameters().values():
            return X.to(value.dtype)
    return X


def stages_of(operations: Sequence[Operation]) -> list[tuple[tuple[int, ...], list[str]]]:
    """Return the shapes one image goes through, each with its operations, padding of the input left out."""
    stages: list[tuple[tuple[int, ...], list[str]]] = []
    skipped: set[tuple[int, ...]] = {(1, 28, 28)}
    for operation in operations:
        name, shape = operation.name.rstrip("_"), tuple(operation.shape[1:])
        if shape[-2:] == (1, 1):
            shape = shape[:-2]
        if "pad" in name:
            skipped.add(shape)
        elif stages and stages[-1][0] == shape and not (name in WEIGHTED and WEIGHTED.intersection(stages[-1][1])):
            stages[-1][1].append(name)
        elif name not in VIEWS | COPIES and not (shape in skipped and not stages):
            stages.append((shape, [name]))
    return stages


def assert_pooled_and_activated(stages: list[tuple[tuple[int, ...], list[str]]]) -> None:
    """Require average or max pooling where the image is halved, and sigmoid or ReLU after each layer with weights."""
    names = dict(stages)
    for shape in POOLED:
        if not any(part in names[shape][0] for part in AVERAGES_AND_MAXIMA):
            raise Mismatch(f"{written(shape)} should come from average or max pooling, found {names[shape][0]}")
    for group in (STAGES[0:2], STAGES[2:4], STAGES[4:5], STAGES[5:6]):
        used = {name for shape in group for name in names[shape]}
        sigmoid_by_hand = "exp" in used and used & {"div", "reciprocal"}
        if not (used & ACTIVATIONS or sigmoid_by_hand):
            raise Mismatch(f"expected a sigmoid or ReLU after {written(group[0])}, found none")


def written(shape: tuple[int, ...]) -> str:
    return str(shape) if len(shape) > 1 else str(prod(shape))
