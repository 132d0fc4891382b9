"""A model that is trained on a device is followed as on the CPU, and seldom waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.models.recipe import Mode
from grader.models.resize import tabulate
from grader.sandbox.guest.trainings.hooks import TrainingHooks
from grader.sandbox.guest.trainings.lazy_images import LazyImages
from grader.sandbox.guest.trainings.loop import TrainingLoop, recognise_batch
from grader.sandbox.guest.trainings.trajectory import (
    ForwardPass,
    LossCall,
    Trajectory,
    compute_reference_gradients,
    measure_step,
)
from tests.support import stand_in_device

DEVICE = stand_in_device.NAME
BYTES = torch.randint(256, (8, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
LABELS = torch.arange(8)
STEPS = 300


class Batch(NamedTuple):
    images: Tensor
    labels: Tensor
    indices: tuple[int, ...]
    data_set: Any


def make_batch() -> Batch:
    images: Tensor = LazyImages(BYTES, (28, 28), tabulate(lambda images: images.float().div_(255)))
    return Batch(images, LABELS, tuple(range(8)), range(800))


def follow(
    place: str,
    *,
    steps: int = STEPS,
    zero: Callable[[Any], None] = lambda optimizer: optimizer.zero_grad(),
    scale: Callable[[int], float] = lambda step: 1.0,
    rate: Any = 0.1,
) -> tuple[Trajectory, list[str]]:
    """Train a model as a notebook does. Return what was seen, and the operations that this took on the device."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).to(place)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, foreach=False)
    loop = TrainingLoop(net)
    asked: list[str] = []

    def note(what: Callable[..., None], *arguments: Any) -> None:
        stand_in_device.device.asked = []
        with torch.no_grad():
            what(*arguments)
        if loop.trajectory.steps >= 20:
            asked.extend(stand_in_device.device.asked)
        stand_in_device.device.asked = None

    for step in range(steps):
        X, y = make_batch().images.to(place), LABELS.to(place)
        scores = net(X)
        loss = F.cross_entropy(scores, y)
        forward = ForwardPass(net, (X,), scores, {id(part) for part in net.modules()})
        call = LossCall("cross_entropy_loss", scores, y, True, loss, forward)
        zero(optimizer)
        scaled = loss * scale(step)
        note(loop.before_backward, scaled, forward, call, None)
        scaled.backward()
        note(loop.after_backward)
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter.grad /= scale(step)
        note(loop.before_step, optimizer, False)
        optimizer.step()
        note(loop.after_step)
    return loop.finish(), asked


def count_reads(asked: list[str]) -> int:
    return sum(name == "copy" or "_local_scalar_dense" in name for name in asked)


def test_what_is_seen_on_a_device_is_what_is_seen_on_the_cpu() -> None:
    (seen, _), (expected, _) = follow(DEVICE, steps=30), follow("cpu", steps=30)
    assert seen == expected
    assert seen.recorded[0].cosine > 0.999
    assert len(seen.losses) == 30


LOOPS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "gradients set to zero": {"zero": lambda optimizer: optimizer.zero_grad(set_to_none=False)},
    "gradients never cleared": {"zero": lambda optimizer: None},
    "a rate on the device": {"rate": torch.tensor(0.1, device=DEVICE)},
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_device_is_waited_for_once_in_many_steps(name: str) -> None:
    seen, asked = follow(DEVICE, **LOOPS[name])
    assert count_reads(asked) <= STEPS // 20 + 2 * (STEPS // 50)
    assert len(seen.losses) == STEPS // 2
    assert (seen.cleared, seen.kept) >= ((24, 0) if name != "gradients never cleared" else (0, 24))


def test_a_loss_that_is_scaled_more_and_more_is_no_plateau() -> None:
    seen, _ = follow(DEVICE, steps=200, scale=lambda step: 2.0 ** (step // 20))
    assert seen.losses[-1] < seen.losses[0] < 4


@pytest.mark.parametrize("place", ["cpu", DEVICE])
def test_a_batch_is_recognised_where_it_is(place: str) -> None:
    batch = make_batch()
    moved = batch.images.to(place)
    assert recognise_batch(moved, batch) is batch
    assert recognise_batch(moved.flatten(1) * 2 - 1, batch) is batch
    assert recognise_batch(moved.flip(0), batch) is None
    assert recognise_batch(moved[:4], batch) is None


def test_labels_of_the_loader_are_compared_with_scores_on_a_device() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).to(DEVICE)
    scores = net(make_batch().images.to(DEVICE))
    loss = -scores.log_softmax(1)[torch.arange(8), LABELS].mean()
    assert measure_step(loss, scores, None, LABELS).expected == pytest.approx(float(loss.detach()))
    assert [gradient is not None for gradient in compute_reference_gradients(scores, LABELS, list(net.parameters()))]


@pytest.mark.parametrize(("place", "looks"), [("cpu", 40), (DEVICE, 10)])
def test_a_model_that_learns_no_classes_is_looked_at_a_few_times_on_a_device(place: str, looks: int) -> None:
    asked: list[int] = []
    hooks = TrainingHooks(Mode.FULL, lambda: asked.append(1))
    net = nn.Linear(784, 10).to(place)
    with hooks.statement(0.0, 60.0):
        for _ in range(40):
            X = torch.ones(2, 784).to(place)
            hooks._before_forward(net, (X,))
            output = net(X)
            hooks._after_forward(net, (X,), output)
            hooks._before_backward(output.sum())
    assert len(asked) == looks
