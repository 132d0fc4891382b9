"""Edge detection and learning its kernel: d2l.ai sections 7.2.3 and 7.2.4, judged by recorded values.

A value that was typed in is no result (issue 16). Values that are right are computed once more, by the notebook's own
cells, from another image and from other targets that are drawn in secret: what was computed follows them.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

import reference
from grader.testing import (
    Absent,
    Descent,
    DescentKind,
    Draw,
    Mismatch,
    NeedsPerson,
    Recorded,
    Rerun,
    Student,
    StudentFault,
    Substitution,
    find_descent,
    item,
)


@item("edge_detection")
def test_the_kernel_finds_the_edges_of_the_image(student: Student, draw: Draw) -> None:
    X, K = reference.edge_image(), reference.edge_kernel()
    Y = reference.corr2d(X, K)
    after, shown = since_the_image(student.recorded(), X)
    if not after:
        raise absent_image(student.recorded(), X)
    right = [record for record in after if same(record.value, Y)]
    if not right:
        results = [r for r in shown if is_result(r) and not any(same(r.value, given) for given in (X, X.T, K))]
        if not results:
            raise Absent("no result for the 6x8 image was computed")
        first = next((record for record in results if record.name == "Y"), results[0])
        raise wrong(first, describe_edges(first.value, X, K), Y)
    turned = [record for record in shown if squeezed(record.value) == (8, 5)]
    if turned and not any(same(record.value, torch.zeros(8, 5)) for record in turned):
        raise wrong(turned[-1], "the transposed image has no vertical edges and should give zeros", torch.zeros(8, 5))
    require_edges_of_the_image(student, right, draw)


@item("learned_kernel")
def test_the_learned_kernel_is_close_to_the_one_that_made_the_data(student: Student, draw: Draw) -> None:
    K = reference.edge_kernel()
    changed = changes(student.recorded())
    layers = [(record, layer) for record in changed if (layer := kernel_and_bias(record))]
    right = [
        record for record, (weight, bias) in layers if close(weight, K, 0.15) and loss(weight, bias) < loss(0 * K, 0.0)
    ]
    tensors = [record for record in changed if is_near(record, K, 0.15)]
    right += [record for record in tensors if not is_near(record, K, 1e-6)]
    if right:
        require_learning(student, right, draw)
    elif not (tensors and is_learned(student, tensors, draw)):  # a tensor that is K may be the K of the notebook
        if not layers:
            raise Absent("no trained layer with a 1x2 kernel is in this submission")
        record, (weight, _) = layers[-1]
        found = ", ".join(f"{entry:.3g}" for entry in weight.flatten().tolist())
        if not is_trained(layers):
            message = f"the layer with a 1x2 kernel is never trained: its kernel is still ({found}), as it was made"
            message = f"{message} (is there a backward(), and a step after it?)"
            raise Absent(message, file=record.file, cell=record.cell, begun_as=record.name)
        message = f"the kernel is ({found}), not within 0.15 of (1, -1)"
        if reason := describe_descent(student, record, draw):
            message = f"{message}: {reason}"
        if close(weight, -K, 0.15):
            message = f"the kernel is ({found}): it has the other sign, as the data that it learned from"
        if close(weight, K, 0.15):
            message = "the layer's loss is no lower than that of a kernel of zeros"
        raise wrong(record, message, K)


def require_edges_of_the_image(student: Student, right: Sequence[Recorded], draw: Draw) -> None:
    """Require that one of these right results comes from the image, by a function of the student's or the book's."""
    X, K = reference.edge_image(), reference.edge_kernel()
    image = draw.whole(6, 8, low=0, high=1)
    image[::5] = torch.tensor([0.0, 1.0]).repeat(4)  # no column of the edges, and neither first nor last row, is 0
    Y, edges = reference.corr2d(X, K), reference.corr2d(image, K)
    message = ""
    for records in by_notebook(right):
        seen = rerun(student, records, [Substitution(X, image)], edges.numel())
        if any(same(record.value, edges) for record in seen.values):
            if any(same(value, edges) for value in seen.returned):
                return
            message = "the edges are right, but no function of yours found them: apply your corr2d to the image"
            raise wrong(records[0], message, Y)
        if seen.substituted and any(same(record.value, Y) for record in seen.values):
            message = "these edges are not from the image: with another image in its place they stay as they are"
        elif seen.substituted and seen.values:
            message = "these edges are right for this image only: with another image in its place they are wrong"
    if message:
        raise wrong(right[0], message, Y)
    raise NeedsPerson("the edges are right, but how they were found could not be seen: a person decides")


def require_learning(student: Student, right: Sequence[Recorded], draw: Draw) -> None:
    """Require that one of these right kernels was learned."""
    learned = is_learned(student, right, draw)
    if learned is None:
        raise NeedsPerson("the kernel is right, but how it was learned could not be seen: a person decides")
    if not learned:
        found = ", ".join(f"{entry:.3g}" for entry in entries_of(right[0]))
        message = f"the kernel ({found}) was not learned from the edges: with other edges in their place it stays"
        raise Absent(message, file=right[0].file, cell=right[0].cell, bound=right[0].name)


def is_learned(student: Student, right: Sequence[Recorded], draw: Draw) -> bool | None:
    """Tell whether one of these right kernels follows from the data. Return None if that could not be seen."""
    X, K = reference.edge_image(), reference.edge_kernel()
    Y = reference.corr2d(X, K)
    whole = any(same(r.value, Y) and not is_floating(r.value) for r in student.recorded())
    # As far from where a kernel usually starts as K is, so that as many steps lead there.
    other = -K if whole else -K * (1 - draw.whole(1, 2, low=0, high=30) / 100)
    for substitution in (
        Substitution(Y, reference.corr2d(X, other)),
        # Targets that are not the edges of the image are made by a function that is given the edge kernel.
        Substitution(K, other, in_calls=True),
    ):
        kernels, _ = rerun_kernels(student, right, substitution)
        if any(close(kernel, other, 0.5 * float((other - K).abs().max())) for kernel in kernels):
            return True
        if not any(close(kernel, K, 0.15) for kernel in kernels):
            return None
    # From a blank image nothing can be learned, however its targets are made.
    kernels, found = rerun_kernels(student, right, Substitution(X, torch.ones(6, 8)))
    return found and not any(close(kernel, K, 0.15) for kernel in kernels)


def rerun_kernels(
    student: Student, records: Sequence[Recorded], substitution: Substitution
) -> tuple[list[Tensor], bool]:
    """Return the kernels that names have after a run with other data, and whether there was data to replace."""
    kernels: list[Tensor] = []
    found = False
    for of_notebook in by_notebook(records):
        seen = rerun(student, of_notebook, [substitution])
        # The last kernel that a name had: a cell may bind it to other things as well.
        last = {(r.cell, r.name): kernel for r in seen.values if (kernel := kernel_of(r)) is not None}
        kernels += last.values()
        found = found or seen.substituted > 0
    return kernels, found


def rerun(
    student: Student, records: Sequence[Recorded], substitutions: Sequence[Substitution], entries: int = 0
) -> Rerun:
    """Run a notebook again with other data. Nothing is seen of one that cannot be run."""
    try:
        return student.rerun(records, substitutions, entries)
    except StudentFault:
        return Rerun()


def absent_image(records: Sequence[Recorded], X: Tensor) -> Absent:
    """Return what to say of a submission without the image: an image that is nearly the right one, if it has one."""
    message = "the 6x8 image with four black columns is not in this submission"
    for record in changes(records):
        image = record.value
        if isinstance(image, Tensor) and (difference := compare_images(image, X)):
            message = f"the image is not right: {difference}"
            return Absent(message, file=record.file, cell=record.cell, bound=record.name)
    return Absent(message)


def compare_images(image: Tensor, X: Tensor) -> str:
    """Return how an image of black and white differs from the right one, "" if it is no such image."""
    if image.ndim != 2 or image.is_complex() or not bool(((image == 0) | (image == 1)).all()):
        return ""
    shape = tuple(image.shape)
    if shape == (8, 6) and image.numel() == X.numel():
        return "it is 8x6, and has to have 6 rows and 8 columns"
    if shape != (6, 8):
        return ""
    if bool((image == 1).all()):
        return "it is all white: its columns 2 to 5 have to be 0"
    if same(image, 1 - X):
        return "it is black where it should be white"
    if bool((image == image[0]).all()):
        black = (image[0] == 0).nonzero().flatten().tolist()
        return f"its black columns are {', '.join(map(str, black))}, and have to be 2 to 5, counted from 0 (2:6)"
    if bool((image == image[:, :1]).all()):
        return "rows are black instead of columns: the first index is the row, the second the column"
    return ""


def describe_edges(found: object, X: Tensor, K: Tensor) -> str:
    """Return what is wrong with the result for the image."""
    Y = reference.corr2d(X, K)
    if same(found, -Y):
        return "the edges have the other sign: 1 and -1 are exchanged, as with the kernel [[-1, 1]]"
    if same(found, Y.abs()):
        return "the edges have lost their sign: from black to white they are -1"
    if same(found, reference.corr2d(X, K.abs())):
        return "the kernel adds neighbours: their difference is 0 where the colour stays the same"
    upright = reference.corr2d(X, K.T)
    if same(found, upright) or same(found, -upright):
        return "the kernel is vertical, so it finds no vertical edges: it has one row and two columns, [[1, -1]]"
    shape = squeezed(found)
    if shape != tuple(Y.shape):
        return f"the edges of the image are not right: their shape is {shape}, expected {tuple(Y.shape)}"
    if isinstance(found, Tensor) and not bool(found.any()):
        return "the edges of the image are not right: all of them are 0"
    return "the edges of the image are not right"


def describe_descent(student: Student, record: Recorded, draw: Draw) -> str:
    """Return how the steps that led to a wrong kernel went, "" if that cannot be told.

    With other edges in place of the image's, the steps must go in the same way.
    """
    K = reference.edge_kernel()
    descent = find_steps(record, K)
    values = parameters(record).values()
    if descent is None:
        if not all(bool(value.isfinite().all()) for value in values) or max(abs(x) for x in entries_of(record)) > 1e4:
            return "the loss grows without bound: subtract the gradient, with a learning rate as small as 0.03"
        return ""
    other = K * (1 - draw.whole(1, 2, low=5, high=30) / 100)
    substitution = Substitution(
        reference.corr2d(reference.edge_image(), K), reference.corr2d(reference.edge_image(), other)
    )
    seen = rerun(student, [record], [substitution])
    again = [steps for value in seen.values[-1:] if (steps := find_steps(value, other)) is not None]
    if seen.substituted and seen.values and [steps.kind for steps in again] != [descent.kind]:
        return ""
    return name_descent(descent, has_bias=len(list(find_pairs(record))) > 1)


def name_descent(descent: Descent, has_bias: bool) -> str:
    rate = f"{descent.rate:.2g}"
    match descent.kind:
        case DescentKind.STILL:
            return "the gradient is computed and no step follows: subtract learning rate times gradient from the weight"
        case DescentKind.UPHILL:
            return f"each step adds the gradient ({rate} times), which goes uphill: the loss falls if it is subtracted"
        case DescentKind.OVERSHOOTS:
            bias = " for a layer with a bias (the book's has none)" if has_bias else " (the book's is 0.03)"
            return f"the learning rate, {rate}, is too large{bias}: each step makes the loss larger"
        case DescentKind.SUMS:
            return "the gradients of all steps add up: set them to zero before each backward()"
    if descent.factor < 0.1:
        return f"the loss is the mean of 42 squared errors, so with a learning rate of {rate} the steps are too small"
    if descent.rate < 0.01:
        return f"the learning rate, {rate}, is too small for so few steps (the book's is 0.03, with ten steps)"
    return f"there are too few steps (the learning rate, {rate}, is not too small): the book makes ten"


def find_steps(record: Recorded, K: Tensor) -> Descent | None:
    """Return how the steps to a recorded layer went, if it learned from the edges that a kernel makes."""
    pairs = list(find_pairs(record))
    if not pairs or kernel_and_bias(record) is None:
        return None
    X = reference.edge_image()
    features = [X[:, :-1].flatten(), X[:, 1:].flatten(), torch.ones(42)][: sum(value.numel() for value, _ in pairs)]
    error = torch.cat([value.flatten() for value, _ in pairs]).double()
    error[:2] -= K.flatten()
    return find_descent(torch.stack(features, 1), error, torch.cat([gradient.flatten() for _, gradient in pairs]))


def find_pairs(record: Recorded) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield a recorded layer's parameters with their gradients, the kernel first; nothing if one has none."""
    values = parameters(record)
    names = sorted((name for name in values if not name.endswith(".grad")), key=lambda name: -values[name].numel())
    if all(f"{name}.grad" in values for name in names):
        yield from ((values[name], values[f"{name}.grad"]) for name in names)


