"""Looks over the shoulder of a training loop: the hooks that note its first steps, and end it where it is cut.

Runs in the student's process, so it is advisory: a student can break or fool it. It changes no number of the training,
and where it breaks it falls silent. Its hooks are in place only while a statement runs, in a kernel that has made an
optimiser for a model of some size or a data set of images.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

import torch
from torch import Tensor, nn
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

from grader.models.recipe import Mode
from grader.sandbox.guest.trainings.cutoff import Cutoff, TrainingCut
from grader.sandbox.guest.trainings.loop import TrainingBatch, TrainingLoop, recognise_batch
from grader.sandbox.guest.trainings.trajectory import ForwardPass, LossCall

__all__ = ["TrainingHooks"]

_SMALL = 1_000  # parameters; the kernels that section 7.2.4 learns are let alone
# What the functions of torch.nn.functional call, whichever way a student imported those.
_LOSSES: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (torch._C._nn, ("cross_entropy_loss", "nll_loss_nd", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")),
    (torch._C._nn, ("multi_margin_loss", "binary_cross_entropy")),
    (torch, ("binary_cross_entropy_with_logits", "kl_div")),
)

P = ParamSpec("P")


@dataclass
class _Statement:
    """What runs now: the models it trains, its last forward pass and losses, and how deep in modules it is."""

    cutoff: Cutoff
    loops: dict[int, TrainingLoop] = field(default_factory=dict)
    current: TrainingLoop | None = None
    forward: ForwardPass | None = None
    calls: list[LossCall] = field(default_factory=list)
    depth: int = 0
    ran: set[int] = field(default_factory=set)  # modules, in the outermost one that runs now
    steps: int = 0
    passes: int = 0  # backward


def _silent(method: Callable[Concatenate[TrainingHooks, P], None]) -> Callable[Concatenate[TrainingHooks, P], None]:
    """Let a method do nothing inside itself, and nothing ever again once it broke: the cell must not notice."""

    @functools.wraps(method)
    def quietly(self: TrainingHooks, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._busy or self._broken or not self._statements:
            return
        self._busy = True
        try:
            with torch.no_grad():
                method(self, *args, **kwargs)
        except Exception:  # of whatever a student's objects do when they are looked at
            self._broken = True
        finally:
            self._busy = False

    return quietly  # type: ignore[return-value]


class TrainingHooks:
    """Follows the trainings of a kernel.

    Args:
        mode: what is done with trainings, not `none`.
        latest: gives the last training batch that a loader gave out, None where there was none.
    """

    def __init__(self, mode: Mode, latest: Callable[[], TrainingBatch | None]) -> None:
        self._mode = mode
        self._latest = latest
        self._statements: list[_Statement] = []
        self._hooks = ExitStack()
        self._hooked = False
        self._armed = False
        self._images = False  # a data set of images was made
        self._busy = False
        self._broken = False

    def install(self) -> None:
        """Notice optimisers and data sets from now on."""
        vision = sys.modules.get("torchvision.datasets.vision")
        if vision is not None:
            _after(vision.VisionDataset, self._made_data_set)
        _after(torch.optim.Optimizer, self._made_optimizer)

    @property
    def follows(self) -> bool:
        """Tell whether a statement runs now."""
        return bool(self._statements)

    @contextmanager
    def statement(self, cell_started: float, cell_seconds: float) -> Iterator[list[TrainingLoop]]:
        """Follow a statement; the list has the models that it trained when it is over.

        In it a training that is cut raises TrainingCut.

        Args:
            cell_started: when the cell began (monotonic seconds).
            cell_seconds: how long the cell may take.
        """
        running = _Statement(Cutoff(self._mode, cell_started, cell_seconds))
        self._statements.append(running)
        found: list[TrainingLoop] = []
        try:
            if self._armed:
                self._hook()
            yield found
        finally:
            self._finish(running, found)
            self._statements.pop()
            if not self._statements:
                self._hooks.close()
                self._hooked = False

    @_silent
    def _finish(self, running: _Statement, found: list[TrainingLoop]) -> None:
        for loop in running.loops.values():
            loop.finish()
            found.append(loop)

    def _made_data_set(self, _: Any) -> None:
        self._images = True
        self._arm()

    def _made_optimizer(self, made: Any) -> None:
        if _size(made) > _SMALL:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        if self._statements:
            self._hook()

    def _hook(self) -> None:
        """Put the hooks in place; they go when no statement runs any more."""
        if self._hooked:
            return
        self._hooked = True
        for handle in (
            modules.register_module_forward_pre_hook(self._before_forward),
            modules.register_module_forward_hook(self._after_forward, always_call=True),
            optimizers.register_optimizer_step_pre_hook(self._before_step),
            optimizers.register_optimizer_step_post_hook(self._after_step),
        ):
            self._hooks.callback(handle.remove)
        for owner, names in _LOSSES:
            for name in names:
                self._replace(owner, name, functools.partial(self._loss, name))
        self._replace(torch.autograd, "backward", self._backward)

    def _replace(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        stock = getattr(owner, name)
        setattr(owner, name, functools.update_wrapper(functools.partial(replacement, stock), stock))
        self._hooks.callback(setattr, owner, name, stock)

    @_silent
    def _before_forward(self, module: nn.Module, _: Any) -> None:
        running = self._statements[-1]
        if running.depth == 0:
            running.ran = set()
        running.depth += 1
        running.ran.add(id(module))

    @_silent
    def _after_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        running = self._statements[-1]
        running.depth = max(0, running.depth - 1)
        if running.depth or not isinstance(output, Tensor) or not output.requires_grad:
            return
        if next(module.parameters(), None) is not None:
            # Losses of older passes would keep their whole graphs in memory.
            running.calls = [call for call in running.calls if call.forward is running.forward]
            running.forward = ForwardPass(module, inputs, output, running.ran)

    def _loss(self, name: str, stock: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = stock(*args, **kwargs)
        self._note_loss(name, result, args, kwargs)
        return result

    @_silent
    def _note_loss(self, name: str, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        running = self._statements[-1]
        if running.forward is None or not isinstance(args[0], Tensor) or not args[0].requires_grad:
            return
        plain = all(given is None for given in args[2:3]) and not any(args[5:6]) and not kwargs
        running.calls.append(LossCall(name, args[0], args[1], plain, result, running.forward))

    def _backward(self, stock: Callable[..., Any], tensors: Any, *args: Any, **kwargs: Any) -> None:
        self._before_backward(tensors)
        stock(tensors, *args, **kwargs)
        self._after_backward()
        running = self._statements[-1] if self._statements else None
        if running is not None and running.steps == 0 and running.current is not None:
            self._cut_where_due(running, running.passes)

    @_silent
    def _before_backward(self, tensors: Any) -> None:
        running = self._statements[-1]
        loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors))
        call = next((call for call in running.calls if call.result is loss), None) or _most_telling(running.calls)
        forward = call.forward if call is not None else running.forward
        running.calls, running.forward = [], None
        if forward is None:
            return
        running.passes += 1
        running.current = self._loop_of(running, forward, call)
        if running.current is not None:
            running.current.before_backward(loss, forward, call, self._latest())

    @_silent
    def _after_backward(self) -> None:
        current = self._statements[-1].current
        if current is not None:
            current.after_backward()

    def _before_step(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._note_step(optimizer, closure=bool(args[1:] or kwargs.get("closure")))

    @_silent
    def _note_step(self, optimizer: Any, closure: bool) -> None:
        running = self._statements[-1]
        if running.forward is not None and running.current is None:  # no backward pass led here
            running.current = self._loop_of(running, running.forward, _most_telling(running.calls))
        if running.current is not None:
            running.current.before_step(optimizer, closure)

    def _after_step(self, optimizer: Any, *_: Any) -> None:
        if self._statements:
            running = self._statements[-1]
            running.steps += 1
            self._note_step_done()
            if _size(optimizer) > _SMALL:
                self._cut_where_due(running, running.steps)

    @_silent
    def _note_step_done(self) -> None:
        current = self._statements[-1].current
        if current is not None:
            current.after_step()

    def _loop_of(self, running: _Statement, forward: ForwardPass, call: LossCall | None) -> TrainingLoop | None:
        """Return the loop of a model that learns to classify images or the like, None for any other."""
        known = running.loops.get(id(forward.module))
        if known is not None:
            return known
        size = sum(p.numel() for p in forward.module.parameters() if not isinstance(p, nn.UninitializedParameter))
        if size <= _SMALL or not (_has_labels(call) or recognise_batch(forward.images, self._latest())):
            return None
        return running.loops.setdefault(id(forward.module), TrainingLoop(forward.module))

    def _cut_where_due(self, running: _Statement, steps: int) -> None:
        """End the statement where its training is to end here.

        Raises TrainingCut.
        """
        why = running.cutoff.reached(steps)
        if not why and self._mode is Mode.FULL and running.current is not None:
            why = running.current.nothing_more
        if why and self._images:
            if running.current is not None:
                running.current.trajectory.ended = why
            raise TrainingCut(why)


def _most_telling(calls: list[LossCall]) -> LossCall | None:
    """Return the last cross-entropy, or the last loss where there is none."""
    return next((call for call in reversed(calls) if call.of_classes), calls[-1] if calls else None)


def _has_labels(call: LossCall | None) -> bool:
    """Tell whether a loss function was given several different class numbers."""
    if call is None or not call.of_classes or call.target.is_floating_point():
        return False
    return bool((call.target != call.target.flatten()[0]).any())


def _size(optimizer: Any) -> float:
    """Return how many parameters an optimiser has; those of lazy layers may be any number."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if any(isinstance(p, nn.UninitializedParameter) for p in parameters):
        return float("inf")
    return float(sum(p.numel() for p in parameters))


def _after(made: Any, notice: Callable[[Any], None]) -> None:
    """Have a class tell of each object that was initialised."""
    initialise = made.__init__

    @functools.wraps(initialise)
    def initialise_and_tell(self: Any, *args: Any, **kwargs: Any) -> None:
        initialise(self, *args, **kwargs)
        notice(self)

    made.__init__ = initialise_and_tell
