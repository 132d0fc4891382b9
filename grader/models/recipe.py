"""How a training item is judged: how much is trained, and with what."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

__all__ = ["Mode", "Recipe"]


class Mode(StrEnum):
    """What happens with trainings."""

    NONE = "none"  # trainings are left out, and training items stay pending
    QUICK = "quick"  # recipes for a CPU; the notebook's own training cells are cut to a few steps
    FULL = "full"  # the book's recipes; the notebook's own training cells run as written


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

    @property
    def training(self) -> dict[str, Any]:
        """The settings that decide the trained numbers: all but `threshold` and `seeds`."""
        return {name: value for name, value in asdict(self).items() if name not in ("threshold", "seeds")}

    def __str__(self) -> str:
        epochs = f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        momentum = f", momentum {self.momentum:g}" if self.momentum else ""
        decay = " falling to 0" if self.decay else ""
        return (
            f"{epochs} of {self.images:,} images of {self.side}x{self.side}, {self.optimizer}, "
            f"learning rate {self.lr:g}{decay}{momentum}, batches of {self.batch}"
        )
