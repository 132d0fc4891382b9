"""Trainings that a run leaves out: the statement that trains ends, as early as can be told.

Data may be looked at in every mode. What ends is a statement that takes images from a loader over a data set that is
not trained on, and trains: it makes an optimiser, clears gradients, goes backward or makes a step. A statement that
only evaluates a model ends once it has seen enough. In mode `none`, a training of another form, such as one on a tensor
of images, ends as in mode `quick`. Small models, and kernels without images, are never cut.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as modules
from torch.optim import Optimizer
from torch.optim import optimizer as optimizers

from grader.models.recipe import Mode
from grader.sandbox.guest.internals.replacement import call_after_init, replace_attribute
from grader.sandbox.guest.internals.torchvision import call_after_data_set, is_data_set
from grader.sandbox.guest.stand_in_data_sets import is_stand_in
from grader.sandbox.guest.trainings.cutoff import Cutoff, TrainingLeftOut
from grader.sandbox.guest.trainings.hooks import SMALL, count_parameters

__all__ = ["LeftOutTrainings"]

# What one statement may do with images of loaders, in values (pixels of all channels).
_MOST_LOADED = 100_000_000  # two passes over the 60,000 images of 28 by 28
_MOST_EVALUATED = 8_000_000  # given to models: 10,000 such images
_MOST_AT_ONCE = 1_000_000  # given to a model in one batch: 100 images of 96 by 96
_MOST_COMPUTED = 10**12  # values that models get, times their parameters: twice 10,000 images for LeNet


@dataclass
class _Statement:
    """A running statement, and what it has done with images of loaders."""

    quick: Cutoff
    whole: Cutoff
    batches: int = 0
    batch: int = 0  # values in the latest batch, until a model has got it
    loaded: int = 0
    evaluated: int = 0
    computed: int = 0
    steps: int = 0
    trains: bool = False  # an optimiser was made, or gradients were cleared


class LeftOutTrainings:
    """Ends the statements of a kernel that train on data sets which are not trained on.

    Args:
        mode: how trainings run. With `none` no data set is trained on, else only those with stand-in images are not.
    """

    def __init__(self, mode: Mode) -> None:
        self._all = mode is Mode.NONE
        self._statements: list[_Statement] = []
        self._hooks = ExitStack()
        self._hooked = False
        self._armed = False  # in mode `none`: there is a data set, so no long training is run

    def install(self) -> None:
        """Notice data sets and optimisers from now on."""
        call_after_data_set(self._note_data_set)
        call_after_init(Optimizer, self._note_optimizer)
        _call_before(Optimizer, "zero_grad", self._before_zero_grad)
        _call_before(Tensor, "backward", self._before_backward)

    @property
    def watches(self) -> bool:
        """Whether a statement is running."""
        return bool(self._statements)

    def concerns(self, data_set: Any) -> bool:
        """Return whether a data set of torchvision's is one that is not trained on."""
        return is_data_set(data_set) and (self._all or is_stand_in(data_set))

    @contextmanager
    def statement(self, cell_started: float, cell_seconds: float) -> Iterator[None]:
        """Watch a statement. One that trains ends with TrainingLeftOut.

        Args:
            cell_started: when the cell began (monotonic seconds).
            cell_seconds: how long the cell may take.
        """
        quick, whole = (Cutoff(mode, cell_started, cell_seconds) for mode in (Mode.QUICK, Mode.FULL))
        self._statements.append(_Statement(quick, whole))
        try:
            if self._armed:
                self._hook()
            yield
        finally:
            self._statements.pop()
            if not self._statements:
                self._hooks.close()
                self._hooked = False

    def before_batch(self) -> None:
        """Decide whether a loader may give out another batch.

        Raises:
            TrainingLeftOut: the statement ends here.
        """
        self._hook()
        if self._statements:
            running = self._statements[-1]
            if running.trains:
                self._end()
            if running.loaded > _MOST_LOADED:
                self._end("computations on many images")

    def after_batch(self, batch: Any) -> None:
        """Take note of a batch that a loader gives out."""
        if self._statements:
            running = self._statements[-1]
            images = batch[0] if isinstance(batch, list | tuple) and batch else batch
            running.batch = images.numel() if isinstance(images, Tensor) else 0
            running.loaded += running.batch
            running.batches += 1

    def _end(self, what: str = "trainings") -> None:
        where = "in this run (--training none)" if self._all else "if the files of their data are not on this machine"
        raise TrainingLeftOut(f"{what} are left out {where}")

    def _note_data_set(self, _: Any) -> None:
        if self._all:
            self._armed = True
            self._hook()

    def _note_optimizer(self, _: Any) -> None:
        if self._statements:
            self._statements[-1].trains = True

    def _hook(self) -> None:
        """Put torch's hooks in place until no statement runs any more."""
        if self._hooked or not self._statements:
            return
        self._hooked = True
        for handle in (
            modules.register_module_forward_pre_hook(self._before_forward),
            optimizers.register_optimizer_step_pre_hook(self._before_step),
        ):
            self._hooks.callback(handle.remove)

    def _before_forward(self, model: nn.Module, inputs: Any) -> None:
        running = self._statements[-1]
        images = inputs[0] if inputs else None
        if not running.batch or not isinstance(images, Tensor) or images.numel() != running.batch:
            return
        values, running.batch = running.batch, 0
        running.evaluated += values
        too_many = values > _MOST_AT_ONCE or running.evaluated > _MOST_EVALUATED
        if too_many or running.computed > _MOST_COMPUTED:
            self._end("trainings and evaluations on many images")
        running.computed += values * _count_parameters(model)

    def _before_step(self, optimizer: Optimizer, *_: Any) -> None:
        running = self._statements[-1]
        if running.batches:
            self._end()
        if self._armed and count_parameters(optimizer) > SMALL:
            running.steps += 1
            if running.quick.find_reason(running.steps):
                self._end()

    def _before_zero_grad(self) -> None:
        if self._statements:
            running = self._statements[-1]
            running.trains = True
            if running.batches:
                self._end()

    def _before_backward(self) -> None:
        if self._statements:
            running = self._statements[-1]
            if running.batches or (self._armed and running.whole.find_reason(0)):
                self._end()


def _count_parameters(model: nn.Module) -> int:
    try:
        return sum(p.numel() for p in model.parameters() if not isinstance(p, nn.UninitializedParameter))
    except Exception:  # a student's own model may do anything when it is asked
        return 0


def _call_before(owner: Any, name: str, notice: Callable[[], None]) -> None:
    """Call `notice` before each call of a method."""

    @functools.wraps(getattr(owner, name))
    def call(*args: Any, **kwargs: Any) -> Any:
        notice()
        return stock(*args, **kwargs)

    stock = replace_attribute(owner, name, call)
