"""The training loop of trusted trainings. For a model that cannot leave the student's process, it runs there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.modules import NORMALISATIONS
from grader.models.recipe import Recipe

__all__ = ["CurvePoint", "fit", "initialise", "predict", "prepare_images", "train_in_place", "xavier"]

_POINTS = 20  # of a learning curve
_MEAN, _DEVIATION = 0.2860, 0.3530  # of Fashion-MNIST's training images, scaled to [0, 1]
_SLICE = 500  # images at once
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


def prepare_images(images: Tensor, side: int, device: torch.device | str = "cpu") -> Tensor:
    """Return images, (n, h, w) uint8, as the network needs them: (n, 1, side, side) float32, normalised."""
    X = images.to(device)[:, None]
    if tuple(X.shape[2:]) != (side, side):
        X = F.interpolate(X, size=(side, side), mode="bilinear", antialias=True)
    return X.float().div_(255).sub_(_MEAN).div_(_DEVIATION)


def fit(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    recipe: Recipe,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    notify: Callable[[CurvePoint], None] = lambda _: None,
) -> bool:
    """Train a model, and compute the statistics of its batch normalisations anew at the end, because they lag.

    Args:
        model: maps (n, 1, side, side) float32 to logits, (n, classes); initialised already, on the device.
        images: (n, 28, 28) uint8, at least as many as the recipe uses. On a GPU they may be there already.
        labels: (n,) int64.
        recipe: how to train.
        seed: decides the order of the images and what dropout drops.
        device: where the model is.
        notify: takes the points of the learning curve.

    Returns:
        Whether all losses were finite. A training that diverges ends early.
    """
    count = min(recipe.images, len(images))
    on_gpu = torch.device(device).type == "cuda"
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    optimizer = _make_optimizer(model, recipe)
    steps_in_epoch = math.ceil(count / recipe.batch)
    total = recipe.epochs * steps_in_epoch
    every = max(1, total // _POINTS)
    model.train()
    losses, right, seen, step = 0.0, 0, 0, 0
    for _ in range(recipe.epochs):
        for X, y in _batches(images[:count], labels[:count], recipe, order, device):
            if recipe.decay:
                optimizer.param_groups[0]["lr"] = recipe.lr * (1 - step / total)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=on_gpu):
                logits = model(X)
                loss = F.cross_entropy(logits.float(), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            losses += float(loss.detach()) * len(y)
            right += int((logits.argmax(1) == y).sum())
            seen += len(y)
            if step % every == 0 or step == total:
                notify(CurvePoint(step / steps_in_epoch, losses / seen, right / seen))
                if not math.isfinite(losses):
                    return False
                losses, right, seen = 0.0, 0, 0
    _recompute_statistics(model, images[: min(count, _IMAGES_FOR_STATISTICS)], recipe.side, device)
    return True


def _make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=recipe.lr, fused=True)
    return torch.optim.SGD(parameters, lr=recipe.lr, momentum=recipe.momentum, fused=True)


def _batches(
    images: Tensor, labels: Tensor, recipe: Recipe, order: torch.Generator, device: torch.device | str
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return the batches of one epoch, resized one at a time: a whole data set of 224x224 takes 12 GB."""
    for indices in torch.randperm(len(images), generator=order).split(recipe.batch):
        chosen = indices.to(images.device)
        yield prepare_images(images[chosen], recipe.side, device), labels[chosen].to(device)


def _recompute_statistics(model: nn.Module, images: Tensor, side: int, device: torch.device | str) -> None:
    normalisations = [module for module in model.modules() if isinstance(module, NORMALISATIONS)]
    momenta = [module.momentum for module in normalisations]
    for module in normalisations:
        module.reset_running_stats()
        module.momentum = None  # the mean over all batches
    with torch.no_grad():
        if normalisations:
            for part in images.split(_SLICE):
                model(prepare_images(part, side, device))
    for module, momentum in zip(normalisations, momenta, strict=True):
        module.momentum = momentum


def predict(model: nn.Module, images: Tensor, side: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the class that a model in eval mode predicts for each image.

    Args:
        model: as for `fit`; it stays in eval mode.
        images: (n, 28, 28) uint8.
        side: the height and width that images are resized to.
        device: where the model is.

    Returns:
        (n,) int64.
    """
    model.eval()
    with torch.no_grad():
        parts = [model(prepare_images(part, side, device)).argmax(1).cpu() for part in images.split(_SLICE)]
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
