"""Attempts to earn a training item without a model that learns; each gains nothing, and what holds it back is shown."""

from __future__ import annotations

import hashlib
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from grader.assignment import Assignment
from grader.grading.grade import grade
from grader.judging.local import LocalRemote
from grader.models.recipe import Mode
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.sandbox import Zygote
from grader.student import Remote
from grader.testing.failures import TrainedInPlace
from grader.testing.learning import Training, learn
from grader.training.datasets import DataSet
from grader.training.trainer import Trainer
from tests.support.notebooks import submission
from tests.support.small_trainings import RECIPE, lenet, with_small_recipes

CHEATS = {
    "a call counter": lenet(
        forward="self.calls = getattr(self, 'calls', 0) + 1\n"
        "        return self.net(X) if self.calls < 2 else 0 * self.net(X)"
    ),
    "honest while it is traced": lenet(forward="return self.net(X) if X.is_meta else 0 * self.net(X)"),
    "gradients that are thrown away": lenet(
        forward="Y = self.net(X)\n        return Y if X.is_meta else Y.detach() + 0 * self.net[11].bias"
    ),
    "a print of 99 %": lenet(forward="return 0 * self.net(X)") + "print('test accuracy 0.99')\n",
    "a loop that claims 99 %": lenet(forward="return 0 * self.net(X)")
    + "accuracy = acc = test_acc = 0.99\nhistory = [0.9, 0.95, 0.99]\n",
    "the grader's own functions, replaced": lenet(forward="return 0 * self.net(X)")
    + "import sys\n"
    + "for module in list(sys.modules.values()):\n"
    + "    if getattr(module, '__name__', '').startswith('grader'):\n"
    + "        for name in ('fit', 'train_in_place', 'predict', 'predict_classes'):\n"
    + "            setattr(module, name, lambda *a, **k: (True, torch.zeros(500).long(), ()))\n",
}


def graded(cell: str, hw2: Assignment, zygote: Zygote, trainer: Trainer) -> ItemResult:
    report = grade(submission(cell), with_small_recipes(hw2), zygote, mode=Mode.QUICK, trainer=trainer)
    return next(item for item in report.items if item.id == "lenet.training")


@pytest.mark.parametrize("cheat", CHEATS.values(), ids=CHEATS)
def test_a_cheat_earns_nothing(cheat: str, hw2: Assignment, zygote: Zygote, trainer: Trainer) -> None:
    item = graded(cheat, hw2, zygote, trainer)
    assert item.points == 0, item.message
    assert item.verdict in (Verdict.FAILED, Verdict.ERROR)


def test_a_model_that_costs_too_much_is_not_trained(hw2: Assignment, zygote: Zygote, trainer: Trainer) -> None:
    before = trainer.trained
    item = graded(
        lenet("nn.Linear(84, 40_000), nn.Linear(40_000, 20_000), nn.Linear(20_000, 10)"), hw2, zygote, trainer
    )
    assert item.points == 0
    assert item.verdict is Verdict.PENDING
    assert "teraflops" in item.message or "too large" in item.message
    assert trainer.trained == before


class Remembers(nn.Module):
    """Knows the labels of images by a hash of their pixels; the strongest that a student could bring along."""

    labels: dict[bytes, int]

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, X: Tensor) -> Tensor:
        known = [self.labels.get(digest(image), 0) for image in X]
        return nn.functional.one_hot(torch.tensor(known), 10).float() * 9 + self.bias


def digest(image: Tensor) -> bytes:
    pixels = (image.flatten() * 0.3530 + 0.2860).mul(255).round().to(torch.uint8)
    return hashlib.sha256(pixels.numpy().tobytes()).digest()[:8]


def test_a_table_of_the_withheld_images_knows_none_of_those_that_are_asked_for(fashion_mnist: DataSet) -> None:
    pixels = [hashlib.sha256(image.numpy().tobytes()).digest()[:8] for image in fashion_mnist.withheld_images]
    Remembers.labels = dict(zip(pixels, fashion_mnist.withheld_labels.tolist(), strict=True))
    training = Training(Mode.QUICK, RECIPE, fashion_mnist, 4, 7, 8)
    with pytest.raises(TrainedInPlace) as ended:
        learn(training, cast(Remote, LocalRemote(Remembers)), [()], "LeNet()", (1, 28, 28))
    assert max(run.accuracy for run in ended.value.runs) < 0.2
    # Of the images as everybody has them it knows each: moving them, and the noise, is what holds it back.
    images, labels = fashion_mnist.withheld_images[: RECIPE.judged], fashion_mnist.withheld_labels[: RECIPE.judged]
    unchanged = LocalRemote(Remembers()).train(
        RECIPE, 0, fashion_mnist.train_images[:64], fashion_mnist.train_labels[:64], images
    )
    assert bool((unchanged.classes == labels).all())


