"""What a rubric's training items use: a student's model becomes a graph, and the graph is trained on our side."""

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
    """What a training item's test is told: how to train, and why not, where nothing is trained.

    `teraflops` is what one training may cost; probes draw their weights and images from `secret`.
    """

    mode: Mode
    recipe: Recipe | None
    data_set: DataSet | None
    teraflops: float
    secret: int

    @property
    def left_out(self) -> str:
        """The reason for which nothing is trained, "" where something is."""
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
    """Hand a student's model over to be trained; how that ends decides the item.

    Args:
        training: the test's fixture.
        thing: a model, or the class or factory of one.
        ways: what it may be called with, tried in order.
        called: the call as a message names it.
        image: the shape of one image in the book, (c, h, w); for recipes of another size the model is made for that.
        books: make the textbook's models, to say where the student's departs from all of them.
        convolutions: how many it must have at least: a linear model learns nearly as well as a LeNet.

    Raises:
        Pending, ToTrain, Learned: what is known so far.
        Mismatch: it is no model, some of its parameters are frozen, it has too few outputs or convolutions.
    """
    if training.left_out or training.recipe is None:
        raise Pending(training.left_out)
    recipe = training.recipe
    try:
        readings = _readings(thing, ways, called, {(image[0], recipe.side, recipe.side), image})
        # The smallest that it can do: what is trained, or what that is made from.
        reading, arguments = readings[0]
        _require_learnable(reading, called, convolutions)
        graph = resize(reading.graph, recipe.side)
        cost = count_teraflops(graph, recipe)
        if cost > training.teraflops:
            raise Pending(f"its training takes {cost:.1f} teraflops, and this run allows {training.teraflops:g}")
        model = build(thing, arguments, called)
        departs = find_departure(*_both_probed(reading, model, training.secret))
        if departs:
            raise Unsupported(f"what it computes is not what it says it computes: {DEPARTURES[departs]}")
    except TooLarge as reason:
        raise Pending(str(reason)) from None
    except Unsupported as reason:
        _learn_there(training, thing, ways, called, image, str(reason))
    numbers = frozenset(sum(math.prod(shape) for shape in each.graph.parameters) for each, _ in readings)
    raise ToTrain(graph, describe_departure(graph, books), numbers)


def _readings(
    thing: Remote, ways: Sequence[Sequence[Argument]], called: str, images: Collection[tuple[int, ...]]
) -> list[tuple[ExportedModel, Sequence[Argument]]]:
    """Return the model's graph for each size that it can do, the smallest first, and the first way to make it so."""
    first: Exception | None = None
    found = []
    for image in sorted(images):
        for arguments in ways:
            try:
                found.append((_read(thing, arguments, called, image), arguments))
                break
            except TooLarge:
                raise
            except (Unsupported, StudentFault) as error:
                if isinstance(error, StudentFault) and error.fault is not Fault.RAISED:
                    raise
                first = first or error
    if not found:
        assert first is not None
        raise first
    return found


def _read(thing: Remote, arguments: Sequence[Argument], called: str, image: tuple[int, ...]) -> ExportedModel:
    """Return the model's graph; where it cannot be made or run without numbers, it is made with them."""
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


def _both_probed(reading: ExportedModel, model: Remote, secret: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return what the student's model and its graph compute with weights and images that the student cannot know."""
    images = torch.randn(_PROBED_IMAGES, *reading.graph.image, generator=torch.Generator().manual_seed(secret))
    network = Network(reading.graph)
    return model.probe(reading.names, images, secret), probe(network, network.names, images, secret)


def _learn_there(
    training: Training, thing: Remote, ways: Sequence[Sequence[Argument]], called: str, image: tuple[int, ...], why: str
) -> NoReturn:
    """Train a model that no graph describes in the student's process; its accuracy is weaker evidence."""
    recipe, data = training.recipe, training.data_set
    assert recipe is not None
    assert data is not None
    # Moved and noisy, so that a table of the public test images does not help.
    judged = perturb(data.withheld_images[: recipe.judged], training.secret)
    images, labels = data.train_images[: recipe.images], data.train_labels[: recipe.images]
    threshold = recipe.threshold - _ALLOWANCE
    runs: list[TrainingResult] = []
    for seed in range(recipe.seeds):
        try:
            own = _trained(thing, ways, called, lambda model: model.train(recipe, seed, images, labels, judged))  # noqa: B023
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


def _trained(
    thing: Remote, ways: Sequence[Sequence[Argument]], called: str, train: Callable[[Remote], OwnCurve]
) -> OwnCurve:
    """Train a fresh model in the first way in which that works."""
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
