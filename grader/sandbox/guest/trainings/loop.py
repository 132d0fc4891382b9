"""One model that one statement trains: turns what the training hooks see into a trajectory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from grader.sandbox.guest.internals.d2l import read_trainer
from grader.sandbox.guest.internals.torch_devices import is_on_device
from grader.sandbox.guest.internals.torchvision import read_true_labels
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

_MAX_RECORDED = 4  # steps
_MAX_COMPARED_STEPS = 2  # with the reference gradients
_MAX_COMPARED = 12_500_000  # parameters, the smallest first: 50 MB
_MAX_PIXELS = 500_000  # of a batch whose gradients are compared
_MAX_WITNESSES = 20_000  # parameters whose values are compared before and after a step
_MAX_PENDING = 20  # losses; they are read together, because on a GPU a read waits for the computation
_READ_EVERY = 50  # steps, after the first ones, for what else is read from a GPU
_MAX_LOSSES = 200
_MAX_NAMES = 20
_WITH_MODES = (
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
)


class TrainingBatch(Protocol):
    """A training batch as a loader gave it out, with the indices of its images in the data set."""

    @property
    def images(self) -> Tensor:
        """Return the images, (n, channels, height, width)."""

    @property
    def labels(self) -> Tensor:
        """Return the labels that were given out, (n,)."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Return the indices of the images in the data set."""

    @property
    def data_set(self) -> Any:
        """Return torchvision's data set."""


