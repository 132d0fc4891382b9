"""Build a student's model, read its layers, and measure whether it has them.

The layers come from the graph that the student's process exports. The graph is a claim, and so is everything else that
a process says of its objects. A test's assertions decide only whether the claim is right. If it is, the model must
compute what the graph computes, with weights and images that the process cannot foresee.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from grader.models.modules import sketch, trace_operations
from grader.models.outputs import GAIN, are_close, compute_outputs
from grader.student import Fault, Operation, Remote, StudentFault
from grader.testing.arguments import Argument, fit_arguments
from grader.testing.book import Book, explain, find_model_differences, note_fault, require_result
from grader.testing.cases import Draw
from grader.testing.compare import assert_module
from grader.testing.failures import REMEDY, Mismatch, Unmeasured
from grader.testing.models import Layer, Model, find_layers
from grader.training.graph import Graph, TooLarge, Unsupported
from grader.training.graph_reader import ExportedModel, read_graph, resize_exported
from grader.training.network import Network
from grader.training.probing import compute_graph

__all__ = ["build", "run"]

Make = Callable[[], nn.Module]

# Errors about shapes and names. They occur with numbers too, and drawing those may take seconds and gigabytes.
_NOT_CURED_BY_NUMBERS = re.compile(
    r"NameError|AttributeError|positional argument|keyword argument|shapes cannot be multiplied|Given groups="
    r"|size mismatch|must match the size|is invalid for input of size|[Oo]utput size is too small"
)
# A model is measured on the smallest of these images that it accepts: VGG-11 on 32x32 costs 2 % of that on 224x224.
_SIDES = (32, 64, 96, 128)


def build(thing: Remote, arguments: Sequence[Argument], called: str) -> Remote:
    """Return a model: an instance as it is, or the result of calling a class or factory.

    Args:
        thing: the student's model, class or factory.
        arguments: values for the parameters of its signature, in the textbook's order.
        called: the call as a message names it, such as "LeNet()".

    Raises:
        Mismatch: the result is no nn.Module.
    """
    if getattr(thing, "kind", None) in ("class", "function"):
        positional, named = fit_arguments(thing, arguments)
        thing = thing(*positional, **named)
    return assert_module(thing, called)


@contextmanager
def run(
    thing: Remote,
    arguments: Sequence[Argument],
    called: str,
    image: tuple[int, ...],
    draw: Draw,
    book: Book | None = None,
) -> Iterator[Model]:
    """Open a model for the assertions in the body of `with`. If they hold, measure that the model is what it shows.

    Numbers are drawn and computed only for that, and only for few and small images.

    Args:
        thing, arguments, called: as for `build`.
        image: the shape of one image, (c, h, w).
        draw: the test's fixture; it decides the weights and images of the measurement.
        book: the textbook's models. A student's model that no graph describes must compute the same as one, and if the
            body fails, the message names how the student's model differs.

    Raises:
        Mismatch: the result is no nn.Module.
        Unmeasured: the assertions hold, but by nothing else than the process's own word.
    """
    model = _read(thing, arguments, called, image, book)
    try:
        yield model
    except Mismatch as error:
        explain(error, model.remote, model.differences, model.layers if model.exported else ())
        raise
    secret = draw.size(0, 2**31 - 1)
    reason = model.reason
    if model.exported is not None:
        try:
            if _computes_its_graph(model.remote, model.exported, secret):
                return
            reason = "with weights that the grader chose, it does not compute what its layers would"
        except TooLarge as error:
            reason = str(error)
    makers = (lambda: model.remote, lambda: build(thing, arguments, called))  # a sketch cannot compute everything
    if not (book and any(_computes_a_book(make, image, book.makes, secret) for make in makers)):
        raise Unmeasured(f"right by its own word, which a person has to check: {reason}; {REMEDY}")


def _read(
    thing: Remote, arguments: Sequence[Argument], called: str, image: tuple[int, ...], book: Book | None
) -> Model:
    """Build a model, without numbers if the student's code allows it, and find its layers."""
    if getattr(thing, "kind", None) in ("class", "function"):
        try:
            sketched = _sketch_model(thing, arguments)
            if getattr(sketched, "kind", None) == "module":
                return _read_layers(sketched, image, book)
        except StudentFault as fault:
            # A tensor without numbers is no plain data; what gives one is built again to say what it gives.
            if _is_final(fault):
                raise
    return _read_layers(build(thing, arguments, called), image, book)


def _sketch_model(thing: Remote, arguments: Sequence[Argument]) -> Any:
    positional, named = fit_arguments(thing, arguments)
    try:
        return thing.sketch(*positional, **named)
    except StudentFault as fault:
        if _is_final(fault):
            note_fault(thing, fault)
        raise


def _is_final(fault: StudentFault) -> bool:
    """Return whether a fault would occur with numbers as well."""
    return fault.fault not in (Fault.RAISED, Fault.MALFORMED) or bool(_NOT_CURED_BY_NUMBERS.search(fault.message))


