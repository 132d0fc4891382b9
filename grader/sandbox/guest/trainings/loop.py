"""One model that one statement trains: turns what the hooks see into a trajectory."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from grader.sandbox.guest.trainings.cutoff import LossProgress
from grader.sandbox.guest.trainings.trajectory import (
    BY_HAND,
    ForwardPass,
    LossCall,
    OptimiserStep,
    Trajectory,
    compute_reference_gradients,
    measure_agreement,
    measure_step,
)

__all__ = ["TrainingBatch", "TrainingLoop", "recognise_batch"]

_RECORDED = 4  # steps
_COMPARED = 2  # steps, with the reference gradients
_MOST_COMPARED = 12_500_000  # parameters, the smallest first: 50 MB
_MOST_PIXELS = 500_000  # of a batch whose gradients are compared
_MOST_WITNESSES = 20_000  # parameters whose values are looked at before and after a step
_PENDING = 20  # losses; on a GPU to look at each would wait for each
_MOST_LOSSES = 200
_MOST_NAMES = 20
_MODES = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


class TrainingBatch(Protocol):
    """A training batch as a loader gave it out, with the places that its images have in the data set."""

    @property
    def images(self) -> Tensor:
        """Return the images, (n, channels, height, width)."""

    @property
    def labels(self) -> Tensor:
        """Return the labels that were given out, (n,)."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Return where in the data set they are."""

    @property
    def data_set(self) -> Any:
        """Return torchvision's data set."""


