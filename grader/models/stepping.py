"""The steps of a training: where and in which numbers they are computed, and how a device repeats them by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.recipe import Recipe
from grader.models.resize import resize_exactly

__all__ = ["ON_CPU", "CaptureFailed", "Computation", "StepRecorder", "TrainingSteps", "prepare_images"]

_EAGER_STEPS = 3  # before one is recorded: in the first ones, libraries and the optimiser allocate what they keep
_MEAN, _DEVIATION = 0.2860, 0.3530  # of Fashion-MNIST's training images, scaled to [0, 1]


class CaptureFailed(Exception):
    """A step could not be recorded. The training must begin anew, without a recorder."""


class StepRecorder(Protocol):
    """Records what a step has a device do, so that it is repeated without Python (CUDA graphs)."""

    def warm_up(self) -> AbstractContextManager[None]:
        """Return a context for a step before the one that is recorded."""

    def capture(self, step: Callable[[], None]) -> Callable[[], object]:
        """Record a step without taking it, and return what takes it.

        Raises:
            CaptureFailed: it does something that cannot be recorded.
        """


@dataclass(frozen=True)
class Computation:
    """Where and how a model is computed.

    Attributes:
        device: where the model is.
        half: whether forward passes of a training compute in bfloat16.
        exact_resize: whether images are resized with whole numbers, which gives the same bytes on every device.
        recorder: records the steps that have a whole batch; None to take each of them by itself.
    """

    device: torch.device
    half: bool = False
    exact_resize: bool = False
    recorder: StepRecorder | None = None


# The numbers of trainings on a CPU are kept, and thresholds rest on them: it resizes as it always has.
ON_CPU = Computation(torch.device("cpu"))


def prepare_images(images: Tensor, side: int, computation: Computation = ON_CPU) -> Tensor:
    """Return images, (n, h, w) uint8, as the network needs them: (n, 1, side, side) float32, normalised."""
    images = images.to(computation.device)
    if tuple(images.shape[1:]) == (side, side):
        X = images[:, None]
    elif computation.exact_resize:
        X = resize_exactly(images, (side, side))[:, None]
    else:
        X = F.interpolate(images[:, None], size=(side, side), mode="bilinear", antialias=True)
    return X.float().div_(255).sub_(_MEAN).div_(_DEVIATION)


class TrainingSteps:
    """Takes the steps of a training, and sums its losses and right predictions where the model is.

    No step waits for the device. `read` does, at the points of the learning curve.

    Args:
        model: in train mode, on the device.
        images: all images, (n, h, w) uint8. They may be on the device.
        labels: their classes.
        recipe: how to train.
        computation: where and how to compute.
    """

    def __init__(
        self, model: nn.Module, images: Tensor, labels: Tensor, recipe: Recipe, computation: Computation
    ) -> None:
        self._model, self._images, self._labels = model, images, labels
        self._side, self._computation = recipe.side, computation
        device = computation.device
        # A step that is recorded reads the learning rate from the device: a number would be part of the recording.
        self._lr = recipe.lr if computation.recorder is None else torch.tensor(recipe.lr, device=device)
        self._optimizer = _make_optimizer(model, recipe, self._lr)
        self._batch = torch.zeros(recipe.batch, dtype=torch.int64, device=images.device)
        self._losses = torch.zeros((), dtype=torch.float64, device=device)
        self._right = torch.zeros((), dtype=torch.int64, device=device)
        self._seen = self._taken = 0
        self._replay: Callable[[], object] | None = None

    def set_learning_rate(self, lr: float) -> None:
        """Set the learning rate of the next steps."""
        if isinstance(self._lr, Tensor):
            self._lr.fill_(lr)
        else:
            self._optimizer.param_groups[0]["lr"] = lr

    def take(self, batch: Tensor) -> None:
        """Train on the images with these numbers, which are where the images are.

        Raises:
            CaptureFailed: the step could not be recorded.
        """
        self._seen += len(batch)
        recorder = self._computation.recorder
        if recorder is None or len(batch) != len(self._batch):
            self._step(batch)  # the last batch of an epoch may be smaller than the one that is recorded
            return
        self._batch.copy_(batch)
        if self._taken < _EAGER_STEPS:
            with recorder.warm_up():
                self._step(self._batch)
        else:
            if self._replay is None:
                self._replay = recorder.capture(lambda: self._step(self._batch))
            self._replay()
        self._taken += 1

    def read(self) -> tuple[float, float]:
        """Return the mean loss and the accuracy of the steps since the last call."""
        result = float(self._losses) / self._seen, int(self._right) / self._seen
        self._losses.zero_()
        self._right.zero_()
        self._seen = 0
        return result

    def _step(self, batch: Tensor) -> None:
        device = self._computation.device
        X, y = prepare_images(self._images[batch], self._side, self._computation), self._labels[batch].to(device)
        # Without its cache of converted weights, which would outlive a recording.
        with torch.autocast(device.type, torch.bfloat16, self._computation.half, cache_enabled=False):
            logits = self._model(X)
        loss = F.cross_entropy(logits.float(), y)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._losses += loss.detach().double() * len(y)
        self._right += (logits.argmax(1) == y).sum()


def _make_optimizer(model: nn.Module, recipe: Recipe, lr: float | Tensor) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=lr, fused=True, capturable=isinstance(lr, Tensor))
    return torch.optim.SGD(parameters, lr=lr, momentum=recipe.momentum, fused=True)
