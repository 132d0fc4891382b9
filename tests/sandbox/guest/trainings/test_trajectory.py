"""The numbers that a training loop is judged by, compared with the reference rule."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grader.sandbox.guest.trainings.trajectory import (
    ForwardPass,
    LossCall,
    compute_reference_gradients,
    measure_agreement,
    measure_step,
)

NET = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
X, Y = torch.linspace(-1, 1, 20).reshape(4, 5), torch.tensor([0, 1, 2, 1])


def called(name: str, scores: Tensor, target: Tensor) -> LossCall:
    return LossCall(name, scores, target, True, None, ForwardPass(NET, (X,), scores))


def test_the_reference_is_the_gradient_of_the_mean_cross_entropy_and_leaves_the_graph_as_it_is() -> None:
    scores = NET(X)
    reference = compute_reference_gradients(scores, Y, list(NET.parameters()))
    assert all(parameter.grad is None for parameter in NET.parameters())
    F.cross_entropy(scores, Y).backward()
    for found, parameter in zip(reference, NET.parameters(), strict=True):
        assert found is not None
        assert parameter.grad is not None
        assert torch.equal(found, parameter.grad)
    assert measure_agreement(reference, reference) == pytest.approx((1.0, 1.0))
    NET.zero_grad()


@pytest.mark.parametrize(
    "target", [None, Y.float(), Y[:2], torch.tensor([0, 1, 2, 3]), torch.tensor([-100, 0, 1, 2]), F.one_hot(Y)]
)
def test_without_a_class_for_each_row_there_is_no_reference(target: Tensor | None) -> None:
    scores = NET(X)
    assert compute_reference_gradients(scores, target, list(NET.parameters())) == []
    assert math.isnan(measure_step(scores.sum(), scores, None, target).expected)


def test_agreement_separates_length_and_direction() -> None:
    first, second = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    assert measure_agreement([3 * first, None], [first, second]) == pytest.approx((1.0, 3.0))
    assert measure_agreement([-first], [first]) == pytest.approx((-1.0, -1.0))
    assert measure_agreement([first], [second.flip(0)]) == pytest.approx((1.0, 0.5))
    assert measure_agreement([first], [second])[0] == pytest.approx(0.0)
    assert all(map(math.isnan, measure_agreement([torch.zeros(2)], [first])))


def test_the_loss_function_s_scores_are_looked_at_and_not_the_model_s() -> None:
    scores = NET(X)
    given = scores.softmax(1)
    step = measure_step(F.cross_entropy(given, Y), scores, called("cross_entropy_loss", given, Y), Y)
    assert (step.probabilities, step.log_probabilities) == (True, False)
    assert step.last_operation.startswith("SoftmaxBackward")
    assert step.loss == pytest.approx(step.expected)
    logarithms = measure_step(0.0, scores, called("nll_loss_nd", scores.log_softmax(1), Y), Y)
    assert (logarithms.probabilities, logarithms.log_probabilities) == (False, True)
    plain = measure_step(F.cross_entropy(scores, Y), scores, None, Y)
    assert (plain.probabilities, plain.log_probabilities, plain.loss_function) == (False, False, "")


def test_views_hide_no_activation() -> None:
    scores = torch.sigmoid(NET(X)).reshape(2, 2, 3).flatten(0, 1).unsqueeze(0).squeeze(0)
    assert measure_step(scores.sum(), scores, None, Y).last_operation.startswith("SigmoidBackward")


def test_scores_of_another_form_are_not_measured() -> None:
    for scores in (torch.zeros(2, 3, 4), torch.zeros(3), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2000, 2000)):
        step = measure_step(None, scores, None, Y)
        assert (step.examples, step.loss_function, step.probabilities) == (scores.shape[0], "", False)
        assert math.isnan(step.loss)
