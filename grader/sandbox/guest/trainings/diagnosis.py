"""What is wrong with a training loop, judged by its numbers and not by its source.

Each rule knows one mistake and says nothing if the numbers leave a doubt: clipped gradients, schedules, weight decay,
label smoothing, gradients accumulated over several batches and custom losses are not mistakes.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable

from grader.sandbox.guest.trainings.trajectory import BY_HAND, OptimiserStep, Trajectory

__all__ = ["diagnose"]

_ENOUGH = 3  # steps or backward passes, before something that never happened counts as missing
_USUAL_BATCH = 64  # images; `quick` cuts batches, and a student's batches may be smaller
# From a tenth of the sensible choices to ten times of them.
_RATES = {
    "SGD": (0.005, 1.0),
    "SGD with momentum": (0.0005, 0.5),
    **dict.fromkeys(("Adam", "AdamW", "NAdam", "RAdam", "Adamax", "RMSprop"), (1e-5, 2e-2)),
}
_OTHER_LOSSES = {
    "mse_loss": "the mean squared error",
    "l1_loss": "the mean absolute error",
    "smooth_l1_loss": "a smooth absolute error",
    "huber_loss": "the Huber loss",
}
_ACTIVATIONS = {"SigmoidBackward": "a sigmoid", "ReluBackward": "a ReLU", "TanhBackward": "a tanh"}


def diagnose(seen: Trajectory) -> tuple[tuple[str, str], ...]:
    """Return the mistakes in a training loop: a stable name, and a sentence that says what was seen and what to do."""
    findings = ((name, rule(seen)) for name, rule in _RULES.items())
    return tuple((name, text) for name, text in findings if text)


def _no_backward(seen: Trajectory) -> str:
    if seen.steps < _ENOUGH or seen.backward_passes or seen.closure or _any(seen, lambda s: s.gradient == "there"):
        return ""
    return f"{seen.optimizer} makes steps and no backward pass comes before them: call loss.backward() before each step"


def _no_step(seen: Trajectory) -> str:
    if seen.optimizer or seen.backward_passes < _ENOUGH:
        return ""
    return (
        f"{seen.backward_passes} backward passes change no parameter of {seen.model}: "
        "call optimizer.step() after backward()"
    )


def _no_gradient(seen: Trajectory) -> str:
    if not seen.backward_passes or not seen.recorded or seen.closure or not seen.steps or seen.optimizer == BY_HAND:
        return ""
    if not all(step.gradient in ("missing", "zero") for step in seen.recorded):
        return ""
    return (
        f"when {seen.optimizer} makes its step, the gradients of {seen.model} are gone or zero: call zero_grad() "
        "before backward() and not after it, and compute the loss from the model's output itself"
    )


def _no_zero_grad(seen: Trajectory) -> str:
    if seen.kept < _ENOUGH - 1 or seen.cleared:
        return ""
    return (
        "your loop never sets the gradients to zero, so that each step adds those of all earlier ones: "
        "call optimizer.zero_grad() before each backward()"
    )


def _softmax_before_loss(seen: Trajectory) -> str:
    if not _all(seen, lambda s: s.probabilities and s.examples > 1):
        return ""
    if _all(seen, lambda s: s.loss_function == "cross_entropy_loss"):
        return (
            "the scores that cross_entropy is given are probabilities already, and it takes the softmax once more: "
            "leave out your softmax"
        )
    if _all(seen, lambda s: s.loss_function == "nll_loss_nd"):
        return "nll_loss is given probabilities and wants their logarithms: use log_softmax instead of softmax"
    return ""


def _activation_before_loss(seen: Trajectory) -> str:
    last = {step.last_operation.rstrip("0123456789") for step in seen.recorded}
    name = _ACTIVATIONS.get(last.pop()) if len(last) == 1 else None
    if name is None or not _all(seen, lambda s: s.loss_function == "cross_entropy_loss"):
        return ""
    return (
        f"your model ends with {name}, which bounds the scores that cross_entropy is given: "
        "let it end with its last linear layer"
    )


def _sum_loss(seen: Trajectory) -> str:
    summed = _all(seen, lambda s: s.plain and s.examples > 2 and _near(s.loss, s.examples * s.expected))
    if not summed or seen.optimizer != "SGD" or seen.lr * _USUAL_BATCH <= _RATES["SGD"][1]:
        return ""
    return (
        f"your loss is the sum over the batch and not its mean, which with lr={seen.lr:g} makes each step as many "
        "times too long as the batch has images: leave reduction at 'mean'"
    )


def _wrong_loss(seen: Trajectory) -> str:
    if _all(seen, lambda s: _near(s.loss, -s.expected)):
        return "your loop makes the cross-entropy larger with every step: leave out the minus sign before the loss"
    if _all(seen, lambda s: s.loss_function == "nll_loss_nd" and not (s.probabilities or s.log_probabilities)):
        return "nll_loss is given scores and wants logarithms of probabilities: use cross_entropy instead"
    other = {_OTHER_LOSSES.get(step.loss_function, "") for step in seen.recorded}
    if not seen.recorded or any(_near(step.loss, step.expected) for step in seen.recorded):
        return ""
    if _all(seen, lambda s: not s.loss_function and _near(s.loss, s.squared_error)):
        other = {_OTHER_LOSSES["mse_loss"]}
    name = other.pop()
    if not name or other:
        return ""
    return f"your loop makes {name} small, another loss than the book's: use cross_entropy to learn classes"


def _labels_not_of_images(seen: Trajectory) -> str:
    pairs = [pair for step in seen.recorded for pair in step.labels]
    wrong = sum(true != used for true, used in pairs)
    if len(pairs) < 8 or wrong < len(pairs) / 2:
        return ""
    # Classes that are only numbered differently can be learned as well.
    used_for: dict[int, Counter[int]] = defaultdict(Counter)
    for true, used in pairs:
        used_for[true][used] += 1
    if sum(max(counter.values()) for counter in used_for.values()) > 0.8 * len(pairs):
        return ""
    return (
        f"{wrong} of the first {len(pairs)} labels that your loss was given are not those of the images in the batch: "
        "keep images and labels together"
    )


def _parameters_left_out(seen: Trajectory) -> str:
    if not seen.left_out:
        return ""
    return (
        f"{seen.optimizer} does not have {_join(seen.left_out)} of {seen.model}: "
        "give it model.parameters() of the model that you train"
    )


def _frozen_parameters(seen: Trajectory) -> str:
    if seen.frozen:
        return f"{_join(seen.frozen)} of {seen.model} cannot be trained: leave requires_grad at True"
    unreached = {step.unreached for step in seen.recorded if step.gradient == "there"}
    if not seen.steps or seen.optimizer == BY_HAND or len(unreached) != 1 or not (names := unreached.pop()):
        return ""
    return f"no gradient reaches {_join(names)} of {seen.model}: leave out no_grad() and detach() in the forward pass"


def _learning_rate(seen: Trajectory) -> str:
    name = "SGD with momentum" if seen.optimizer == "SGD" and seen.momentum else seen.optimizer
    if name not in _RATES or not seen.steps or _any(seen, lambda s: not _is_usual_loss(s.loss, s.expected)):
        return ""
    low, high = _RATES[name]
    if seen.highest_lr < low:
        return f"a learning rate of {seen.highest_lr:g} is far too small for {name}: try {_usual_rate(name)}"
    if seen.lowest_lr > high:
        return f"a learning rate of {seen.lowest_lr:g} is far too large for {name}: try {_usual_rate(name)}"
    return ""


def _eval_mode(seen: Trajectory) -> str:
    if not seen.has_modes or not seen.eval_passes or seen.eval_passes < seen.backward_passes / 4:
        return ""
    return (
        f"{seen.model} was in eval mode in {seen.eval_passes} of {seen.backward_passes} training steps, where dropout "
        "does nothing and batch normalisation learns no statistics: call model.train() before each epoch"
    )


def _weights_not_changed(seen: Trajectory) -> str:
    stays = seen.steps >= _ENOUGH and _all(seen, lambda s: s.gradient == "there" and not s.changed)
    if not stays or seen.left_out or not seen.highest_lr:
        return ""
    return (
        f"the steps of {seen.optimizer} leave the parameters of {seen.model} as they are: give it those of this model"
    )


def _nan(seen: Trajectory) -> str:
    if not any(not math.isfinite(loss) for loss in seen.losses):
        return ""
    return (
        "your loss becomes infinite or no number at all: try a smaller learning rate, and look for log(0) in your loss"
    )


_RULES: dict[str, Callable[[Trajectory], str]] = {
    "no_backward": _no_backward,
    "no_step": _no_step,
    "no_gradient": _no_gradient,
    "no_zero_grad": _no_zero_grad,
    "softmax_before_loss": _softmax_before_loss,
    "activation_before_loss": _activation_before_loss,
    "sum_loss": _sum_loss,
    "wrong_loss": _wrong_loss,
    "labels_not_of_images": _labels_not_of_images,
    "parameters_left_out": _parameters_left_out,
    "frozen_parameters": _frozen_parameters,
    "learning_rate": _learning_rate,
    "eval_mode": _eval_mode,
    "weights_not_changed": _weights_not_changed,
    "nan": _nan,
}


def _all(seen: Trajectory, holds: Callable[[OptimiserStep], bool]) -> bool:
    return bool(seen.recorded) and all(holds(step) for step in seen.recorded)


def _any(seen: Trajectory, holds: Callable[[OptimiserStep], bool]) -> bool:
    return any(holds(step) for step in seen.recorded)


def _near(value: float, expected: float) -> bool:
    return math.isclose(value, expected, rel_tol=1e-3)


def _is_usual_loss(loss: float, expected: float) -> bool:
    """Return whether a loss has the size of a mean cross-entropy, or is not known."""
    return not loss > 4 * expected + 4


def _usual_rate(name: str) -> str:
    return {"SGD": "0.1", "SGD with momentum": "0.02"}.get(name, "0.001")


def _join(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
