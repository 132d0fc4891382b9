"""A mutant's diagnosis: caught, equivalent or a survivor; named rightly or falsely."""

from __future__ import annotations

import pytest

from grader.assignment import Assignment
from grader.authoring.mutation.mutants import MODEL_SOLUTION, Mutant, list_origins
from grader.authoring.mutation.trials import MutantJudge
from grader.judging.loading import load_rubric
from grader.results.mutation import Diagnosis


@pytest.fixture(scope="module")
def judge(hw2: Assignment) -> MutantJudge:
    return MutantJudge(hw2)


def mutant(hw2: Assignment, name: str, old: str, new: str, origin: str = MODEL_SOLUTION) -> Mutant:
    cells = list_origins(load_rubric(hw2))[origin].cells
    index = next(index for index, cell in enumerate(cells) if cell.name == name and old in cell.source)
    source = cells[index].source.replace(old, new, 1)
    return Mutant(name, name, origin, index, "by hand", old, new, (1,), source)


def test_a_known_mistake_is_named(hw2: Assignment, judge: MutantJudge) -> None:
    judged = judge.judge(mutant(hw2, "pool2d", "windows.amax(dim=(2, 3))", "windows.mean(dim=(2, 3))"))
    assert judged.caught
    assert "pool2d.max" in judged.loses
    assert judged.diagnosis is not Diagnosis.FALSE


def test_another_way_to_write_it_is_equivalent(hw2: Assignment, judge: MutantJudge) -> None:
    judged = judge.judge(mutant(hw2, "corr2d", "(2, 3)", "(3, 2)"))
    assert judged.equivalent
    assert not judged.survived


@pytest.mark.slow
def test_statements_in_another_order_are_equivalent_though_the_weights_are_drawn_in_another(
    hw2: Assignment, judge: MutantJudge
) -> None:
    first, second = "self.conv1 = nn.LazyConv2d", "self.conv2 = nn.LazyConv2d"
    cells = list_origins(load_rubric(hw2))["book"].cells
    source = next(cell.source for cell in cells if cell.name == "Residual")
    lines = source.splitlines()
    a = next(i for i, line in enumerate(lines) if first in line)
    b = next(i for i, line in enumerate(lines) if second in line)
    lines[a], lines[b] = lines[b], lines[a]
    index = next(i for i, cell in enumerate(cells) if cell.name == "Residual")
    judged = judge.judge(Mutant("Residual", "Residual", "book", index, "by hand", "", "", (1,), "\n".join(lines)))
    assert judged.equivalent, judged.why


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("Conv2D", "torch.zeros(1)", "torch.ones(1)", "in another way"),
        ("pool2d", "mode: str='max'", "mode: str='avg'", "takes"),
    ],
)
def test_what_behaves_otherwise_and_loses_nothing_is_no_equivalent(
    hw2: Assignment, judge: MutantJudge, name: str, old: str, new: str, says: str
) -> None:
    judged = judge.judge(mutant(hw2, name, old, new))
    assert not judged.equivalent
    assert judged.caught or says in judged.why


def test_a_definition_that_cannot_be_made_is_caught(hw2: Assignment, judge: MutantJudge) -> None:
    judged = judge.judge(mutant(hw2, "pool2d", "mode: str='max'", "mode: str=maximum"))
    assert judged.caught
    assert judged.refused


@pytest.mark.slow
def test_dropout_of_another_share_is_seen_in_train_mode(hw2: Assignment, judge: MutantJudge) -> None:
    judged = judge.judge(mutant(hw2, "VGG", "nn.Dropout(0.5)", "nn.Dropout(0.25)"))
    assert judged.caught or "other outputs in train mode" in judged.why


@pytest.mark.slow
def test_a_loop_without_end_is_caught(hw2: Assignment, judge: MutantJudge) -> None:
    judged = judge.judge(mutant(hw2, "edge_kernel", "return", "while True:\n        pass\n    return"))
    assert judged.caught
