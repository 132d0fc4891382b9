"""Items that are earned by training: read a student's model as a graph, which the grader then trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn

from grader.models.fit import CurvePoint
from grader.models.probe import DEPARTURES, find_departure
from grader.models.recipe import Mode, Recipe
from grader.sandbox.protocol.limits import Limits
from grader.student import Fault, OwnCurve, Remote, StudentFault
from grader.testing.arguments import Argument, fit_arguments
from grader.testing.compare import assert_module
from grader.testing.failures import Mismatch, NeedsPerson, Pending, ToTrain, TrainedInPlace
from grader.testing.running import build
from grader.training.cache import TrainingResult
from grader.training.cost import count_teraflops, estimate_memory
from grader.training.datasets import DataSet
from grader.training.departures import describe_departure
from grader.training.graph import TooLarge, Unsupported
from grader.training.graph_reader import ExportedModel, read_graph, resize
from grader.training.network import Network
from grader.training.perturbation import draw_judged_images
from grader.training.probing import count_influential, probe_graph

__all__ = ["Training", "learn"]

_PROBED_IMAGES = 4
_ALLOWANCE = 0.05  # of accuracy, for images that are moved and noisy
_DROPS_IN_EVAL = "its dropout drops in eval mode, too: F.dropout needs training=self.training"


@dataclass(frozen=True)
class Training:
    """How the model of a training item is trained; the `training` fixture of its test.

    Attributes:
        teraflops: the most that one training may cost.
        secret: the seed from which probes draw weights and images. The student's process learns it when it is probed.
        judged_secret: the seed that decides which images are judged, and in which order. No student's process is told.
        memory_bytes: the most memory that one training may take.
    """

    mode: Mode
    recipe: Recipe | None
    data_set: DataSet | None
    teraflops: float
    secret: int
    judged_secret: int
    memory_bytes: int = Limits.training_memory_bytes

    @property
    def left_out(self) -> str:
        """The reason why nothing is trained, or ""."""
        if self.mode is Mode.NONE:
            return "trainings were left out (--training none)"
        if self.data_set is None:
            return "Fashion-MNIST is not on this machine, so nothing was trained (see `grader doctor`)"
        return "" if self.recipe else f"this item has no recipe for --training {self.mode}"


def learn(
    training: Training,
    thing: Remote,
    ways: Sequence[Sequence[Argument]],
    called: str,
    image: tuple[int, ...],
    books: Sequence[Callable[[], nn.Module]] = (),
    convolutions: int = 0,
) -> NoReturn:
    """Hand a student's model over to be trained. The training decides the item.

    Args:
        training: the test's fixture.
        thing: a model, or its class or factory.
        ways: arguments for the class or factory, tried in order.
        called: the call as a message names it.
        image: the shape of one image in the book, (c, h, w); a recipe's other size is tried too.
        books: make the textbook's models, to describe how the student's departs from them.
        convolutions: the least number of convolutions: a linear model learns nearly as well as a LeNet.

    Raises:
        ToTrain: the model is to be trained by the grader.
        TrainedInPlace: the model was trained in the student's process, because no graph describes it; that is advice
            for a person, who decides.
        Pending: the model cannot be trained in this run.
        Mismatch: it is no model, has frozen parameters, or has too few outputs or convolutions.
    """
    if training.left_out or training.recipe is None:
        raise Pending(training.left_out)
    recipe = training.recipe
    try:
        readings = _read_sizes(thing, ways, called, {(image[0], recipe.side, recipe.side), image})
        # Train the smallest size that the model accepts, or resize from it.
        reading, arguments = readings[0]
        _require_learnable(reading, training.secret, called, convolutions)
        graph = resize(reading.graph, recipe.side)
        cost = count_teraflops(graph, recipe)
        if cost > training.teraflops:
            raise Pending(f"its training takes {cost:.1f} teraflops, and this run allows {training.teraflops:g}")
        memory = estimate_memory(graph, recipe)
        if memory > training.memory_bytes:
            allowed = f"{training.memory_bytes / 2**30:g} GiB"
            raise Pending(f"its training takes {memory / 2**30:.1f} GiB of memory, and this run allows {allowed}")
        remark = _require_same(reading, build(thing, arguments, called), training.secret)
    except TooLarge as reason:
        raise NeedsPerson(str(reason)) from None
    except Unsupported as reason:
        _require_convolutions(thing, ways, called, (image[0], recipe.side, recipe.side), convolutions)
        _train_in_place(training, thing, ways, called, image, str(reason))
    numbers = frozenset(sum(math.prod(shape) for shape in reading.graph.parameters) for reading, _ in readings)
    departures = (describe_departure(graph, books), remark)
    raise ToTrain(graph, ", ".join(filter(None, departures)), numbers)


def _read_sizes(
    thing: Remote, ways: Sequence[Sequence[Argument]], called: str, images: Collection[tuple[int, ...]]
) -> list[tuple[ExportedModel, Sequence[Argument]]]:
    """Return the model's graph for each image size that it accepts, smallest first, with the arguments that make it."""
    first: Exception | None = None
    readings = []
    for image in sorted(images):
        for arguments in ways:
            try:
                readings.append((_read(thing, arguments, called, image), arguments))
                break
            except TooLarge:
                raise
            except (Unsupported, StudentFault) as error:
                if isinstance(error, StudentFault) and error.fault is not Fault.RAISED:
                    raise
                first = first or error
    if not readings:
        assert first is not None
        raise first
    return readings