def by_notebook(records: Sequence[Recorded]) -> list[list[Recorded]]:
    files = dict.fromkeys(record.file for record in records)
    return [[record for record in records if record.file == file] for file in files]


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
    shape = squeezed(record.value)
    return record.name == "Y" or (record.name == "_" and len(shape) == 2 and min(shape) > 2)  # not a kernel


def is_near(record: Recorded, K: Tensor, tolerance: float) -> bool:
    """Tell whether a recorded tensor is near K, as a kernel is that was trained without a layer."""
    kernel = kernel_of(record) if isinstance(record.value, Tensor) else None
    return kernel is not None and close(kernel, K, tolerance)


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


def kernel_of(record: Recorded) -> Tensor | None:
    """Return the kernel of a layer, or a tensor that is one, as (1, 2); None for other values."""
    layer = kernel_and_bias(record)
    if layer is not None:
        return layer[0]
    value = record.value
    if isinstance(value, Tensor) and is_floating(value) and value.numel() == 2:
        return value.reshape(1, 2).double()
    return None


def entries_of(record: Recorded) -> list[float]:
    """Return the entries of a recorded kernel."""
    kernel = kernel_of(record)
    return [] if kernel is None else kernel.flatten().tolist()


def is_floating(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def loss(K: Tensor, bias: float) -> float:
    """Return the section's loss of a kernel of shape (1, 2) and a bias."""
    X = reference.edge_image()
    return float(((reference.corr2d(X, K) + bias - reference.corr2d(X, reference.edge_kernel())) ** 2).sum())


def wrong(record: Recorded, message: str, expected: Tensor) -> Mismatch:
    file, cell, name = record.file, record.cell, record.name
    return Mismatch(message, file=file, cell=cell, bound=name, expected=expected, found=record.value)


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
