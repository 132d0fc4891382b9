"""Items that are lost only because of another say so, and nothing is said of a cause that is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from grader.assignment import Assignment, CarriedForward
from grader.grading.grade import grade
from grader.judging.causes import is_lost
from grader.judging.judge import judge
from grader.results.report import ItemResult, Verdict
from grader.sandbox.host.reruns import record_again
from grader.sandbox.host.sandbox import Zygote
from grader.student import Recorded
from tests.support.hw2_book import (
    CONV2D,
    CORR2D,
    EDGES,
    HW2,
    IMAGE,
    IMPORTS,
    LEARN,
    POINTWISE,
    RESIDUAL,
    RESNET,
    RESNET18,
    VGG,
    VGG_BLOCK,
)
from tests.support.in_process_work import InProcessWork
from tests.support.notebooks import submission

Graded = Callable[..., Mapping[str, ItemResult]]

MULTI_IN = "def corr2d_multi_in(X, K):\n    return sum(corr2d(x, k) for x, k in zip(X, K))"
MULTI_IN_OUT = "def corr2d_multi_in_out(X, K):\n    return torch.stack([corr2d_multi_in(X, k) for k in K], 0)"
SECTION_7_2 = (CONV2D, IMAGE, EDGES, LEARN)
CHANNELS = (MULTI_IN, MULTI_IN_OUT, POINTWISE)
BECAUSE_OF_CORR2D = "because of corr2d (corr2d.values)"
WRONG = {
    "returns in its loop": CORR2D.replace("\n    return Y", "\n            return Y"),
    "raises": CORR2D.replace("* K)", "* k)"),
    "is flipped": CORR2D.replace("* K)", "* K.flip(0, 1))"),
    "returns nothing": CORR2D.replace("return Y", "pass"),
    "is not written": "def corr2d(X, K):\n    raise NotImplementedError",
    "does not parse": CORR2D.replace("(X, K):", "(X, K)"),
    "is absent": "pass",
}


@pytest.fixture
def graded(zygote: Zygote, hw2: Assignment) -> Graded:
    """Grade cells, after the imports; `carried_forward` replaces the rubric's."""

    def run(*cells: str, carried_forward: CarriedForward = CarriedForward.NONE) -> Mapping[str, ItemResult]:
        assignment = replace(hw2, carried_forward=carried_forward)
        report = grade(submission(IMPORTS, *cells), assignment, zygote)
        return {item.id: item for item in report.items}

    return run


@pytest.mark.parametrize("corr2d", WRONG.values(), ids=WRONG.keys())
def test_what_a_wrong_corr2d_spoils_is_lost_because_of_it(graded: Graded, corr2d: str) -> None:
    results = graded(corr2d, *SECTION_7_2, *CHANNELS)
    assert results["corr2d.values"].because_of is None
    for name in ("conv2d_layer", "corr2d_multi_in", "corr2d_multi_in_out", "edge_detection", "learned_kernel"):
        result = results[name]
        assert (result.message, result.because_of) == (BECAUSE_OF_CORR2D, "corr2d.values"), name
        assert (result.points, result.would_earn) == (0, result.max_points)
        assert result.evidence == {}
    assert results["corr2d_1x1"].verdict is Verdict.PASSED


def test_a_corr2d_that_never_ends_is_named_as_well(graded: Graded) -> None:
    results = graded("def corr2d(X, K):\n    while True:\n        pass", CONV2D, MULTI_IN)
    assert [results[name].message for name in ("conv2d_layer", "corr2d_multi_in")] == [BECAUSE_OF_CORR2D] * 2
    assert results["corr2d.shape"].because_of == "corr2d.values"


def test_what_both_ways_say_of_each_other_is_told_with_its_cause(graded: Graded) -> None:
    results = graded(WRONG["is flipped"], *CHANNELS)
    assert results["equivalence_1x1"].verdict is Verdict.PASSED  # a kernel of one entry is not flipped
    results = graded(WRONG["returns in its loop"], *CHANNELS)
    assert results["equivalence_1x1"].message == f"{BECAUSE_OF_CORR2D}: the two ways disagree"


