"""The training loop of trusted trainings. For a model that cannot leave the student's process, it runs there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grader.models.modules import NORMALISATIONS
from grader.models.recipe import Recipe
from grader.models.stepping import ON_CPU, Computation, TrainingSteps, prepare_images

__all__ = ["IMAGES_AT_ONCE", "CurvePoint", "fit", "initialise", "predict", "train_in_place", "xavier"]

_POINTS = 20  # of a learning curve
IMAGES_AT_ONCE = 500  # if nothing is learned
_IMAGES_FOR_STATISTICS = 2000


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve: its place in epochs, and loss and accuracy on the batches since the last one."""

    epoch: float
    loss: float
    accuracy: float


def initialise(model: nn.Module, seed: int) -> None:
    """Initialise a model's parameters: weights Xavier-uniform (d2l.ai 5.4.2.2), biases 0, normalisations as new."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                if parameter.dim() > 1:
                    parameter.copy_(xavier(tuple(parameter.shape), generator))
                elif name == "bias":
                    parameter.zero_()
            if isinstance(module, NORMALISATIONS):
                module.reset_parameters()


def xavier(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw a weight of a fully connected layer, (outputs, inputs), or of a convolution, (c_o, c_i, k_h, k_w)."""
    bound = math.sqrt(6 / ((shape[0] + shape[1]) * math.prod(shape[2:])))
    # Not the default dtype: a student may have set it to float64, which draws other numbers.
    return torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator)


def fit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    seed: int,
    *,
    computation: Computation = ON_CPU,
    notify: Callable[[CurvePoint], None] = lambda _: None,
) -> bool:
    """Train a model, and compute the statistics of its batch normalisations anew at the end, because they lag.

    Args:
        model: maps (n, 1, side, side) float32 to logits, (n, classes); initialised already, on the device.
        images: (n, 28, 28) uint8, at least as many as the recipe uses. They may be on the device.
        labels: (n,) int64, where the images are.
        recipe: how to train.
        seed: decides the order of the images, which is the same on every device, and what dropout drops.
        computation: where and how to compute.
        notify: takes the points of the learning curve.

    Returns:
        Whether all losses were finite. A training that diverges ends early.

    Raises:
        CaptureFailed: a step could not be recorded; the model is of no use any more.
    """
    count = min(recipe.images, len(images))
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    steps_in_epoch = math.ceil(count / recipe.batch)
    total = recipe.epochs * steps_in_epoch
    every = max(1, total // _POINTS)
    model.train()
    steps = TrainingSteps(model, images[:count], labels[:count], recipe, computation)
    step = 0
    for _ in range(recipe.epochs):
        for batch in torch.randperm(count, generator=order).to(images.device).split(recipe.batch):
            if recipe.decay:
                steps.set_learning_rate(recipe.lr * (1 - step / total))
            steps.take(batch)
            step += 1
            if step % every == 0 or step == total:
                loss, accuracy = steps.read()
                notify(CurvePoint(step / steps_in_epoch, loss, accuracy))
                if not math.isfinite(loss):
                    return False
    _recompute_statistics(model, images[: min(count, _IMAGES_FOR_STATISTICS)], recipe.side, computation)
    return True


def _recompute_statistics(model: nn.Module, images: Tensor, side: int, computation: Computation) -> None:
    normalisations = [module for module in model.modules() if isinstance(module, NORMALISATIONS)]
    momenta = [module.momentum for module in normalisations]
    for module in normalisations:
        module.reset_running_stats()
        module.momentum = None  # the mean over all batches
    with torch.no_grad():
        if normalisations:
            for part in images.split(IMAGES_AT_ONCE):
                model(prepare_images(part, side, computation))
    for module, momentum in zip(normalisations, momenta, strict=True):
        module.momentum = momentum


def predict(model: nn.Module, images: Tensor, side: int, computation: Computation = ON_CPU) -> Tensor:
    """Return the class that a model in eval mode predicts for each image.

    Args:
        model: as for `fit`; it stays in eval mode.
        images: (n, 28, 28) uint8.
        side: the height and width that images are resized to.
        computation: where and how to compute.

    Returns:
        (n,) int64, on the CPU.
    """
    model.eval()
    with torch.no_grad():
        parts = [
            model(prepare_images(part, side, computation)).argmax(1).cpu() for part in images.split(IMAGES_AT_ONCE)
        ]
    return torch.cat(parts)


def train_in_place(
    model: nn.Module, recipe: Recipe, seed: int, images: Tensor, labels: Tensor, judged: Tensor
) -> tuple[bool, Tensor, tuple[tuple[float, float, float], ...]]:
    """Initialise and train a model that no graph describes, in the process where it lives.

    Args:
        model: as for `fit`, with any parameters.
        recipe: as for `fit`.
        seed: as for `fit`, and of the initial parameters.
        images: as for `fit`.
        labels: as for `fit`.
        judged: the images to classify afterwards, (n, 28, 28) uint8.

    Returns:
        Whether all losses were finite, the predicted classes (n,), and the learning curve: (epoch, loss, accuracy).
    """
    points: list[CurvePoint] = []
    model.float()
    with torch.no_grad():
        model(prepare_images(images[:2], recipe.side))  # its layers may be lazy
    initialise(model, seed)
    finite = fit(model, images, labels, recipe, seed, notify=points.append)
    curve = tuple((point.epoch, point.loss, point.accuracy) for point in points)
    return finite, predict(model, judged, recipe.side), curve