class TrainingLoop:
    """Follows one model through a statement."""

    def __init__(self, module: nn.Module) -> None:
        named = [(n, p) for n, p in module.named_parameters() if not isinstance(p, nn.UninitializedParameter)]
        by_size: list[Tensor] = sorted((p for _, p in named if p.requires_grad), key=lambda p: p.numel())
        self.module = module
        self.trajectory = Trajectory(
            model=type(module).__name__,
            parameters=sum(p.numel() for _, p in named),
            frozen=tuple(n for n, p in named if not p.requires_grad)[:_MOST_NAMES],
            has_modes=any(isinstance(each, _MODES) for each in module.modules()),
        )
        self.nothing_more = ""
        self._named = named
        self._compared = _up_to(by_size, _MOST_COMPARED)
        self._witnesses = _up_to(by_size, _MOST_WITNESSES) or by_size[:1]
        self._values: list[Tensor] = []  # of the witnesses, before a step
        self._gradients: list[Tensor] = []  # of the witnesses, after a backward pass
        self._witness: Tensor | None = None  # had a gradient at the last step
        self._optimised: set[int] = set()
        self._reached: set[str] = set()
        self._step: OptimiserStep | None = None
        self._reference: list[Tensor | None] = []
        self._passes = 0  # backward passes since the last step
        self._called: set[int] = set()
        self._pending: list[Tensor] = []
        self._progress = LossProgress()
        self._thinning = 1
        self._taken = 0
        self._epoch_examples = 0

    def before_backward(
        self, loss: Any, forward: ForwardPass, call: LossCall | None, batch: TrainingBatch | None
    ) -> None:
        """Note a backward pass that is about to begin."""
        seen = self.trajectory
        self._note_change()
        if self._passes == 0 and self._witness is not None:
            left = self._witness.grad is not None and bool(self._witness.grad.any())
            seen.kept, seen.cleared = seen.kept + left, seen.cleared + (not left)
        self._passes += 1
        seen.backward_passes += 1
        seen.eval_passes += not forward.module.training
        seen.examples += len(forward.output) if forward.output.dim() else 0
        self._epoch_examples = len(batch.data_set) if batch is not None else 0
        self._keep_loss(loss)
        if self._step is None and len(seen.recorded) < _RECORDED:
            self._step = self._measure(loss, forward, call, batch)

    def after_backward(self) -> None:
        """Note a backward pass that is over."""
        if self.trajectory.steps == 0 and self.trajectory.backward_passes <= _RECORDED:
            self._values = [p.detach().clone() for p in self._witnesses]
            self._gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self._witnesses]
            self._witness = _with_gradient(self._witnesses)

    def before_step(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        """Note a step of an optimiser that is about to begin."""
        seen = self.trajectory
        self._note_settings(optimizer)
        seen.closure |= closure
        seen.accumulates |= self._passes > 1
        if len(seen.recorded) >= _RECORDED or closure:
            return
        self._optimised |= {id(p) for group in optimizer.param_groups for p in group["params"]}
        step = self._step = self._step or OptimiserStep(0)
        gradients = [p.grad for _, p in self._named if p.requires_grad and p.grad is not None]
        step.gradient = "missing" if not gradients else "there" if any(g.any() for g in gradients) else "zero"
        step.unreached = self._unreached()
        self._reached |= {name for name, p in self._named if p.grad is not None}
        if self._passes == 1 and self._reference:
            step.cosine, step.scale = measure_agreement([p.grad for p in self._compared], self._reference)
        self._values = [p.detach().clone() for p in self._witnesses]
        self._witness = _with_gradient(p for p in self._witnesses if id(p) in self._optimised)

    def after_step(self) -> None:
        """Note a step of an optimiser that is over."""
        self.trajectory.recorded += [self._step] if self._step is not None else []
        self._step, self._reference, self._passes = None, [], 0
        self.trajectory.steps += 1

    def finish(self) -> Trajectory:
        """Return the trajectory when the statement is over."""
        seen = self.trajectory
        self._take_losses()
        self._note_change()
        if seen.steps == 0:
            seen.recorded += [self._step] if self._step is not None else []
            seen.steps = seen.backward_passes if seen.optimizer else 0
        elif self._optimised:
            left_out = [n for n, p in self._named if p.requires_grad and id(p) not in self._optimised]
            seen.left_out = tuple(name for name in left_out if name in self._reached)[:_MOST_NAMES]
        seen.planned_epochs = self._of_trainer("max_epochs")
        over = self._epoch() if self._epoch_examples or seen.planned_epochs else None
        seen.epochs = over if seen.ended or seen.planned_epochs is None else seen.planned_epochs
        return seen

    def _measure(
        self, loss: Any, forward: ForwardPass, call: LossCall | None, batch: TrainingBatch | None
    ) -> OptimiserStep:
        """Return the numbers of the step that begins, and take the reference gradients where that costs little."""
        seen, images, scores = self.trajectory, forward.images, forward.output
        self._called = forward.called
        shown = recognise_batch(images, batch)
        target = call.target if call is not None else shown.labels if shown is not None else None
        step = measure_step(loss, scores, call, target)
        if images is not None:
            seen.size = tuple(images.shape[1:])
            lowest, highest = images.aminmax()
            seen.lowest, seen.highest = min(seen.lowest, float(lowest)), max(seen.highest, float(highest))
            if len(seen.recorded) < _COMPARED and images.numel() <= _MOST_PIXELS:
                self._reference = compute_reference_gradients(scores, target, self._compared)
        if shown is not None and target is not None and target.shape == shown.labels.shape:
            step.labels = tuple(zip(_true_labels(shown), target.tolist(), strict=True))
        return step

    def _note_change(self) -> None:
        """Note whether the parameters are others than at the last step, or than at the last backward pass."""
        if not self._values:
            return
        changes = [before - p.detach() for before, p in zip(self._values, self._witnesses, strict=True)]
        changed = any(bool(change.any()) for change in changes)
        if self.trajectory.steps and self.trajectory.recorded:
            self.trajectory.recorded[-1].changed = changed
        elif changed and self.trajectory.optimizer in ("", BY_HAND):
            cosine, scale = measure_agreement(changes, self._gradients)
            self.trajectory.optimizer, self.trajectory.lr = BY_HAND, scale if cosine > 0.999 else math.nan
            self._passes = 0
        self._values = []

    def _note_settings(self, optimizer: torch.optim.Optimizer) -> None:
        seen, groups = self.trajectory, optimizer.param_groups
        rates = [float(group.get("lr", math.nan)) for group in groups]
        # A schedule may begin or end with next to nothing; what it is built around is noted too.
        around = [float(g[key]) for g in groups for key in ("initial_lr", "max_lr") if isinstance(g.get(key), float)]
        if not seen.optimizer:
            seen.optimizer, seen.lr = type(optimizer).__name__, rates[0]
            seen.momentum = any(bool(group.get("momentum")) for group in groups)
        seen.lowest_lr = min(seen.lowest_lr, *rates)
        seen.highest_lr = max(seen.highest_lr, *rates, *around)

    def _unreached(self) -> tuple[str, ...]:
        """Return the parameters of modules that ran, and that no gradient reached."""
        ran = [(name, each) for name, each in self.module.named_modules() if name and id(each) in self._called]
        return tuple(
            f"{name}.{own}"
            for name, each in ran
            for own, p in each.named_parameters(recurse=False)
            if p.requires_grad and p.grad is None
        )[:_MOST_NAMES]

    def _keep_loss(self, loss: Any) -> None:
        if isinstance(loss, Tensor) and loss.numel() == 1:
            self._pending.append(loss.detach().reshape(()))
        if len(self._pending) >= _PENDING:
            self._take_losses()

    def _take_losses(self) -> None:
        losses = [float(loss) for loss in self._pending]
        self._pending.clear()
        self.nothing_more = self._progress.add(losses, self._epoch())
        kept = self.trajectory.losses
        for loss in losses:
            if self._taken % self._thinning == 0:
                kept.append(loss)
            self._taken += 1
        if len(kept) >= _MOST_LOSSES:
            kept[:] = kept[::2]
            self._thinning *= 2

    def _epoch(self) -> int:
        """Return how many epochs are over; one that leaves out its last, smaller batch is whole."""
        told = self._of_trainer("epoch")
        if told is not None:
            return told
        return int(self.trajectory.examples / self._epoch_examples + 0.02) if self._epoch_examples else 0

    def _of_trainer(self, name: str) -> int | None:
        """Return a number that the model's d2l.Trainer keeps."""
        value = getattr(getattr(self.module, "trainer", None), name, None)
        return value if isinstance(value, int) else None


def _with_gradient(parameters: Iterable[Tensor]) -> Tensor | None:
    return next((p for p in parameters if p.grad is not None and bool(p.grad.any())), None)


def _up_to(parameters: Sequence[Tensor], most: int) -> list[Tensor]:
    """Return the first parameters that have no more entries together."""
    taken: list[Tensor] = []
    total = 0
    for parameter in parameters:
        total += parameter.numel()
        if total > most:
            break
        taken.append(parameter)
    return taken


def recognise_batch(images: Tensor | None, batch: TrainingBatch | None) -> TrainingBatch | None:
    """Return the batch where these are its images, scaled and shifted or not."""
    if images is None or batch is None or images.numel() != batch.images.numel() or len(images) != len(batch.images):
        return None
    with torch.no_grad():
        ours, theirs = (each.flatten(1).float().cpu() for each in (images, batch.images))
        ours, theirs = (each - each.mean(1, keepdim=True) for each in (ours, theirs))
        cosines = nn.functional.cosine_similarity(ours, theirs)
    return batch if bool((cosines > 0.999).all()) else None


def _true_labels(batch: TrainingBatch) -> list[int]:
    """Return the labels that the files of the data set have for these images, whatever was done to the object."""
    read = sys.modules["torchvision.datasets.mnist"].read_label_file  # there is a batch, so there is torchvision
    labels = read(str(Path(batch.data_set.raw_folder) / "train-labels-idx1-ubyte"))
    return [int(label) for label in labels[list(batch.indices)]]
