"""Items that are earned by training: read a student's model as a graph, which the grader then trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn

from grader.models.fit import CurvePoint
from grader.models.probe import DEPARTURES, find_departure, probe
from grader.models.recipe import Mode, Recipe
from grader.student import Fault, OwnCurve, Remote, StudentFault
from grader.testing.arguments import Argument, fit_arguments
from grader.testing.compare import assert_module
from grader.testing.failures import Mismatch, Pending, ToTrain, TrainedInPlace
from grader.testing.models import build
from grader.training.cache import TrainingResult
from grader.training.cost import count_teraflops
from grader.training.datasets import DataSet
from grader.training.departures import describe_departure
from grader.training.graph import TooLarge, Unsupported
from grader.training.graph_reader import ExportedModel, read_graph, resize
from grader.training.network import Network
from grader.training.perturbation import perturb

__all__ = ["Training", "learn"]

_PROBED_IMAGES = 4
_ALLOWANCE = 0.05  # of accuracy, for images that are moved and noisy


@dataclass(frozen=True)
class Training:
    """How the model of a training item is trained; the `training` fixture of its test.

    Attributes:
        teraflops: the most that one training may cost.
        secret: the seed from which probes draw weights and images.
    """

    mode: Mode
    recipe: Recipe | None
    data_set: DataSet | None
    teraflops: float
    secret: int

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
        TrainedInPlace: the model was trained in the student's process, because no graph describes it.
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
        _require_learnable(reading, called, convolutions)
        graph = resize(reading.graph, recipe.side)
        cost = count_teraflops(graph, recipe)
        if cost > training.teraflops:
            raise Pending(f"its training takes {cost:.1f} teraflops, and this run allows {training.teraflops:g}")
        model = build(thing, arguments, called)
        departs = find_departure(*_probe_both(reading, model, training.secret))
        if departs:
            raise Unsupported(f"what it computes is not what it says it computes: {DEPARTURES[departs]}")
    except TooLarge as reason:
        raise Pending(str(reason)) from None
    except Unsupported as reason:
        _train_in_place(training, thing, ways, called, image, str(reason))
    numbers = frozenset(sum(math.prod(shape) for shape in reading.graph.parameters) for reading, _ in readings)
    raise ToTrain(graph, describe_departure(graph, books), numbers)


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


def _require_learnable(reading: ExportedModel, called: str, convolutions: int) -> None:
    if reading.frozen:
        names = ", ".join(reading.frozen[:5]) + (", …" if len(reading.frozen) > 5 else "")
        raise Mismatch(f"{called} has frozen parameters ({names}): with requires_grad=False no training changes them")
    graph = reading.graph
    if (found := graph.count("conv2d")) < convolutions:
        raise Mismatch(f"{called} has {found} convolutions, expected at least {convolutions}: it is another model")
    with torch.no_grad():
        logits = Network(graph, "meta").eval()(torch.empty(2, *graph.image, device="meta"))
    if logits.shape[1] < 10:
        raise Mismatch(f"{called} gives {logits.shape[1]} numbers for an image; Fashion-MNIST has 10 classes")


def _probe_both(reading: ExportedModel, model: Remote, secret: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Probe the student's model and its graph, with weights and images that the student cannot know."""
    images = torch.randn(_PROBED_IMAGES, *reading.graph.image, generator=torch.Generator().manual_seed(secret))
    network = Network(reading.graph)
    return model.probe(reading.names, images, secret), probe(network, network.names, images, secret)


def _train_in_place(
    training: Training, thing: Remote, ways: Sequence[Sequence[Argument]], called: str, image: tuple[int, ...], why: str
) -> NoReturn:
    """Train a model that no graph describes in the student's process. Its accuracy is weaker evidence."""
    recipe, data = training.recipe, training.data_set
    assert recipe is not None
    assert data is not None
    # Perturbed, so that a table of the public test images does not help.
    judged = perturb(data.withheld_images[: recipe.judged], training.secret)
    images, labels = data.train_images[: recipe.images], data.train_labels[: recipe.images]
    threshold = recipe.threshold - _ALLOWANCE
    runs: list[TrainingResult] = []
    for seed in range(recipe.seeds):
        try:
            own = _train_first_way(thing, ways, called, lambda model: model.train(recipe, seed, images, labels, judged))  # noqa: B023
        except StudentFault as fault:
            if fault.fault is Fault.TIMED_OUT:
                raise Pending(f"{why}; its training in its own process took too long for this run") from None
            if fault.fault is Fault.RAISED and recipe.side not in image:
                raise Pending(f"{why}; and with images of {recipe.side}x{recipe.side} it {fault.message}") from None
            raise
        right = own.classes == data.withheld_labels[: recipe.judged]
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
