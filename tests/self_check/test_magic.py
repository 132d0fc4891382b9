"""`%grader` in a real kernel judges the definitions of earlier cells, and does not change the student's state."""

from __future__ import annotations

import html
import subprocess
import sys
from typing import Any

import nbclient
import nbformat
import pytest
import torch
from torch import nn

from grader.judging.namespace_work import NamespaceWork
from grader.student import Fault, StudentFault
from tests.support.notebooks import CORR2D

WRONG = CORR2D.replace("* K", "* K - 0.25")
BLOCK = """
from torch.nn import functional as F
class Residual(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides) if use_1x1conv else None
        self.bn1 = nn.LazyBatchNorm2d()
        self.bn2 = nn.LazyBatchNorm2d()
    def forward(self, X):
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3:
            X = self.conv3(X)
        return F.relu(Y + X)
"""
INTERRUPTED = """
import os, signal
def corr2d(X, K):
    os.kill(os.getpid(), signal.SIGINT)
    while True:
        pass
"""
# Names, and the code of cells; all run one after the other in one kernel.
CELLS = {
    "loaded": "%load_ext grader",
    "nothing is defined": "%grader",
    "not defined": "%grader corr2d",
    "imported": "from torch.nn import Module as LeNet\n%grader LeNet",
    "gone again": "del LeNet",
    "defined right": f"{CORR2D}\ntorch.manual_seed(5)\nbefore = torch.get_rng_state()",
    "right": "%grader corr2d",
    "shown alone": "%grader",
    "generators": "print(torch.equal(before, torch.get_rng_state()), torch.get_num_threads() == threads)",
    "defined wrong": f"{WRONG}\nprint('of the cell')",
    "wrong": "%grader corr2d.values",
    "second hint": "%grader corr2d.values --hint 2",
    "all hints": "%grader corr2d.values --hint 9",
    "defined with markup": "def corr2d(X, K):\n    raise ValueError('<script>alert(1)</script>\\x1b[31m')",
    "markup": "%grader corr2d.values --hint 2",
    "defined block": f"from torch import nn\n{BLOCK}",
    "block": "%grader residual",
    "defined noise": "def corr2d(X, K):\n    print('noise')\n    return X",
    "noise": "%grader corr2d.values",
    "defined ending": "def corr2d(X, K):\n    raise SystemExit",
    "ending": "%grader corr2d.values --hint 2",
    "defined interrupted": INTERRUPTED,
    "interrupted": "%grader corr2d",
    "alive": "1 + 1",
    "trained": "%grader lenet.training",
    "shown": "%grader edge_detection",
    "misspelt": "%grader corr3d",
    "wrong option": "%grader --hints 3",
    "help": "%grader --help",
    "no assignment": "%grader --assignment hw99",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outputs of each cell: the displayed value by type, and the printed text under "stream"."""
    first = "import torch\nthreads = torch.get_num_threads()"
    cells = [nbformat.v4.new_code_cell(source) for source in (first, *CELLS.values())]
    notebook = nbformat.v4.new_notebook(cells=cells)
    folder = str(tmp_path_factory.mktemp("student"))
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return {name: _given(cell) for name, cell in zip(CELLS, notebook.cells[1:], strict=True)}


def _given(cell: Any) -> dict[str, str]:
    given = {"stream": "".join(output["text"] for output in cell.outputs if output["output_type"] == "stream")}
    for output in cell.outputs:
        given.update(output.get("data", {}))
    return given


@pytest.mark.slow
def test_a_right_item_is_shown_as_text_and_html_with_the_small_print(outputs: dict[str, Any]) -> None:
    text, page = outputs["right"]["text/plain"], outputs["right"]["text/html"]
    for each in (text, page):
        assert "✓ corr2d.values  6 / 6" in each
        assert "✓ corr2d.shape  3 / 3" in each
        assert "a self-check; the grade comes from the course's grader" in html.unescape(each)
    assert "pool2d" not in text
    assert outputs["shown alone"]["text/plain"] == text  # nothing else is defined


def test_hints_come_step_by_step(outputs: dict[str, Any]) -> None:
    one, two, three = (outputs[name]["text/plain"] for name in ("wrong", "second hint", "all hints"))
    assert "✗ corr2d.values  0 / 6" in one
    assert "More: %grader corr2d.values --hint 2" in one
    assert "numbers are not" not in one
    assert "numbers are not" in two
    assert "More: %grader corr2d.values --hint 3" in two
    assert "expected" not in one + two
    assert "The smallest case found is" in three
    assert "More:" not in three


def test_a_module_is_judged(outputs: dict[str, Any]) -> None:
    assert "✓ residual  5 / 5" in outputs["block"]["text/plain"]


def test_an_undefined_name_is_an_error(outputs: dict[str, Any]) -> None:
    assert outputs["not defined"]["stream"] == (
        "grader: corr2d is not defined here: define it first, and run its cell\n"
    )
    assert "nothing to judge is defined yet: define one of corr2d, Conv2D, " in outputs["nothing is defined"]["stream"]


def test_imported_definitions_do_not_count(outputs: dict[str, Any]) -> None:
    assert "LeNet is a layer of torch.nn, not written here" in outputs["imported"]["text/plain"]


def test_a_student_s_text_is_never_markup_or_a_terminal_command(outputs: dict[str, Any]) -> None:
    assert "raises ValueError: <script>" in outputs["markup"]["text/plain"]
    assert "\x1b" not in str(outputs["markup"])
    assert "<script" not in outputs["markup"]["text/html"]
    assert "&lt;script&gt;" in outputs["markup"]["text/html"]


def test_called_code_cannot_print_or_end_the_check(outputs: dict[str, Any]) -> None:
    assert outputs["noise"]["stream"] == ""
    assert outputs["defined wrong"]["stream"] == "of the cell\n"
    assert "raises SystemExit" in outputs["ending"]["text/plain"]


def test_generators_and_threads_are_left_as_they_were(outputs: dict[str, Any]) -> None:
    assert outputs["generators"]["stream"] == "True True\n"


def test_an_interrupt_ends_the_check_and_nothing_else(outputs: dict[str, Any]) -> None:
    assert outputs["interrupted"]["stream"] == "grader: interrupted; nothing was judged\n"
    assert outputs["alive"]["text/plain"] == "2"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("trained", ["lenet.training cannot be judged in place", "grader check NOTEBOOK --item lenet.training"]),
        ("shown", ["edge_detection cannot be judged in place"]),
        ("misspelt", ["no item of hw2 is called 'corr3d': did you mean corr2d"]),
        ("wrong option", ["unrecognized arguments: --hints", "see %grader --help"]),
        ("help", ["usage: %grader", "--hint HINT"]),
        ("no assignment", ["no assignment named 'hw99': give one of hw2"]),
    ],
)
def test_errors_are_reported_in_one_line(outputs: dict[str, Any], name: str, parts: list[str]) -> None:
    assert all(part in outputs[name]["stream"] for part in parts)
    assert "Traceback" not in str(outputs[name])


def test_loading_the_extension_imports_no_torch() -> None:
    code = "import sys, grader, grader.self_check.magic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Own(nn.Linear):
    """A layer of the student."""


def endless(X: Any) -> None:
    while True:
        try:
            X = X + 1
        except Exception:
            continue


def test_an_endless_loop_is_stopped() -> None:
    with NamespaceWork({"endless": endless}, 0.05).open(None) as student, pytest.raises(StudentFault) as fault:
        student.endless(1)
    assert fault.value.fault is Fault.TIMED_OUT


def test_a_model_of_the_notebook_is_copied() -> None:
    net = nn.Linear(2, 2)
    own = Own(2, 2)
    before = own.weight.detach().clone()
    work = NamespaceWork({"own": own, "net": net}, 1)
    with work.open(None) as student:
        student.own.load({"weight": torch.zeros(2, 2)})
    assert torch.equal(own.weight, before)
    assert not work.definitions(["net"])  # a layer of torch.nn, which the notebook does not define
