"""Training items from notebook to verdict: real kernels, real trainings, small recipes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from grader.assignment import Assignment
from grader.collection import read_submission
from grader.grading.grade import grade
from grader.models.recipe import Mode
from grader.results.report import ItemResult, Report, Verdict, load_report_schema
from grader.sandbox.host.sandbox import Zygote
from grader.submission.submission import Submission
from grader.training.cache import ResultCache
from grader.training.datasets import DataSet
from grader.training.trainer import Trainer
from tests.support.notebooks import submission
from tests.support.paths import SUBMISSIONS
from tests.support.small_trainings import LENET, RECIPE, lenet, with_small_recipes

OWN_LOOP = """
import torchvision
data = torchvision.datasets.FashionMNIST('data', download=True, transform=torchvision.transforms.ToTensor())
net, loss = LeNet(), nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr={lr})
for epoch in range(3):
    for X, y in torch.utils.data.DataLoader(data, 64, shuffle=True):
        {zero}
        loss(net(X), y).backward()
        optimizer.step()
"""


@pytest.fixture(scope="module")
def small(hw2: Assignment) -> Assignment:
    return with_small_recipes(hw2)


def of(report: Report, name: str = "lenet.training") -> ItemResult:
    return next(item for item in report.items if item.id == name)


def graded(cells: Submission, small: Assignment, zygote: Zygote, trainer: Trainer | None, mode: Mode) -> Report:
    report = grade(cells, small, zygote, mode=mode, trainer=trainer)
    jsonschema.validate(json.loads(report.to_json()), load_report_schema())
    return report


@pytest.mark.slow
def test_a_model_that_learns_earns_its_points_and_shows_its_curve(
    small: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    item = of(graded(submission(LENET), small, zygote, trainer, Mode.QUICK))
    assert (item.verdict, item.points) == (Verdict.PASSED, 8)
    assert "withheld images (threshold 50%)" in item.message
    assert item.cell == 0
    shown = item.evidence["training"]
    assert (shown["mode"], shown["recipe"]) == ("quick", str(RECIPE))
    (run,) = shown["runs"]
    assert run["accuracy"] >= 0.5
    assert len(run["epochs"]) == len(run["loss"]) == len(run["accuracy_by_epoch"]) >= 10


@pytest.mark.parametrize(
    ("calibrated_on", "basis", "said"),
    [
        ("cpu", "calibration", ""),
        ("", "placeholder", "the threshold is a placeholder: it was not measured yet what right models reach"),
        (
            "NVIDIA H200",
            "calibration on another device",
            "the threshold was measured on NVIDIA H200, and this training ran on a CPU",
        ),
    ],
)
def test_a_threshold_that_was_not_measured_on_such_a_device_says_so(
    small: Assignment, zygote: Zygote, trainer: Trainer, calibrated_on: str, basis: str, said: str
) -> None:
    items = tuple(
        replace(item, recipes={Mode.QUICK: replace(RECIPE, calibrated_on=calibrated_on)} if item.recipes else {})
        for item in small.items
    )
    item = of(graded(submission(LENET), replace(small, items=items), zygote, trainer, Mode.QUICK))
    assert (item.verdict, item.points) == (Verdict.PASSED, 8)
    shown = item.evidence["training"]
    assert (shown["threshold_basis"], shown["device"]) == (basis, "cpu")
    assert said in item.message
    assert ("the threshold" in item.message) is bool(said)


@pytest.mark.slow
def test_a_new_training_and_a_kept_one_give_the_same_report_byte_for_byte(
    small: Assignment, zygote: Zygote, fashion_mnist: DataSet, tmp_path: Path
) -> None:
    reports = []
    for folder in ("one", "two", "two"):
        with Trainer(fashion_mnist, results=ResultCache(fashion_mnist.sha256, "cpu", tmp_path / folder)) as trainer:
            reports.append(graded(submission(LENET), small, zygote, trainer, Mode.QUICK).canonical())
            kept = len(reports) == 3
            assert trainer.trained == (0 if kept else 1)
    assert reports[0] == reports[1] == reports[2]


@pytest.mark.parametrize(
    ("cell", "verdict", "said"),
    [
        ("LeNet = 'not yet'", Verdict.ABSENT, "because of LeNet (lenet.shapes)"),
        (lenet(forward="return self.net[:1](X).flatten(1)"), Verdict.FAILED, "convolutions"),
        (lenet(forward="return self.net(X).softmax(1) * 0"), Verdict.FAILED, "0 of 2 matter for its result"),
        (lenet(forward="return self.net(X).clamp(0)[:, :1].expand(-1, 10)"), Verdict.FAILED, "does not learn"),
        (lenet("nn.Linear(84, 10).requires_grad_(False)"), Verdict.FAILED, "frozen parameters (net.11.weight"),
        (lenet("nn.Linear(84, 3)"), Verdict.FAILED, "gives 3 numbers"),
        (lenet(forward="return self.net(X.view(1, -1))"), Verdict.ERROR, "raises"),
    ],
)
def test_what_does_not_learn_earns_nothing_and_the_reason_is_said(
    small: Assignment, zygote: Zygote, trainer: Trainer, cell: str, verdict: Verdict, said: str
) -> None:
    item = of(graded(submission(cell), small, zygote, trainer, Mode.QUICK))
    assert (item.verdict, item.points) == (verdict, 0), item.message
    assert said in item.message


def test_the_best_of_several_definitions_counts(small: Assignment, zygote: Zygote, trainer: Trainer) -> None:
    item = of(graded(submission(LENET, lenet(forward="return 0 * self.net(X)")), small, zygote, trainer, Mode.QUICK))
    assert (item.verdict, item.cell) == (Verdict.PASSED, 0)


@pytest.mark.slow
def test_a_model_of_another_name_is_found_and_trained(small: Assignment, zygote: Zygote, trainer: Trainer) -> None:
    report = graded(submission(LENET.replace("LeNet", "Network")), small, zygote, trainer, Mode.QUICK)
    assert of(report).verdict is Verdict.PASSED
    assert of(report, "lenet.shapes").message.startswith("found as Network")
    found = of(
        graded(submission(LENET.replace("LeNet", "Network")), small, zygote, trainer, Mode.QUICK), "lenet.shapes"
    )
    assert found.message.startswith("found as Network")


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.QUICK])
def test_without_a_trainer_it_stays_pending_and_the_reason_is_said(
    small: Assignment, zygote: Zygote, mode: Mode
) -> None:
    report = graded(submission(LENET), small, zygote, None, mode)
    assert of(report).verdict is Verdict.PENDING
    assert (
        of(report).message
        == {
            Mode.NONE: "trainings were left out (--training none)",
            Mode.QUICK: "Fashion-MNIST is not on this machine, so nothing was trained (see `grader doctor`)",
        }[mode]
    )
    by_person = sum(item.points for item in small.by_person)
    assert report.pending_points == 8 + by_person


def test_the_student_s_own_loop_is_cut_and_a_mistake_in_it_is_named(
    small: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    broken = submission(LENET, OWN_LOOP.format(lr=0.1, zero="pass"), "after = 1")
    report = graded(broken, small, zygote, trainer, Mode.QUICK)
    item = of(report)
    assert (item.verdict, item.points) == (Verdict.PARTIAL, 4)  # the model learns; it is the loop that does not
    assert item.message.startswith("in your own training loop: your loop never sets the gradients to zero")
    assert "; this costs half of the points. The model itself is right on " in item.message
    (own,) = item.evidence["training"]["own"]
    assert "no_zero_grad" in {finding["id"] for finding in own["findings"]}
    assert {cell.status for cell in report.cells} == {"ok"}


def test_a_right_loop_of_the_student_s_own_is_shown_without_a_word(
    small: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    right = submission(LENET, OWN_LOOP.format(lr=0.1, zero="optimizer.zero_grad()"))
    item = of(graded(right, small, zygote, trainer, Mode.QUICK))
    (own,) = item.evidence["training"]["own"]
    assert own["findings"] == []
    assert (own["optimizer"], own["lr"]) == ("SGD", 0.1)
    assert "own training loop" not in item.message


@pytest.mark.slow
def test_a_mistake_shown_after_a_right_loop_costs_nothing(small: Assignment, zygote: Zygote, trainer: Trainer) -> None:
    right, wrong = (OWN_LOOP.format(lr=0.1, zero=zero) for zero in ("optimizer.zero_grad()", "pass"))
    item = of(graded(submission(LENET, right, wrong), small, zygote, trainer, Mode.QUICK))
    assert (item.verdict, item.points) == (Verdict.PASSED, 8)
    assert "in your own training loop: your loop never sets the gradients to zero" in item.message


@pytest.mark.slow
def test_where_trainings_run_as_written_what_they_reach_is_shown_beside(
    hw2: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    items = tuple(replace(item, recipes={Mode.FULL: RECIPE} if item.recipes else {}) for item in hw2.items)
    limits = replace(hw2.limits, training_cell_seconds=20)
    loop = OWN_LOOP.format(lr=0.1, zero="optimizer.zero_grad()").replace(
        "FashionMNIST(", "FashionMNIST(train=False, root="
    )
    report = graded(
        submission(LENET, loop), replace(hw2, items=items, limits=limits), zygote, trainer, Mode.FULL
    )  # fmt: skip
    item = of(report)
    (own,) = item.evidence["training"]["own"]
    assert own["steps"] == 3 * 79  # 5,000 images that the sandbox may see, in batches of 64
    assert 0.2 < own["accuracy"] < 0.9
    assert f"as written it reached {own['accuracy']:.2f}" in item.message
    assert item.verdict is Verdict.PASSED


@pytest.mark.slow
def test_thirty_submissions_with_five_models_train_five_times(
    small: Assignment, zygote: Zygote, fashion_mnist: DataSet, tmp_path: Path
) -> None:
    heads = ["nn.Linear(84, 10)", "nn.Linear(84, 11)", "nn.Linear(84, 12)", "nn.Linear(84, 13)", "nn.Linear(84, 14)"]
    with Trainer(fashion_mnist, results=ResultCache(fashion_mnist.sha256, "cpu", tmp_path)) as trainer:
        for number in range(30):
            cells = submission(lenet(heads[number % 5]) + f"# submission {number}\n")
            item = of(graded(cells, small, zygote, trainer, Mode.QUICK))
            assert item.verdict is Verdict.PASSED, f"{number}: {item.message}"
        assert trainer.trained == 5


@pytest.mark.slow
def test_a_right_homework_earns_every_point_with_the_real_recipes(
    hw2: Assignment, zygote: Zygote, trainer: Trainer
) -> None:
    right = read_submission((SUBMISSIONS / "right_the_whole_homework").glob("*.ipynb"))
    report = graded(right, hw2, zygote, trainer, Mode.QUICK)
    waiting = {item.id for item in hw2.by_person}
    assert {item.id: item.message for item in report.items if item.verdict is not Verdict.PASSED}.keys() == waiting
    assert report.score == hw2.points - report.pending_points
