"""Edge detection and learning its kernel: d2l.ai sections 7.2.3 and 7.2.4, judged by recorded values."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

import reference
from grader.testing import Absent, Mismatch, Recorded, Student, item


@item("edge_detection")
def test_the_kernel_finds_the_edges_of_the_image(student: Student) -> None:
    X, K = reference.edge_image(), reference.edge_kernel()
    Y = reference.corr2d(X, K)
    after, shown = since_the_image(student.recorded(), X)
    if not after:
        raise Absent("the 6x8 image with four black columns is not in this submission")
    if not any(same(record.value, Y) for record in after):
        results = [r for r in shown if is_result(r) and not any(same(r.value, given) for given in (X, X.T, K))]
        if not results:
            raise Absent("no result for the 6x8 image was computed")
        first = next((record for record in results if record.name == "Y"), results[0])
        message = "the edges of the image are not right"
        if same(first.value, -Y):
            message = "the edges have the other sign: 1 and -1 are exchanged, as with the kernel [[-1, 1]]"
        raise wrong(first, message, Y)
    turned = [record for record in shown if squeezed(record.value) == (8, 5)]
    if turned and not any(same(record.value, torch.zeros(8, 5)) for record in turned):
        raise wrong(turned[-1], "the transposed image has no vertical edges and should give zeros", torch.zeros(8, 5))


@item("learned_kernel")
def test_the_learned_kernel_is_close_to_the_one_that_made_the_data(student: Student) -> None:
    K = reference.edge_kernel()
    layers = [(record, layer) for record in changes(student.recorded()) if (layer := kernel_and_bias(record))]
    if not layers:
        if any(is_learned(record, K) for record in changes(student.recorded())):
            return
        raise Absent("no trained layer with a 1x2 kernel is in this submission")
    if not any(close(weight, K, 0.15) and loss(weight, bias) < loss(0 * K, 0.0) for _, (weight, bias) in layers):
        record, (weight, _) = layers[-1]
        found = ", ".join(f"{entry:.3g}" for entry in weight.flatten().tolist())
        if not is_trained(layers):
            message = f"the layer with a 1x2 kernel is never trained: its kernel is still ({found}), as it was made"
            raise Absent(message, file=record.file, cell=record.cell, begun_as=record.name)
        message = f"the kernel is ({found}), not within 0.15 of (1, -1)"
        if close(weight, -K, 0.15):
            message = f"the kernel is ({found}): it has the other sign, as the data that it learned from"
        if close(weight, K, 0.15):
            message = "the layer's loss is no lower than that of a kernel of zeros"
        raise wrong(record, message, K)


def changes(records: Sequence[Recorded]) -> list[Recorded]:
    """Return the displayed values, and the values of each name at which it changed."""
    changed = []
    last: dict[tuple[str, str], object] = {}
    for record in records:
        name = (record.file, record.name)
        if record.name == "_" or name not in last or not same(record.value, last[name]):
            changed.append(record)
        last[name] = record.value
    return changed


def since_the_image(records: Sequence[Recorded], image: Tensor) -> tuple[list[Recorded], list[Recorded]]:
    """Return the changes from the image's first cell on, and those of them while its name still holds the image."""
    after: list[Recorded] = []
    shown: list[Recorded] = []
    changed = changes(records)
    for file in dict.fromkeys(record.file for record in changed):
        here = [record for record in changed if record.file == file]
        images = [record for record in here if same(record.value, image)]
        if not images:
            continue
        first = images[0].cell
        names = {record.name for record in images if record.cell == first and record.name != "_"}
        rebound = [r.cell for r in here if r.cell > first and r.name in names and not same(r.value, image)]
        after += [record for record in here if first <= record.cell]
        shown += [record for record in here if first <= record.cell and (not rebound or record.cell < rebound[0])]
    return after, shown


def is_trained(layers: Sequence[tuple[Recorded, tuple[Tensor, float]]]) -> bool:
    """Tell whether a gradient reached some layer, or its kernel was another one at another time."""
    kernels: dict[tuple[str, str], Tensor] = {}
    return any(
        any(name.endswith(".grad") for name in parameters(record))
        or not torch.equal(kernels.setdefault((record.file, record.name), weight), weight)
        for record, (weight, _) in layers
    )


def is_result(record: Recorded) -> bool:
    return record.name == "Y" or (record.name == "_" and len(squeezed(record.value)) == 2)


def is_learned(record: Recorded, K: Tensor) -> bool:
    """Tell whether a tensor is near K but not K, as a kernel is that was trained without a layer."""
    value = record.value
    if (
        not isinstance(value, Tensor)
        or not value.is_floating_point()
        or tuple(value.shape) not in ((1, 1, 1, 2), (1, 2))
    ):
        return False
    return close(value.reshape(1, 2), K, 0.15) and not close(value.reshape(1, 2), K, 1e-6)


def parameters(record: Recorded) -> Mapping[str, Tensor]:
    """Return the parameters of a recorded layer and their gradients; nothing for other values."""
    return record.value if isinstance(record.value, Mapping) else {}


def kernel_and_bias(record: Recorded) -> tuple[Tensor, float] | None:
    """Return the kernel, as (1, 2), and the bias of a recorded layer with a kernel of two entries in a row."""
    values = [
        value for name, value in parameters(record).items() if not name.endswith(".grad") and not value.is_complex()
    ]
    kernels = [value for value in values if tuple(value.shape) in ((1, 1, 1, 2), (1, 2))]
    biases = [value for value in values if value.numel() == 1]
    if len(kernels) != 1 or len(biases) > 1 or len(values) != 1 + len(biases):
        return None
    return kernels[0].detach().reshape(1, 2).double(), float(biases[0]) if biases else 0.0


def loss(K: Tensor, bias: float) -> float:
    """Return the section's loss of a kernel of shape (1, 2) and a bias."""
    X = reference.edge_image()
    return float(((reference.corr2d(X, K) + bias - reference.corr2d(X, reference.edge_kernel())) ** 2).sum())


def wrong(record: Recorded, message: str, expected: Tensor) -> Mismatch:
    where = f"in cell {record.cell}: {message}"
    return Mismatch(where, file=record.file, cell=record.cell, expected=expected, found=record.value)


def squeezed(value: object) -> tuple[int, ...]:
    """Return a tensor's shape without dimensions of size 1 (unless it is 2-D). Return () for other values."""
    if not isinstance(value, Tensor):
        return ()
    return tuple(value.shape) if value.ndim == 2 else tuple(n for n in value.shape if n != 1)


def same(value: object, other: object) -> bool:
    """Tell whether two recorded values are equal, whatever the dtype and the dimensions of size 1."""
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(same(value[name], other[name]) for name in value)
    if not isinstance(value, Tensor) or not isinstance(other, Tensor):
        return not isinstance(value, Tensor) and not isinstance(other, Tensor) and value == other
    if squeezed(value) != squeezed(other) or value.is_complex() or other.is_complex():
        return False
    return close(value.reshape(other.shape), other, 1e-5)


def close(value: Tensor, expected: Tensor, tolerance: float) -> bool:
    return bool(((value.double() - expected.double()).abs() <= tolerance).all())