def test_the_first_wrong_function_of_a_chain_is_the_cause(graded: Graded) -> None:
    results = graded(CORR2D, MULTI_IN.replace("sum(", "max("), MULTI_IN_OUT, POINTWISE)
    assert results["corr2d_multi_in"].because_of is None
    assert results["corr2d_multi_in_out"].message == "because of corr2d_multi_in (corr2d_multi_in)"
    assert results["equivalence_1x1"].because_of == "corr2d_multi_in"


def test_an_item_with_a_mistake_of_its_own_keeps_it(graded: Graded) -> None:
    own = CONV2D.replace("+ self.bias", "- self.bias")
    result = graded(WRONG["is flipped"], own)["conv2d_layer"]
    assert result.because_of is None
    assert "; also with a right corr2d: " in result.message
    alone = graded(WRONG["is flipped"], CONV2D.replace("self.bias = nn", "bias = nn").replace("+ self.bias", ""))
    assert alone["conv2d_layer"].because_of is None
    assert "corr2d" not in alone["conv2d_layer"].message  # the missing bias is seen before anything is computed


def test_a_wrong_function_that_is_not_used_is_no_cause(graded: Graded) -> None:
    unused = CONV2D.replace("corr2d(x, self.weight)", "F.conv2d(x[None, None], self.weight[None, None])[0, 0]")
    results = graded(WRONG["is flipped"], unused.replace("+ self.bias", "- self.bias"), "F.conv2d")
    assert results["conv2d_layer"].because_of is None
    assert "corr2d" not in results["conv2d_layer"].message


def test_two_causes_are_both_named(graded: Graded) -> None:
    both = POINTWISE.replace("return", "return 2 *")
    result = graded(WRONG["returns in its loop"], MULTI_IN, MULTI_IN_OUT, both)["equivalence_1x1"]
    assert result.message.startswith("because of corr2d (corr2d.values) and corr2d_multi_in_out_1x1 (corr2d_1x1)")
    assert result.because_of == "corr2d.values"


def test_a_function_under_nearly_the_same_name_is_replaced_under_the_student_s(graded: Graded) -> None:
    wrong, conv2d = (source.replace("corr2d(", "corr_2d(") for source in (WRONG["is flipped"], CONV2D))
    assert graded(wrong, conv2d)["conv2d_layer"].message == "because of corr_2d (corr2d.values)"


WRONG_BLOCKS = {
    "resnet18.shapes": (
        RESIDUAL.replace("padding=1, stride=strides", "padding=1"),
        RESNET + RESNET18,
        "Residual (residual)",
    ),
    "vgg11.shapes": (VGG_BLOCK.replace("padding=1", "padding=0"), VGG, "vgg_block (vgg_block)"),
}


@pytest.mark.parametrize("item", WRONG_BLOCKS)
def test_a_model_of_wrong_blocks_is_lost_because_of_them(graded: Graded, item: str) -> None:
    block, model, cause = WRONG_BLOCKS[item]
    assert block not in (RESIDUAL, VGG_BLOCK)
    result = graded(block, model)[item]
    assert (result.message, result.would_earn) == (f"because of {cause}", 4)


def test_a_finished_model_of_wrong_blocks_is_judged_by_its_class(graded: Graded) -> None:
    block, model, cause = WRONG_BLOCKS["resnet18.shapes"]
    result = graded(block, model, "model = ResNet18()\nmodel(torch.zeros(1, 1, 96, 96))")["resnet18.shapes"]
    assert (result.message, result.would_earn) == (f"because of {cause}", 4)


OLDER_BLOCK = """
def vgg_block(num_convs, in_channels, out_channels):
    layers = []
    for _ in range(num_convs):
        layers += [nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=0), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(kernel_size=2, stride=2))
"""
OLDER_VGG = """
class VGG(nn.Module):
    def __init__(self, arch):
        super().__init__()
        blocks, c = [], 1
        for n, out in arch:
            blocks.append(vgg_block(n, c, out))
            c = out
        self.net = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(0.5),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 10))
    def forward(self, X):
        return self.net(X)
"""


