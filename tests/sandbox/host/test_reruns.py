"""Reruns in real processes: cells that are run again with other data, and processes that answer anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from grader.models.rerun import Substitution
from grader.results.report import CellResult
from grader.sandbox.host.execution import Execution, RecordedNote
from grader.sandbox.host.reruns import choose_all_cells, choose_cells, rerun
from grader.student import Fault, Recorded, Rerun
from tests.support.notebooks import submission
from tests.support.sandbox_runs import FILE, Ran, Run, fault_of

MADE = "import torch\nX = torch.zeros(2, 2)\nX[0] = 1"
X, OTHER = torch.tensor([[1.0, 1], [0, 0]]), torch.tensor([[3.0, 5], [7, 9]])
SWAP = [Substitution(X, OTHER)]


def wanted(cell: int, name: str) -> Recorded:
    return Recorded(FILE, cell, name, torch.zeros(1))


def rerun_of(ran: Ran, cell: int, name: str, entries: int = 0) -> Rerun:
    with ran.work.open(None) as student:
        return student.rerun([wanted(cell, name)], SWAP, entries)


def last(seen: Rerun) -> Any:
    value = seen.values[-1].value
    return value.tolist() if isinstance(value, torch.Tensor) else value


def test_cells_are_run_again_as_they_were_run_first_whatever_came_later(run: Run) -> None:
    ran = run(
        MADE,
        "def f(x): return x + scale\nscale = 1",
        "%%time\n%matplotlib inline\nif True:\n    Y = f(X)\n    return Y\nnot python at all",
        "from IPython.display import display\ndisplay(Y); print(Y)\nZ = f(torch.zeros(1))\nZ",
        "del X, Y, f\nscale = 100\ntorch.set_grad_enabled(False)",
    )
    seen = rerun_of(ran, 2, "Y", 4)
    assert last(seen) == (OTHER + 1).tolist()
    assert [value.tolist() for value in seen.returned] == [(OTHER + 1).tolist()]
    assert last(rerun_of(ran, 3, "_")) == [1.0]
    assert next(v for cell, name, v in ran.recorded() if (cell, name) == (2, "Y")).tolist() == [[2, 2], [1, 1]]


@pytest.mark.slow
def test_functions_of_a_file_that_lies_beside_the_notebook_are_the_student_s(run: Run) -> None:
    ran = run(MADE, "from own import f\nY = f(X)", files={"own.py": b"def f(x):\n    return 2 * x\n"})
    seen = rerun_of(ran, 1, "Y", 4)
    assert last(seen) == (2 * OTHER).tolist()
    assert [value.tolist() for value in seen.returned] == [(2 * OTHER).tolist()]


@pytest.mark.slow
def test_a_cell_that_never_ends_gives_what_it_gave_before(run: Run) -> None:
    ran = run(MADE, "Y = X + 1\nimport sys\nif Y[0, 0] > 2:\n    while True: pass")
    assert last(rerun_of(ran, 1, "Y")) == (OTHER + 1).tolist()


@pytest.mark.slow
def test_a_notebook_without_a_process_is_not_run_again(run: Run) -> None:
    ran = run(MADE, "Y = X + 1")
    for snapshot in ran.execution.snapshots:
        snapshot.packets.close()
    assert fault_of(rerun_of, ran, 1, "Y")[0] is Fault.CRASHED
    ran.execution.snapshots.clear()
    assert fault_of(rerun_of, ran, 1, "Y")[0] is Fault.MISSING


def test_cells_that_hung_or_trained_are_left_out_unless_their_values_are_wanted() -> None:
    (notebook,) = submission("a = 1", "b = 2", "c = 3", "d = 4", "e = 5").notebooks
    ends = ("ok", "timed out", "raised", "ended the kernel", "ok")
    execution = Execution(cells={(FILE, n): CellResult(FILE, n, status, "") for n, status in enumerate(ends)})
    assert [index for index, _ in choose_cells(notebook, [wanted(3, "d")], execution)] == [0, 2, 3]
    assert [index for index, _ in choose_cells(notebook, [wanted(1, "b"), wanted(0, "a")], execution)] == [0, 1]
    other = replace(notebook, name="another.ipynb")
    assert [index for index, _ in choose_cells(other, [wanted(4, "e")], execution)] == [4]


def test_cells_that_keep_nothing_are_no_part_of_a_whole_notebook() -> None:
    kept = (
        "net = VGG()",
        "net.layer_summary((1, 1, 224, 224))",
        "train(net)",
        "VGG().layer_summary(shape := (1, 1, 224, 224))",
        "VGG().layer_summary((1, 1, 224, 224))\nx = 1",
        "%time VGG().layer_summary((1, 1, 224, 224))",
        "pool.values().sum()",
        "Summary().show(",
        "",
    )
    left_out = ("VGG().layer_summary((1, 1, 224, 224))", "# both\nLeNet().to(device)\nVGG(arch=2 * [3]).summary(1)")
    (notebook,) = submission(*kept, *left_out, "Trainer(max_epochs=10).fit(model)").notebooks
    last = len(kept) + len(left_out)
    note = RecordedNote(FILE, last, "weight", None)
    ends = {(FILE, cell): CellResult(FILE, cell, "ok", "") for cell in range(last + 1)}
    chosen = choose_all_cells(notebook, Execution(cells=ends, notes=[note]))
    assert [source for _, source in chosen] == [*kept, "Trainer(max_epochs=10).fit(model)"]


@pytest.mark.parametrize(
    "response",
    [
        None,
        7,
        {},
        {"values": None, "returned": (), "substituted": 0},
        {"values": ((1, "Y"),), "returned": (), "substituted": 0},
        {"values": ((1, "Y", "text"),), "returned": (), "substituted": 0},
        {"values": ((1, "Y", {"weight": 3}),), "returned": (), "substituted": 0},
        {"values": (), "returned": (3,), "substituted": 0},
        {"values": (), "returned": (), "substituted": None},
    ],
)
def test_an_answer_of_another_form_is_the_student_s_fault(response: Any) -> None:
    class Answering:
        def ask(self, request: dict[str, Any]) -> Any:
            return response

    assert fault_of(rerun, Answering(), [(1, "Y = 1")], [wanted(1, "Y")], SWAP, 0)[0] is Fault.MALFORMED