class TrainingLoop:
    """Follows one model through a statement.

    Attributes:
        module: the model.
        trajectory: what was seen so far.
        end_reason: why the training makes no more progress ("nan" or "plateau"), or "".
    """

    def __init__(self, module: nn.Module) -> None:
        named = [(n, p) for n, p in module.named_parameters() if not isinstance(p, nn.UninitializedParameter)]
        by_size: list[Tensor] = sorted((p for _, p in named if p.requires_grad), key=lambda p: p.numel())
        self.module = module
        self.trajectory = Trajectory(
            model=type(module).__name__,
            parameters=sum(p.numel() for _, p in named),
            frozen=tuple(n for n, p in named if not p.requires_grad)[:_MAX_NAMES],
            has_modes=any(isinstance(part, _WITH_MODES) for part in module.modules()),
        )
        self.end_reason = ""
        self._named = named
        self._compared = _take_smallest(by_size, _MAX_COMPARED)
        self._witnesses = _take_smallest(by_size, _MAX_WITNESSES) or by_size[:1]
        self._values: list[Tensor] = []  # of the witnesses before a step
        self._gradients: list[Tensor] = []  # of the witnesses after a backward pass
        self._witness: Tensor | None = None  # a parameter that had a gradient at the last step
        self._optimised: set[int] = set()
        self._reached: set[str] = set()
        self._step: OptimiserStep | None = None
        self._reference: list[Tensor | None] = []
        self._passes = 0  # backward passes since the last step
        self._called: set[int] = set()
        self._pending: list[Tensor] = []
        self._progress = LossProgress()
        self._thinning = 1
        self._losses_seen = 0
        self._epoch_examples = 0

    def before_backward(
        self, loss: Any, forward: ForwardPass, call: LossCall | None, batch: TrainingBatch | None
    ) -> None:
        """Note that a backward pass is about to begin."""
        seen = self.trajectory
        self._note_change()
        if self._passes == 0 and self._witness is not None:
            self._note_gradient(self._witness.grad)
        self._passes += 1
        seen.backward_passes += 1
        seen.eval_passes += not forward.module.training
        seen.examples += len(forward.output) if forward.output.dim() else 0
        self._epoch_examples = len(batch.data_set) if batch is not None else 0
        self._keep_loss(_find_progress(loss, call))
        if self._step is None and len(seen.recorded) < _MAX_RECORDED:
            self._step = self._measure(loss, forward, call, batch)

    def after_backward(self) -> None:
        """Note that a backward pass has ended."""
        if self.trajectory.steps == 0 and self.trajectory.backward_passes <= _MAX_RECORDED:
            self._values = [p.detach().clone() for p in self._witnesses]
            self._gradients = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in self._witnesses]
            self._witness = _find_with_gradient(self._witnesses)

    def before_step(self, optimizer: torch.optim.Optimizer, closure: bool) -> None:
        """Note that a step of an optimiser is about to begin."""
        seen = self.trajectory
        self._note_settings(optimizer)
        seen.closure |= closure
        if len(seen.recorded) >= _MAX_RECORDED or closure:
            return
        self._optimised |= {id(p) for group in optimizer.param_groups for p in group["params"]}
        step = self._step = self._step or OptimiserStep(0)
        gradients = [p.grad for _, p in self._named if p.requires_grad and p.grad is not None]
        step.gradient = "missing" if not gradients else "there" if any(g.any() for g in gradients) else "zero"
        step.unreached = self._find_unreached()
        self._reached |= {name for name, p in self._named if p.grad is not None}
        if self._passes == 1 and self._reference:
            step.cosine, step.scale = measure_agreement([p.grad for p in self._compared], self._reference)
        self._values = [p.detach().clone() for p in self._witnesses]
        self._witness = _find_with_gradient(p for p in self._witnesses if id(p) in self._optimised)

    def after_step(self) -> None:
        """Note that a step of an optimiser has ended."""
        self.trajectory.recorded += [self._step] if self._step is not None else []
        self._step, self._reference, self._passes = None, [], 0
        self.trajectory.steps += 1

    def finish(self) -> Trajectory:
        """Return the trajectory after the statement has ended."""
        seen = self.trajectory
        self._take_losses()
        self._note_change()
        if seen.steps == 0:
            seen.recorded += [self._step] if self._step is not None else []
            seen.steps = seen.backward_passes if seen.optimizer else 0
        elif self._optimised:
            left_out = [n for n, p in self._named if p.requires_grad and id(p) not in self._optimised]
            seen.left_out = tuple(name for name in left_out if name in self._reached)[:_MAX_NAMES]
        seen.planned_epochs = read_trainer(self.module, "max_epochs")
        finished = self._count_epochs() if self._epoch_examples or seen.planned_epochs else None
        seen.epochs = finished if seen.ended or seen.planned_epochs is None else seen.planned_epochs
        return seen

    def _measure(
        self, loss: Any, forward: ForwardPass, call: LossCall | None, batch: TrainingBatch | None
    ) -> OptimiserStep:
        """Return the numbers of the step that begins, and compute the reference gradients if that costs little."""
        seen, images, scores = self.trajectory, forward.images, forward.output
        self._called = forward.called
        recognised = recognise_batch(images, batch)
        target = call.target if call is not None else recognised.labels if recognised is not None else None
        step = measure_step(loss, scores, call, target)
        if images is not None:
            seen.size = tuple(images.shape[1:])
            lowest, highest = images.aminmax()
            seen.lowest, seen.highest = min(seen.lowest, float(lowest)), max(seen.highest, float(highest))
            if len(seen.recorded) < _MAX_COMPARED_STEPS and images.numel() <= _MAX_PIXELS:
                self._reference = compute_reference_gradients(scores, target, self._compared)
        if recognised is not None and target is not None and target.shape == recognised.labels.shape:
            step.labels = tuple(zip(_read_true_labels(recognised), target.tolist(), strict=True))
        return step

    def _note_change(self) -> None:
        """Note whether the parameters changed since the last step, or since the last backward pass."""
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

    def _note_gradient(self, gradient: Tensor | None) -> None:
        """Note whether a gradient that was used is still there."""
        seen = self.trajectory
        if gradient is None:
            seen.cleared += 1
        elif self._may_read(gradient):
            kept = bool(gradient.any())
            seen.kept, seen.cleared = seen.kept + kept, seen.cleared + (not kept)

    def _may_read(self, tensor: Tensor) -> bool:
        """Return whether a tensor may be read in this step."""
        steps = self.trajectory.steps
        return steps < _MAX_PENDING or steps % _READ_EVERY == 0 or not is_on_device(tensor)

    def _note_settings(self, optimizer: torch.optim.Optimizer) -> None:
        seen, groups = self.trajectory, optimizer.param_groups
        if any(isinstance(group.get("lr"), Tensor) and not self._may_read(group["lr"]) for group in groups):
            return
        rates = [float(group.get("lr", math.nan)) for group in groups]
        # A schedule may begin or end with almost zero, so the rate that it is built around is noted too.
        scheduled = [float(g[key]) for g in groups for key in ("initial_lr", "max_lr") if isinstance(g.get(key), float)]
        if not seen.optimizer:
            seen.optimizer, seen.lr = type(optimizer).__name__, rates[0]
            seen.momentum = any(bool(group.get("momentum")) for group in groups)
        seen.lowest_lr = min(seen.lowest_lr, *rates)
        seen.highest_lr = max(seen.highest_lr, *rates, *scheduled)

    def _find_unreached(self) -> tuple[str, ...]:
        """Return the parameters of modules that ran but that no gradient reached."""
        ran = [(name, part) for name, part in self.module.named_modules() if name and id(part) in self._called]
        return tuple(
            f"{name}.{own}"
            for name, part in ran
            for own, p in part.named_parameters(recurse=False)
            if p.requires_grad and p.grad is None
        )[:_MAX_NAMES]

    def _keep_loss(self, loss: Any) -> None:
        if isinstance(loss, Tensor) and loss.numel() == 1:
            self._pending.append(loss.detach().reshape(()))
        if len(self._pending) >= _MAX_PENDING:
            self._take_losses()

    def _take_losses(self) -> None:
        losses = _read_numbers(self._pending)
        self._pending.clear()
        self.end_reason = self._progress.add(losses, self._count_epochs())
        kept = self.trajectory.losses
        for loss in losses:
            if self._losses_seen % self._thinning == 0:
                kept.append(loss)
            self._losses_seen += 1
        if len(kept) >= _MAX_LOSSES:
            kept[:] = kept[::2]
            self._thinning *= 2

    def _count_epochs(self) -> int:
        """Return how many epochs are finished. An epoch without its last, smaller batch counts as a whole one."""
        counted = read_trainer(self.module, "epoch")
        if counted is not None:
            return counted
        return int(self.trajectory.examples / self._epoch_examples + 0.02) if self._epoch_examples else 0