def _read(thing: Remote, arguments: Sequence[Argument], called: str, image: tuple[int, ...]) -> ExportedModel:
    """Return the model's graph. Build the model without numbers if possible, else with them."""
    if thing.kind in ("class", "function"):
        positional, named = fit_arguments(thing, arguments)
        try:
            return read_graph(assert_module(thing.sketch(*positional, **named), called).graph(image))
        except TooLarge:
            raise
        except (Mismatch, StudentFault, Unsupported):
            pass
    return read_graph(build(thing, arguments, called).graph(image))


def _require_learnable(reading: ExportedModel, secret: int, called: str, convolutions: int) -> None:
    if reading.frozen:
        names = ", ".join(reading.frozen[:5]) + (", …" if len(reading.frozen) > 5 else "")
        raise Mismatch(f"{called} has frozen parameters ({names}): with requires_grad=False no training changes them")
    graph = reading.graph
    with torch.no_grad():
        logits = Network(graph, "meta").eval()(torch.empty(2, *graph.image, device="meta"))
    if logits.shape[1] < 10:
        raise Mismatch(f"{called} gives {logits.shape[1]} numbers for an image; Fashion-MNIST has 10 classes")
    convolving = graph.count("conv2d")
    if convolving < convolutions:
        raise Mismatch(f"{called} has {convolving} convolutions, expected at least {convolutions}: it is another model")
    images = _draw_images(reading, secret)
    if convolutions and (found := count_influential(graph, images, secret, ("conv2d",))) < convolutions:
        raise Mismatch(
            f"of {called}'s convolutions, {found} of {convolving} matter for its result, expected at least "
            f"{convolutions}: it is another model"
        )


def _require_same(reading: ExportedModel, model: Remote, secret: int) -> str:
    """Require a model to compute what its graph computes, with weights and images that the student cannot know.

    Returns:
        A remark about what does not keep the graph from being trained, or "".

    Raises:
        Unsupported: the model computes something else.
    """
    images, remark = _draw_images(reading, secret), ""
    found = model.probe(reading.names, images, secret)
    departs = find_departure(found, probe_graph(reading.graph, images, secret))
    if departs == "eval" and reading.graph.count("dropout"):
        departs = find_departure(found, probe_graph(reading.graph, images, secret, drops_in_eval=True)) and departs
        remark = _DROPS_IN_EVAL
    if departs:
        raise Unsupported(f"what it computes is not what it says it computes: {DEPARTURES[departs]}")
    return remark


def _draw_images(reading: ExportedModel, secret: int) -> Tensor:
    return torch.randn(_PROBED_IMAGES, *reading.graph.image, generator=torch.Generator().manual_seed(secret))


def _require_convolutions(
    thing: Remote, ways: Sequence[Sequence[Argument]], called: str, image: tuple[int, ...], convolutions: int
) -> None:
    """Require a model without a graph to have convolutions by its own word, if it can be asked."""
    for arguments in ways:
        try:
            operations = build(thing, arguments, called).operations(torch.zeros(2, *image))
        except StudentFault as fault:
            if fault.fault is not Fault.RAISED:
                raise
            continue
        found = sum(operation.name == "convolution" for operation in operations)
        if found < convolutions:
            raise Mismatch(f"{called} has {found} convolutions, expected at least {convolutions}: it is another model")
        return


def _train_in_place(
    training: Training, thing: Remote, ways: Sequence[Sequence[Argument]], called: str, image: tuple[int, ...], why: str
) -> NoReturn:
    """Train a model that no graph describes in the student's process. Its accuracy is the process's word: advice."""
    recipe, data = training.recipe, training.data_set
    assert recipe is not None
    assert data is not None
    judged, truth = draw_judged_images(data, recipe.judged, training.judged_secret)
    images, labels = data.train_images[: recipe.images], data.train_labels[: recipe.images]
    threshold = recipe.threshold - _ALLOWANCE
    runs: list[TrainingResult] = []
    for seed in range(recipe.seeds):
        try:
            own = _train_first_way(thing, ways, called, lambda model: model.train(recipe, seed, images, labels, judged))  # noqa: B023
        except StudentFault as fault:
            if fault.fault is Fault.TIMED_OUT:
                raise NeedsPerson(f"{why}; its training in its own process took too long for this run") from None
            if fault.fault is Fault.RAISED and recipe.side not in image:
                raise NeedsPerson(f"{why}; and with images of {recipe.side}x{recipe.side} it {fault.message}") from None
            raise
        right = own.classes == truth
        points = tuple(CurvePoint(*point) for point in own.points)
        runs.append(TrainingResult(seed, float(right.double().mean()) if own.finite else 0.0, own.finite, points))
        if runs[-1].accuracy >= threshold:
            break
    raise TrainedInPlace(tuple(runs), threshold, why)


def _train_first_way(
    thing: Remote, ways: Sequence[Sequence[Argument]], called: str, train: Callable[[Remote], OwnCurve]
) -> OwnCurve:
    """Train a fresh model, made with the first arguments that work."""
    first: StudentFault | None = None
    for arguments in ways:
        try:
            return train(build(thing, arguments, called))
        except StudentFault as fault:
            if fault.fault is not Fault.RAISED:
                raise
            first = first or fault
    assert first is not None
    raise first