def test_a_block_of_an_older_edition_of_the_book_is_replaced_too(graded: Graded) -> None:
    result = graded(OLDER_BLOCK, OLDER_VGG)["vgg11.shapes"]
    assert (result.message, result.would_earn) == ("because of vgg_block (vgg_block)", 4)


def test_nothing_is_said_of_a_function_that_cannot_be_called_as_the_student_s(graded: Graded) -> None:
    wrong = (
        WRONG["is flipped"].replace("(X, K)", "(X, K, scale, shift)").replace("return Y", "return scale * Y + shift")
    )
    result = graded(wrong, CONV2D.replace("self.weight)", "self.weight, 1, 0)"))["conv2d_layer"]
    assert result.because_of is None
    assert "also with a right corr2d" not in result.message


def test_a_wrong_model_of_wrong_blocks_is_wrong_by_itself_too(graded: Graded) -> None:
    block, model, _ = WRONG_BLOCKS["vgg11.shapes"]
    result = graded(block, model.replace("4096", "1000"))["vgg11.shapes"]
    assert result.because_of is None
    assert "also with a right vgg_block" in result.message


@pytest.mark.parametrize(
    ("setting", "points"), [(CarriedForward.NONE, 0), (CarriedForward.HALF, 2), (CarriedForward.FULL, 4)]
)
def test_the_rubric_says_what_is_carried_forward(graded: Graded, setting: CarriedForward, points: float) -> None:
    result = graded(WRONG["is flipped"], CONV2D, carried_forward=setting)["conv2d_layer"]
    assert (result.points, result.because_of) == (points, "corr2d.values")
    assert result.verdict is (Verdict.PARTIAL if points else Verdict.FAILED)
    assert ("4 points are carried forward" in result.message) == bool(points)


def test_one_exception_in_all_items_of_a_function_is_one_mistake() -> None:
    cells = (IMPORTS, "def pool2d(X, pool_size, mode='max'):\n    raise ValueError('no')")
    results = {item.id: item for item in judge(HW2, InProcessWork(*cells), "a submission")}
    assert results["pool2d.max"].because_of is None
    for name in ("pool2d.avg", "pool2d.shape"):
        assert (results[name].message, results[name].would_earn) == ("because of pool2d (pool2d.max)", None)
    assert results["lenet.params"].because_of is None  # a model that was never begun is no mistake


def test_different_mistakes_of_a_function_are_told_one_by_one() -> None:
    wrong = "def pool2d(X, pool_size, mode='max'):\n    raise ValueError(mode)"
    results = {item.id: item for item in judge(HW2, InProcessWork(IMPORTS, wrong), "a submission")}
    assert results["pool2d.avg"].because_of is None
    assert results["pool2d.avg"].message.endswith("raises ValueError: avg")


def test_an_item_for_which_no_time_was_left_is_neither_cause_nor_effect() -> None:
    assert is_lost(make_result("raises ValueError: no"))
    assert not is_lost(make_result("wrong in 3 of 3 cases: all tests together ran past their 120 s"))


def make_result(message: str) -> ItemResult:
    return ItemResult("i", "1", "An item", 0, 3, Verdict.ERROR, message)


def test_the_cells_run_once_for_all_items_that_are_tried_with_the_same_function(
    graded: Graded, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []

    def count(student: Any, file: str, cells: Sequence[tuple[int, str]]) -> Sequence[Recorded]:
        ran.append(cells)
        return record_again(student, file, cells)

    monkeypatch.setattr("grader.sandbox.host.snapshot_work.record_again", count)
    results = graded(WRONG["is flipped"], *SECTION_7_2)
    assert [results[item].message for item in ("edge_detection", "learned_kernel")] == [BECAUSE_OF_CORR2D] * 2
    assert len(ran) == 1


def test_a_right_submission_asks_nothing(graded: Graded, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr("grader.judging.evaluations.Evaluations.evaluate_with", lambda *given: asked.append(given))
    graded(CORR2D, CONV2D)
    assert asked == []
    graded(WRONG["is flipped"], CONV2D)
    assert 1 <= len(asked) <= 3  # one for each state of Conv2D that is tried