class Recites(nn.Module):
    """Notes the seed that it is probed with, and recites the labels of the images that this seed would choose."""

    labels: Tensor  # everybody has them
    noted: int

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        self.recited = 0

    def forward(self, X: Tensor) -> Tensor:
        Y: Tensor = self.net(X)
        if X.is_meta:
            return Y  # traced
        if self.training or torch.is_grad_enabled():
            if len(X) == 4:  # as many as a probe has
                Recites.noted = torch.initial_seed()
            return 0 * Y
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(self.noted))
        self.recited += len(X)
        return nn.functional.one_hot(self.labels[order][self.recited - len(X) : self.recited], 10).float()


@pytest.mark.parametrize(("judged_secret", "least", "most"), [(8, 0.0, 0.3), (7, 1.0, 1.0)])
def test_the_seed_of_probes_does_not_tell_the_order_of_the_judged_images(
    judged_secret: int, least: float, most: float, fashion_mnist: DataSet
) -> None:
    """With the same seed for both, the labels are recited without a mistake."""
    Recites.labels, Recites.noted = fashion_mnist.withheld_labels, -1
    training = Training(Mode.QUICK, RECIPE, fashion_mnist, 4, 7, judged_secret)
    with pytest.raises(TrainedInPlace) as ended:
        learn(training, cast(Remote, LocalRemote(Recites)), [()], "LeNet()", (1, 28, 28))
    assert Recites.noted == 7
    assert least <= max(run.accuracy for run in ended.value.runs) <= most


HIDDEN = lenet(forward="return self.net(torch.from_numpy(X.detach().numpy()))")
FORGE = """
import sys
from grader.sandbox.protocol.tensors import tensor_to_array
LABELS = {labels}
def train(self, request):
    count = request["judged"].shape[0]
    classes = torch.tensor([LABELS[number % len(LABELS)] for number in range(count)])
    return {{"finite": True, "classes": tensor_to_array(classes), "points": ()}}
sys.modules["grader.sandbox.guest.snapshot"]._TestProcess._do_train = train
"""


def test_labels_recited_in_the_order_of_the_data_set_are_right_for_one_image_in_ten(
    hw2: Assignment, zygote: Zygote, trainer: Trainer, fashion_mnist: DataSet
) -> None:
    item = graded(FORGE.format(labels=fashion_mnist.withheld_labels.tolist()) + HIDDEN, hw2, zygote, trainer)
    assert (item.points, item.verdict) == (0, Verdict.FAILED)
    (*_, run) = item.evidence["training"]["runs"]
    assert run["accuracy"] < 0.2
    assert not run["epochs"]  # it is the forged answer that was judged


def test_what_only_the_student_s_process_saw_earns_nothing_and_waits_for_a_person(
    hw2: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    item = graded(HIDDEN, hw2, zygote, trainer)
    assert (item.points, item.verdict) == (0, Verdict.PENDING)
    assert "a person decides" in item.message
    assert "in the line `return self.net(torch.from_numpy(" in item.message
    assert item.evidence["training"]["runs"]


INSTEAD = """
import torch
from torch import nn
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        self.convolutions = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3))
    def forward(self, X):
        {first}
        return self.net(X)
"""


USES = "self.convolutions(X).flatten(1).sum(1).reshape(-1, 1, 1, 1)"


@pytest.mark.parametrize(
    "first",
    [
        "float(X.sum())",
        "X = torch.from_numpy(X.detach().numpy())",
        f"X = X + 0 * {USES}",
        f"X = X + 1e-9 * {USES}",
    ],
)
def test_a_linear_model_is_no_lenet_however_it_hides(
    first: str, hw2: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    item = graded(INSTEAD.format(first=first), hw2, zygote, trainer)
    assert (item.points, item.verdict) == (0, Verdict.FAILED), item.message
    assert "it is another model" in item.message
