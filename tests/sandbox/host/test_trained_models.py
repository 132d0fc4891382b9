"""Predictions of the model that a student's own loop trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from grader.models.recipe import Mode
from grader.sandbox.host.sandbox import Zygote
from grader.student import Fault, OwnTraining, StudentFault
from tests.support.sandbox_runs import Ran, Run, fault_of, ran

START = """
import torch
from torch import nn
from torch.nn import functional as F
bands = torch.zeros(10, 1, 28, 28)
for k in range(10): bands[k, :, 2 * k + 4 : 2 * k + 6] = 1
y = torch.arange(10)
def fit(net, X, lr=0.05):
    optimizer = torch.optim.Adam(net.parameters(), lr=lr)
    for i in range(60):
        optimizer.zero_grad(); F.cross_entropy(net(X), y).backward(); optimizer.step()
    return net
"""
FORMS = {
    "as they are": "fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), bands)",
    "resized and normalised": "fit(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 54 * 54, 10)),"
    " (F.interpolate(bands, (56, 56)) - 0.5) / 0.5, 0.01)",
    "flat": "fit(nn.Linear(784, 10), bands.flatten(1))",
    "without channels": "fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), bands.squeeze(1))",
    "in three colours": "fit(nn.Sequential(nn.Flatten(), nn.Linear(3 * 784, 10)), bands.expand(-1, 3, -1, -1))",
    "in shades up to 255": "fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), bands * 255, 0.001)",
    "with dropout": "fit(nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 10)), bands)",
}
TWO = "for lr in (0.0001, 0.05):\n    net = fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), bands, lr)"
ODD = {
    "of another shape": ("self.net(X)[:1]", Fault.MALFORMED),
    "that are no numbers": ("'scores'", Fault.RAISED),
    "that never come": ("next(n for n in iter(int, 1) if n)", Fault.TIMED_OUT),
    "for no image": ("torch.zeros(len(X), 0)", Fault.RAISED),
}


def bands(copies: int = 1) -> Tensor:
    images = torch.zeros(10, 1, 28, 28, dtype=torch.uint8)
    for k in range(10):
        images[k, :, 2 * k + 4 : 2 * k + 6] = 255
    return images.repeat(copies, 1, 1, 1)


def trainings_of(made: Ran, cell: int) -> list[OwnTraining]:
    return [each for each in made.work.trainings() if each.cell == cell]


@pytest.fixture(scope="module")
def trained(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, START, *FORMS.values(), TWO, "net = None", mode=Mode.FULL) as made:
        assert set(made.messages()) == {""}
        yield made


@pytest.mark.parametrize("form", FORMS)
def test_images_are_made_what_they_were_in_the_training(trained: Ran, form: str) -> None:
    (training,) = trainings_of(trained, 1 + list(FORMS).index(form))
    with trained.work.trained(training) as model:
        assert model.predict_classes(bands(), training).tolist() == list(range(10))


def test_each_model_of_a_cell_can_be_asked_for_as_it_was_then(trained: Ran) -> None:
    worse, better = trainings_of(trained, 1 + len(FORMS))
    right = []
    for training in (worse, better):
        with trained.work.trained(training, seconds=60) as model:
            right.append(int((model.predict_classes(bands(), training) == torch.arange(10)).sum()))
    assert right[0] < right[1] == 10


def test_many_images_cross_in_parts_and_none_is_no_image(trained: Ran) -> None:
    (training,) = trainings_of(trained, 1)
    with trained.work.trained(training, seconds=60) as model:
        assert model.predict_classes(bands(150), training).tolist() == list(range(10)) * 150
        assert model.predict_classes(bands()[:0], training).shape == (0,)


def test_a_model_that_was_never_there_is_missing(trained: Ran, run: Run) -> None:
    (training,) = trainings_of(trained, 1)
    with pytest.raises(StudentFault) as caught, trained.work.trained(dataclasses.replace(training, part=77)):
        pass
    assert caught.value.fault is Fault.MISSING
    with pytest.raises(StudentFault) as caught, trained.work.trained(dataclasses.replace(training, number=77)):
        pass
    assert caught.value.fault is Fault.RAISED
    quick = run(START, FORMS["as they are"], mode=Mode.QUICK)
    with pytest.raises(StudentFault) as caught, quick.work.trained(trainings_of(quick, 1)[0]):
        pass
    assert caught.value.fault is Fault.MISSING


@pytest.mark.parametrize(("scores", "fault"), ODD.values(), ids=ODD.keys())
def test_answers_of_another_kind_are_the_student_s_fault(run: Run, scores: str, fault: Fault) -> None:
    odd = (
        "class Odd(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))\n"
        f"    def forward(self, X): return self.net(X) if self.training else {scores}"
    )
    made = run(START, f"{odd}\nfit(Odd(), bands)", mode=Mode.FULL)
    (training,) = trainings_of(made, 1)
    with made.work.trained(training, seconds=3) as model:
        assert fault_of(model.predict_classes, bands(), training)[0] is fault