def _read_layers(model: Remote, image: tuple[int, ...], book: Book | None) -> Model:
    """Find the layers of a model in its graph; if it has none, take its process's word for them."""
    answer: Any = None
    try:
        answer = model.graph(image)
        exported = read_graph(answer)
    except (StudentFault, Unsupported) as error:
        if isinstance(error, StudentFault):
            _require_raised(error)
        require_result(answer)
        try:
            return _take_word(model, image, str(error))
        except StudentFault as fault:
            _require_raised(fault)
            explain(fault, model, find_model_differences(answer, book, image))
            raise
    operations, layers = _find_layers_of(exported.graph)
    parameters = _list_parameters(answer, exported)
    differences = find_model_differences(answer, book, image, exported)
    return Model(model, operations, layers, parameters, exported, differences=differences)


def _take_word(model: Remote, image: tuple[int, ...], reason: str) -> Model:
    """Run a model on three images, or on one if it accepts only one at a time."""
    X = torch.linspace(-1, 1, 3 * prod(image)).reshape(3, *image)
    try:
        operations = model.operations(X)
    except StudentFault as fault:
        _require_raised(fault)
        operations = model.operations(X[:1])
    parameters = model.parameter_shapes()
    return Model(model, operations, find_layers(operations, parameters), parameters, None, reason)


@lru_cache(maxsize=64)  # the models of a class have the same graph
def _find_layers_of(graph: Graph) -> tuple[tuple[Operation, ...], tuple[Layer, ...]]:
    network = Network(graph, "meta")
    images = torch.empty(3, *graph.image, device="meta")
    operations = tuple(Operation(*operation) for operation in trace_operations(network, (images,)))
    return operations, find_layers(operations, dict(zip(network.names, graph.parameters, strict=True)))


def _list_parameters(answer: Any, exported: ExportedModel) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's learnable parameters. Those that it does not use are its process's word."""
    used = dict(zip(exported.names, exported.graph.parameters, strict=True))
    claimed = {str(name)[:200]: tuple(shape) for name, shape, learnable in answer["parameters"] if learnable is True}
    return {name: used.get(name, shape) for name, shape in claimed.items()}


def _computes_its_graph(remote: Remote, exported: ExportedModel, secret: int) -> bool:
    """Tell whether a model computes what its graph computes, in eval mode or at least in train mode."""
    for model in _list_sizes(exported):
        for training in (False, True):
            images = _draw_images(1 + training, model.graph.image, secret)
            try:
                found = remote.outputs(
                    model.names, model.graph.parameters, images, secret, gain=model.graph.gain, training=training
                )
            except StudentFault as fault:
                _require_raised(fault)
                break  # it may need images of another size
            expected = compute_graph(model.graph, images, secret, training=training)
            if expected is None:
                return False
            if are_close(found, expected):
                return True
    return False


def _list_sizes(exported: ExportedModel) -> Iterator[ExportedModel]:
    """Yield the model for the smallest images that its layers allow, then as it is."""
    for side in _list_smaller_sides(exported.graph.image):
        with suppress(Unsupported):
            yield resize_exported(exported, side)
            break
    yield exported


def _list_smaller_sides(image: tuple[int, ...]) -> list[int]:
    is_square = len(image) == 3 and image[1] == image[2]
    return [side for side in _SIDES if side < image[1]] if is_square else []


def _computes_a_book(make: Callable[[], Remote], image: tuple[int, ...], books: Sequence[Make], secret: int) -> bool:
    """Tell whether a model that no graph describes computes what a textbook's model computes.

    Its weights are matched with the book's in the order in which both say that they use them, and its biases, too.
    """
    try:
        remote = make()
        claimed = _take_word(remote, image, "")
    except StudentFault as fault:
        _require_raised(fault)
        return False
    names, shapes = _order_weights((operation.parameters for operation in claimed.operations), claimed.parameters)
    alike = [book for book in books if _sketch_book(book, image)[2] == shapes]
    smaller = [(image[0], side, side) for side in _list_smaller_sides(image)]
    for size in (*smaller, image) if alike else ():
        images = _draw_images(1, size, secret)
        try:
            sketches = [_sketch_book(book, size) for book in alike]
            found = remote.outputs(names, sketches[0][2], images, secret, gain=GAIN)
        except RuntimeError:
            continue  # the images are too small for the book's layers
        except StudentFault as fault:
            _require_raised(fault)
            continue
        return any(are_close(found, compute_outputs(*sketch, images, secret)) for sketch in sketches)
    return False


@lru_cache(maxsize=64)
def _sketch_book(book: Make, image: tuple[int, ...]) -> tuple[nn.Module, tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return a textbook's model without numbers, and the names and shapes of its weights in the order of use."""
    model = sketch(book, (), {})
    operations = trace_operations(model, (torch.empty(2, *image, device="meta"),))
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    return model, *_order_weights((used for _, _, used in operations), shapes)


def _order_weights(
    uses: Iterable[Sequence[str]], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Return the names and shapes of weights in the order of use, then those of biases and other factors."""
    used = list(dict.fromkeys(name for names in uses for name in names if name in shapes))
    used.sort(key=lambda name: len(shapes[name]) < 2)
    return tuple(used), tuple(shapes[name] for name in used)


def _require_raised(fault: StudentFault) -> None:
    """Raise a fault after which the student's process does not answer any more, or not properly."""
    if fault.fault is not Fault.RAISED:
        raise fault


def _draw_images(count: int, image: tuple[int, ...], secret: int) -> Tensor:
    return torch.randn(count, *image, generator=torch.Generator().manual_seed(secret))
