"""The training hooks: they note the first steps of a training loop, and end a training that is to be cut.

They run in the student's process, so they are advisory: a student can break or fool them. They change no number of the
training, and stop noting anything if they fail. They are in place only while a statement runs, in a kernel that has
made a data set of images or an optimiser for a model that is not tiny.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec

import torch
from torch import Tensor, nn
from torch.nn.modules import module as modules
from torch.optim import optimizer as optimizers

from grader.models.recipe import Mode
from grader.sandbox.guest.internals.replacement import call_after_init, replace_attribute
from grader.sandbox.guest.internals.torch import LOSS_FUNCTIONS
from grader.sandbox.guest.internals.torch_devices import is_on_device
from grader.sandbox.guest.internals.torchvision import call_after_data_set
from grader.sandbox.guest.trainings.cutoff import Cutoff, TrainingCut
from grader.sandbox.guest.trainings.loop import TrainingBatch, TrainingLoop, recognise_batch
from grader.sandbox.guest.trainings.trajectory import ForwardPass, LossCall

__all__ = ["SMALL", "TrainingHooks", "count_parameters"]

SMALL = 1_000  # parameters; the kernels that section 7.2.4 learns are not followed
_MAX_LOOKS = 10  # at a model on a GPU that does not seem to learn classes

P = ParamSpec("P")


@dataclass
class _Statement:
    """A running statement: the models it trains, its last forward pass and losses, and how deep in modules it is."""

    cutoff: Cutoff
    loops: dict[int, TrainingLoop] = field(default_factory=dict)
    current: TrainingLoop | None = None
    forward: ForwardPass | None = None
    calls: list[LossCall] = field(default_factory=list)
    depth: int = 0
    ran: set[int] = field(default_factory=set)  # ids of modules, in the outermost one that runs now
    looks: Counter[int] = field(default_factory=Counter)  # at models that are not followed, by their ids
    steps: int = 0
    backward_passes: int = 0


def _silent(method: Callable[Concatenate[TrainingHooks, P], None]) -> Callable[Concatenate[TrainingHooks, P], None]:
    """Let a method do nothing inside itself, and nothing any more once it failed: the cell must not notice."""

    @functools.wraps(method)
    def quietly(self: TrainingHooks, *args: P.args, **kwargs: P.kwargs) -> None:
        if self._busy or self._broken or not self._statements:
            return
        self._busy = True
        try:
            with torch.no_grad():
                method(self, *args, **kwargs)
        except Exception:  # whatever a student's objects do when they are looked at
            self._broken = True
        finally:
            self._busy = False

    return quietly  # type: ignore[return-value]


class TrainingHooks:
    """Follows the trainings of a kernel.

    Args:
        mode: `quick` or `full`.
        latest: returns the last training batch that a loader gave out, or None.
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
        call_after_data_set(self._note_data_set)
        call_after_init(torch.optim.Optimizer, self._note_optimizer)

    @contextmanager
    def statement(self, cell_started: float, cell_seconds: float) -> Iterator[list[TrainingLoop]]:
        """Follow a statement. The list has the models that it trained once it has ended.

        A training that is cut raises TrainingCut in the statement.

        Args:
            cell_started: when the cell began (monotonic seconds).
            cell_seconds: how long the cell may take.
        """
        running = _Statement(Cutoff(self._mode, cell_started, cell_seconds))
        self._statements.append(running)
        trained: list[TrainingLoop] = []
        try:
            if self._armed:
                self._hook()
            yield trained
        finally:
            self._finish(running, trained)
            self._statements.pop()
            if not self._statements:
                self._hooks.close()
                self._hooked = False

    @_silent
    def _finish(self, running: _Statement, trained: list[TrainingLoop]) -> None:
        for loop in running.loops.values():
            loop.finish()
            trained.append(loop)

    def _note_data_set(self, _: Any) -> None:
        self._images = True
        self._arm()

    def _note_optimizer(self, optimizer: Any) -> None:
        if count_parameters(optimizer) > SMALL:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        if self._statements:
            self._hook()

    def _hook(self) -> None:
        """Put the hooks in place until no statement runs any more."""
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
        for owner, names in LOSS_FUNCTIONS:
            for name in names:
                self._replace(owner, name, functools.partial(self._loss, name))
        self._replace(torch.autograd, "backward", self._backward)

    def _replace(self, owner: Any, name: str, replacement: Callable[..., Any]) -> None:
        stock = getattr(owner, name)
        replace_attribute(owner, name, functools.update_wrapper(functools.partial(replacement, stock), stock))
        self._hooks.callback(setattr, owner, name, stock)

    # These two run for each layer, so they do as little as possible, and nothing that can fail.
    def _before_forward(self, module: nn.Module, _: Any) -> None:
        if self._busy or self._broken or not self._statements:
            return
        running = self._statements[-1]
        if running.depth == 0:
            running.ran = set()
        running.depth += 1
        running.ran.add(id(module))

    def _after_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if self._busy or self._broken or not self._statements:
            return
        running = self._statements[-1]
        running.depth = max(0, running.depth - 1)
        if not running.depth:
            self._note_forward(module, inputs, output)

    @_silent
    def _note_forward(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        running = self._statements[-1]
        if not isinstance(output, Tensor) or not output.requires_grad:
            return
        if next(module.parameters(), None) is not None:
            # Losses of earlier passes would keep their whole graphs in memory.
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
        plain = all(weight is None for weight in args[2:3]) and not any(args[5:6]) and not kwargs
        running.calls.append(LossCall(name, args[0], args[1], plain, result, running.forward))

    def _backward(self, stock: Callable[..., Any], tensors: Any, *args: Any, **kwargs: Any) -> None:
        self._before_backward(tensors)
        stock(tensors, *args, **kwargs)
        self._after_backward()
        running = self._statements[-1] if self._statements else None
        if running is not None and running.steps == 0 and running.current is not None:
            self._cut_if_due(running, running.backward_passes)

    @_silent
    def _before_backward(self, tensors: Any) -> None:
        running = self._statements[-1]
        loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors))
        call = next((call for call in running.calls if call.result is loss), None) or _choose_loss(running.calls)
        forward = call.forward if call is not None else running.forward
        running.calls, running.forward = [], None
        if forward is None:
            return
        running.backward_passes += 1
        running.current = self._find_loop(running, forward, call)
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
        if running.forward is not None and running.current is None:  # there was no backward pass
            running.current = self._find_loop(running, running.forward, _choose_loss(running.calls))
        if running.current is not None:
            running.current.before_step(optimizer, closure)

    def _after_step(self, optimizer: Any, *_: Any) -> None:
        if self._statements:
            running = self._statements[-1]
            running.steps += 1
            self._note_step_done()
            if count_parameters(optimizer) > SMALL:
                self._cut_if_due(running, running.steps)

    @_silent
    def _note_step_done(self) -> None:
        current = self._statements[-1].current
        if current is not None:
            current.after_step()

    def _find_loop(self, running: _Statement, forward: ForwardPass, call: LossCall | None) -> TrainingLoop | None:
        """Return the loop of a model that learns to classify, or None for any other model."""
        known = running.loops.get(id(forward.module))
        if known is not None:
            return known
        if is_on_device(forward.output) and running.looks[id(forward.module)] >= _MAX_LOOKS:
            return None
        running.looks[id(forward.module)] += 1
        size = sum(p.numel() for p in forward.module.parameters() if not isinstance(p, nn.UninitializedParameter))
        if size <= SMALL or not (_has_labels(call) or recognise_batch(forward.images, self._latest())):
            return None
        return running.loops.setdefault(id(forward.module), TrainingLoop(forward.module))

    def _cut_if_due(self, running: _Statement, steps: int) -> None:
        """End the statement if its training is to end here.

        Raises:
            TrainingCut: it is.
        """
        reason = running.cutoff.find_reason(steps)
        if not reason and self._mode is Mode.FULL and running.current is not None:
            reason = running.current.end_reason
        if reason and self._images:
            if running.current is not None:
                running.current.trajectory.ended = reason
            raise TrainingCut(reason)


def _choose_loss(calls: list[LossCall]) -> LossCall | None:
    """Return the last call of the cross-entropy, or the last call if there is none."""
    return next((call for call in reversed(calls) if call.of_classes), calls[-1] if calls else None)


def _has_labels(call: LossCall | None) -> bool:
    """Return whether the loss function got more than one class number."""
    if call is None or not call.of_classes or call.target.is_floating_point():
        return False
    return bool((call.target != call.target.flatten()[0]).any())


def count_parameters(optimizer: Any) -> float:
    """Return how many parameters an optimiser has, infinity if some belong to lazy layers."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    if any(isinstance(p, nn.UninitializedParameter) for p in parameters):
        return float("inf")
    return float(sum(p.numel() for p in parameters))
