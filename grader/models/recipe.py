"""How a training item is judged: how much is trained, and with what."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

__all__ = ["IMPLAUSIBLE", "Mode", "OwnLoop", "Recipe"]


class Mode(StrEnum):
    """What happens with trainings."""

    NONE = "none"  # trainings are left out, and training items stay pending
    QUICK = "quick"  # recipes for a CPU; the notebook's own training cells are cut to a few steps
    FULL = "full"  # the book's recipes; the notebook's own training cells run as written


class OwnLoop(StrEnum):
    """What a training loop of the notebook's own costs its training item if it is certainly wrong (issue 16)."""

    ADVICE = "advice"  # nothing: the mistake is only named
    HALF = "half"  # half of the item's points
    REQUIRED = "required"  # all of them


# Accuracies on Fashion-MNIST that no right model reaches, by how much was trained. Quick trainings of right models end
# between 0.70 and 0.85 (docs/training.md), ten epochs of a ResNet-18 at 0.93, and the best published models at 0.97.
IMPLAUSIBLE = {Mode.QUICK: 0.90, Mode.FULL: 0.96}

_ABOUT_THRESHOLD = ("threshold", "seeds", "calibrated_on")


@dataclass(frozen=True)
class Recipe:
    """One way to train a model, and the accuracy that it must reach.

    Attributes:
        images: the number of training images, the first ones of the data set.
        epochs: passes over them.
        batch: images in a batch.
        optimizer: Adam, or SGD with `momentum`.
        lr: the learning rate. With `decay`, it falls linearly to zero.
        side: the height and width that images are resized to, in pixels.
        judged: the number of withheld images that the accuracy is measured on.
        threshold: the accuracy to reach, between 0 and 1.
        seeds: the most trainings, until one reaches the threshold.
        calibrated_on: where right models were trained to find the threshold: "cpu", or a GPU's kind. It is "" if none
            were: then the threshold is a placeholder.
    """

    images: int
    epochs: int
    batch: int
    optimizer: Literal["adam", "sgd"]
    lr: float
    side: int
    threshold: float
    momentum: float = 0.0
    decay: bool = True
    judged: int = 2000
    seeds: int = 3
    calibrated_on: str = ""

    @property
    def training(self) -> dict[str, Any]:
        """The settings that decide the trained numbers: all that do not only say what is enough."""
        return {name: value for name, value in asdict(self).items() if name not in _ABOUT_THRESHOLD}

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        momentum = f", momentum {self.momentum:g}" if self.momentum else ""
        decay = " falling to 0" if self.decay else ""
        return (
            f"{epochs} of {self.images:,} images of {self.side}x{self.side}, {self.optimizer}, "
            f"learning rate {self.lr:g}{decay}{momentum}, batches of {self.batch}"
        )
