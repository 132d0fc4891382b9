"""A stand-in for the package of the book, d2l, where it is not installed: what models are made of, and no training.

A class that derives from `d2l.Classifier` is judged by its layers, so these classes keep their arguments and build
their layers as the book's do (sections 3.2 and 4.3). Whatever draws, downloads or trains does nothing.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["install"]


class HyperParameters:
    """Gives an object the arguments of its constructor as attributes."""

    def save_hyperparameters(self, ignore: Sequence[str] = ()) -> None:
        """Store the arguments of the calling constructor, without those in `ignore`."""
        frame = inspect.currentframe()
        caller = frame.f_back if frame else None
        given = dict(caller.f_locals) if caller else {}
        left_out = {*ignore, "self"}
        self.hparams = {
            name: value for name, value in given.items() if name not in left_out and not name.startswith("_")
        }
        for name, value in self.hparams.items():
            setattr(self, name, value)


class Module(nn.Module, HyperParameters):
    """The base of the book's models: they keep their layers in `net`."""

    net: Any
    lr: Any

    def __init__(self, plot_train_per_epoch: int = 2, plot_valid_per_epoch: int = 1) -> None:
        super().__init__()
        self.plot_train_per_epoch = plot_train_per_epoch
        self.plot_valid_per_epoch = plot_valid_per_epoch
        self.board = ProgressBoard()

    def forward(self, X: Tensor) -> Any:
        """Return what `net` makes of `X`."""
        return self.net(X)

    def apply_init(self, inputs: Sequence[Tensor], init: Callable[[nn.Module], Any] | None = None) -> None:
        """Give lazy layers their sizes, and have `init` fill the weights."""
        self.forward(*inputs)
        if init is not None:
            self.net.apply(init)

    def loss(self, Y_hat: Tensor, Y: Tensor) -> Tensor:
        """Return the loss, which a model has to define."""
        raise NotImplementedError

    def training_step(self, batch: Sequence[Tensor]) -> Tensor:
        """Return the loss of a batch."""
        return self.loss(self(*batch[:-1]), batch[-1])

    def validation_step(self, batch: Sequence[Tensor]) -> None:
        """Plot nothing."""

    def plot(self, key: str, value: Any, train: bool) -> None:
        """Plot nothing."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return stochastic gradient descent with the model's learning rate."""
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Classifier(Module):
    """The base of the book's classifiers."""

    def loss(self, Y_hat: Tensor, Y: Tensor, averaged: bool = True) -> Tensor:
        """Return the cross-entropy."""
        scores = Y_hat.reshape(-1, Y_hat.shape[-1])
        return functional.cross_entropy(scores, Y.reshape(-1), reduction="mean" if averaged else "none")

    def accuracy(self, Y_hat: Tensor, Y: Tensor, averaged: bool = True) -> Tensor:
        """Return the share of right predictions, or which are right."""
        right = (Y_hat.reshape(-1, Y_hat.shape[-1]).argmax(dim=1) == Y.reshape(-1)).float()
        return right.mean() if averaged else right

    def layer_summary(self, X_shape: Sequence[int]) -> None:
        """Print each layer's output shape."""
        X = torch.randn(*X_shape)
        for layer in self.net:
            X = layer(X)
            print(type(layer).__name__, "output shape:\t", X.shape)


class DataModule(HyperParameters):
    """Data that is not there: a batch of empty images, whose size is right."""

    def __init__(self, batch_size: int = 1, resize: tuple[int, int] = (28, 28), **_: Any) -> None:
        self.batch_size = batch_size
        self.resize = resize

    def get_dataloader(self, train: bool) -> list[tuple[Tensor, Tensor]]:
        """Return one batch of one image and its label."""
        return [(torch.zeros(1, 1, *self.resize), torch.zeros(1, dtype=torch.int64))]

    def train_dataloader(self) -> list[tuple[Tensor, Tensor]]:
        """Return one batch of one image and its label."""
        return self.get_dataloader(True)

    val_dataloader = train_dataloader

    def visualize(self, *_: Any, **__: Any) -> None:
        """Draw nothing."""


class FashionMNIST(DataModule):
    """Stands for Fashion-MNIST."""


class ProgressBoard:
    """A plot that is not drawn."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def draw(self, *_: Any, **__: Any) -> None:
        """Draw nothing."""


class IdleTrainer(HyperParameters):
    """Trains nothing: the course's grader trains models itself."""

    def __init__(self, max_epochs: int = 1, num_gpus: int = 0, gradient_clip_val: float = 0) -> None:
        self.max_epochs = max_epochs
        self.num_gpus = num_gpus

    def fit(self, model: Any, data: Any) -> None:
        """Leave the model as it is."""


class Timer:
    """A clock that stands still."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> float:
        """Return no time."""
        return 0.0


def add_to_class(Class: type) -> Callable[[Any], None]:
    """Return a decorator that makes a function a method of a class."""

    def decorate(function: Any) -> None:
        setattr(Class, function.__name__, function)

    return decorate


def _cpu() -> torch.device:
    return torch.device("cpu")


def _gpu(i: int = 0) -> torch.device:
    return torch.device(f"cuda:{i}")


def _num_gpus() -> int:
    return torch.cuda.device_count()


def _try_gpu(i: int = 0) -> torch.device:
    return _gpu(i) if _num_gpus() > i else _cpu()


def _do_nothing(*_: Any, **__: Any) -> None:
    """Stand for what draws, and for an initialisation of weights, which no check here looks at."""


def install() -> None:
    """Offer the stand-in as `d2l.torch`, unless the package itself is installed."""
    try:
        if importlib.util.find_spec("d2l") is not None:
            return
    except ImportError:
        pass  # something on this machine forbids the package
    package, module = types.ModuleType("d2l"), types.ModuleType("d2l.torch")
    for added in (package, module):
        added.__spec__ = importlib.machinery.ModuleSpec(added.__name__, None, is_package=True)
    vars(module).update(dict(_list_names()))
    package.__dict__.update(torch=module, __version__="a stand-in")
    sys.modules.update({"d2l": package, "d2l.torch": module})


def _list_names() -> Iterator[tuple[str, Any]]:
    yield from (("torch", torch), ("nn", nn), ("F", functional), ("Tensor", Tensor))
    for thing in (
        *(HyperParameters, Module, Classifier, DataModule, FashionMNIST, ProgressBoard, Timer, add_to_class),
    ):
        thing.__module__ = "d2l.torch"  # what is the book's is not a student's own work
        yield thing.__name__, thing
    yield "Trainer", IdleTrainer
    yield from (("cpu", _cpu), ("gpu", _gpu), ("num_gpus", _num_gpus), ("try_gpu", _try_gpu))
    yield from ((name, getattr(torch, name)) for name in ("reshape", "matmul", "stack", "arange", "tensor", "zeros"))
    drawing = ("plot", "show_images", "set_figsize", "use_svg_display", "set_axes", "show_heatmaps", "init_cnn")
    yield from ((name, _do_nothing) for name in drawing)
