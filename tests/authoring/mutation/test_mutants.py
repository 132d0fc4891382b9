"""Mutants differ from a right definition at one place, and each operator makes the changes that it says."""

from __future__ import annotations

import pytest

from grader.assignment import Assignment
from grader.authoring.mutation.mutants import make_mutants, write_mutants
from grader.judging.loading import load_rubric
from grader.judging.solution import SolutionCell

CORR2D = """\
def corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:i + h, j:j + w] * K).sum()
    return Y
"""
BLOCK = """\
class Block(nn.Module):
    def __init__(self, channels, wide=False):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 2, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, 4, kernel_size=3)
        self.net = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())

    def forward(self, X):
        if self.wide is not None:
            X = self.conv1(X)
        return X
"""


def written(source: str, operator: str) -> set[str]:
    found = write_mutants(SolutionCell("f", source), ["f", "g"])
    return {mutant.after for mutant in found if mutant.operator == operator}


@pytest.mark.parametrize(
    ("source", "operator", "line"),
    [
        (CORR2D, "arithmetic", "Y = torch.zeros((X.shape[0] - h - 1, X.shape[1] - w + 1))"),
        (CORR2D, "operand dropped", "Y = torch.zeros((X.shape[0] - h, X.shape[1] - w + 1))"),
        (CORR2D, "constant", "for j in range(Y.shape[0]):"),
        (CORR2D, "name", "Y[i, j] = (X[i:i + w, j:j + w] * K).sum()"),
        (CORR2D, "attribute", "Y[i, j] = (X[i:i + h, j:j + w] * K).mean()"),
        (CORR2D, "slice", "Y[i, j] = (X[:i + h, j:j + w] * K).sum()"),
        (CORR2D, "elements", "w, h = K.shape"),
        (CORR2D, "range", "for j in range(0, Y.shape[1] - 1):"),
        (CORR2D, "call unwrapped", "Y[i, j] = X[i:i + h, j:j + w] * K"),
        (CORR2D, "parameters", "def corr2d(K, X):"),
        (CORR2D, "value not returned", "Y"),
        (CORR2D, "statement indented", "return Y"),
        (BLOCK, "argument dropped", "self.net = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))"),
        (BLOCK, "arguments swapped", "self.net = nn.Sequential(nn.MaxPool2d(2), nn.ReLU(), nn.Flatten())"),
        (BLOCK, "keyword", "self.conv1 = nn.Conv2d(channels, 2, kernel_size=3)"),
        (BLOCK, "keyword", "self.conv1 = nn.Conv2d(channels, 2, kernel_size=1, padding=3)"),
        (BLOCK, "attribute", "self.net = nn.Sequential(nn.Sigmoid(), nn.MaxPool2d(2), nn.Flatten())"),
        (BLOCK, "attribute", "X = self.conv2(X)"),
        (BLOCK, "constant", "def __init__(self, channels, wide=True):"),
        (BLOCK, "comparison", "if self.wide is None:"),
        (BLOCK, "branch", "if True:"),
    ],
)
def test_an_operator_writes_this_line(source: str, operator: str, line: str) -> None:
    assert line in written(source, operator)


def test_a_return_moves_into_the_loop() -> None:
    found = [m for m in write_mutants(SolutionCell("f", CORR2D)) if m.operator == "statement indented"]
    inside = {line for mutant in found for line in mutant.source.splitlines() if "return" in line}
    assert inside == {"        return Y", "            return Y"}


def test_super_is_dropped_and_called_late() -> None:
    found = list(write_mutants(SolutionCell("f", BLOCK)))
    assert any("super" not in mutant.source for mutant in found if mutant.operator == "statement dropped")
    late = next(mutant for mutant in found if mutant.operator == "statement moved to the end")
    assert late.source.index("super") > late.source.index("self.net")


def test_neither_docstrings_nor_annotations_nor_messages_change() -> None:
    lines = (
        "def f(X: int) -> int:",
        '    """Say 1."""',
        "    if not X:",
        "        raise ValueError(f'{X + 1}')",
        "    return X",
    )
    source = "\n".join(lines)
    changed = [mutant.source for mutant in write_mutants(SolutionCell("f", source))]
    assert changed
    assert all('"""Say 1."""' in text and "(X: int) -> int:" in text for text in changed)
    assert all("raise ValueError(f'{X + 1}')" in text for text in changed if "raise" in text)


def test_a_limit_takes_from_every_definition_and_repeats_nothing(hw2: Assignment) -> None:
    rubric = load_rubric(hw2)
    mutants = make_mutants(rubric, ["corr2d", "pool2d", "LeNet"], 30)
    assert len({mutant.source for mutant in mutants}) == 30
    assert {mutant.definition for mutant in mutants} == {"corr2d", "pool2d", "LeNet"}
    assert mutants == make_mutants(rubric, ["corr2d", "pool2d", "LeNet"], 30)


def test_a_layer_stands_on_a_line_of_its_own(hw2: Assignment) -> None:
    mutants = [m for m in make_mutants(load_rubric(hw2), ["LeNet"], 200) if m.before.startswith("nn.Conv2d(6, 16")]
    assert mutants
    assert all(len(mutant.lines) < 4 for mutant in mutants)