def _find_progress(loss: Any, call: LossCall | None) -> Any:
    """Return the loss that tells how far the training is: on a GPU a GradScaler multiplies it, more and more."""
    if call is None or not isinstance(call.result, Tensor) or call.result.numel() != 1:
        return loss
    return call.result if is_on_device(call.result) else loss


def _read_numbers(tensors: Sequence[Tensor]) -> list[float]:
    """Return the numbers in tensors of one element, read at once if that is possible."""
    if len({(tensor.device, tensor.dtype) for tensor in tensors}) == 1:
        return [float(number) for number in torch.stack(list(tensors)).tolist()]
    return [float(tensor) for tensor in tensors]


def _find_with_gradient(parameters: Iterable[Tensor]) -> Tensor | None:
    return next((p for p in parameters if p.grad is not None and bool(p.grad.any())), None)


def _take_smallest(parameters: Sequence[Tensor], most: int) -> list[Tensor]:
    """Return the first parameters, as long as they have at most `most` entries together."""
    taken: list[Tensor] = []
    total = 0
    for parameter in parameters:
        total += parameter.numel()
        if total > most:
            break
        taken.append(parameter)
    return taken


def recognise_batch(images: Tensor | None, batch: TrainingBatch | None) -> TrainingBatch | None:
    """Return the batch if these are its images, possibly scaled and shifted, or None."""
    if images is None or batch is None or images.numel() != batch.images.numel() or len(images) != len(batch.images):
        return None
    with torch.no_grad():
        flat = [pixels.to(images.device).flatten(1).float() for pixels in (images, batch.images)]
        centred = [pixels - pixels.mean(1, keepdim=True) for pixels in flat]
        cosines = nn.functional.cosine_similarity(centred[0], centred[1])
    return batch if bool((cosines > 0.999).all()) else None


def _read_true_labels(batch: TrainingBatch) -> list[int]:
    """Return the labels of these images in the data set's files, whatever was done to the object."""
    labels = read_true_labels(batch.data_set)
    return [int(label) for label in labels[list(batch.indices)]]
