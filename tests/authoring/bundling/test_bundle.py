"""A student bundle checks visible items, contains nothing hidden, and needs no grader."""

from __future__ import annotations

import ast
import base64
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from grader.assignment import Assignment, load_assignment
from grader.authoring.bundling import BuiltBundle, bundle, write_bundle
from grader.authoring.bundling.check.bundle import Bundle
from grader.authoring.bundling.check.command import main
from grader.authoring.bundling.check.replay import Replay
from grader.authoring.bundling.recording import Unrecordable, record_steps
from grader.authoring.new import new_assignment
from grader.cli import app
from grader.errors import AssignmentError, InputError
from grader.grading.grade import grade
from grader.judging.loading import load_rubric
from grader.judging.local import LocalStudent
from grader.judging.solution import read_cells
from grader.sandbox.host.sandbox import Zygote
from grader.student import Student
from grader.testing import Mismatch, assert_close, assert_shape
from tests.support.notebooks import CORR2D, notebook_bytes, submission
from tests.support.paths import ROOT

# Every Python that a bundle starts runs this first: it may take nothing from the checkout, no book and no network.
ALONE = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("grader", "reference", "rubrics", "tests", "d2l"):
            raise ModuleNotFoundError(f"{name} is blocked")
sys.meta_path.insert(0, Blocker())
def offline(event, _):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("no network")
sys.addaudithook(offline)
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Assignment:
    """A small assignment: softmax.values and accuracy visible, softmax.large hidden."""
    folder = tmp_path_factory.mktemp("assignments")
    new_assignment("first", folder)
    return load_assignment(folder / "first")


@pytest.fixture(scope="module")
def bundled(first: Assignment) -> BuiltBundle:
    return bundle(first)


@pytest.fixture(scope="module")
def images_zip(hw2: Assignment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of hw2's items on images, which are quick to record."""
    path = tmp_path_factory.mktemp("bundles") / "images.zip"
    items = ("corr2d.values", "corr2d.shape", "conv2d_layer", "pool2d.max", "pool2d.shape", "init_cnn")
    write_bundle(bundle(hw2, items), path)
    return path


@pytest.fixture(scope="module")
def images(images_zip: Path) -> Bundle:
    return Bundle.read(images_zip)


@pytest.fixture(scope="module")
def whole(hw2: Assignment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of hw2's bundle."""
    path = tmp_path_factory.mktemp("bundles") / "check.zip"
    write_bundle(bundle(hw2), path)
    return path


def read(made: BuiltBundle) -> Bundle:
    return Bundle.from_json(made.files["check/cases.json"].decode())


def verdicts(checks: Bundle, names: Mapping[str, Any]) -> dict[str, str]:
    return {result.item: result.verdict for result in checks.judge(names, *names)}


def notebook(folder: Path, *cells: str) -> Path:
    path = folder / "hw.ipynb"
    path.write_bytes(notebook_bytes(*cells))
    return path


def check(capsys: pytest.CaptureFixture[str], bundle: Path, *arguments: str | Path) -> str:
    main(bundle, [str(argument) for argument in arguments])
    return capsys.readouterr().out


def run_alone(bundle: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a bundle without the grader, without the book's package and without a network."""
    site = bundle.parent / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(ALONE)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, str(bundle), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=300)


def every_text(files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield all text in a bundle: names, contents, and decoded base64."""
    for name, content in files.items():
        yield name
        yield content.decode()
        for coded in re.findall(rb'"tensor": "([A-Za-z0-9+/=]*)"', content):
            yield base64.b64decode(coded).decode("latin-1")


def secret_lines(assignment: Assignment) -> set[str]:
    """Return the lines of the reference and of the files beside the rubric, without imports and short lines."""
    assert assignment.reference
    folders = [assignment.reference, assignment.folder]
    lines = {
        line.strip() for folder in folders for path in folder.rglob("*.py") for line in path.read_text().split("\n")
    }
    return {
        line for line in lines if len(line) > 24 and not re.match(r"from |import |says=|look=|\"\"\"|\"\w+\",$", line)
    }


def hidden_strings(assignment: Assignment) -> set[str]:
    hidden = {item.id: item.title for item in assignment.items if not item.visible}
    tests = [test for module in load_rubric(assignment).tests.values() for test in vars(module).values()]
    functions = {test.__name__ for test in tests if getattr(test, "item", "") in hidden}
    return {*hidden, *hidden.values(), *functions, assignment.revision}


def test_a_bundle_has_the_visible_items_and_no_string_of_the_hidden_one_or_of_the_reference(
    first: Assignment, bundled: BuiltBundle
) -> None:
    assert [item["id"] for item in read(bundled).items] == ["softmax.values", "accuracy"]
    text = "\n".join(every_text(bundled.files))
    assert "test_softmax_holds_for_large_scores" in hidden_strings(first)
    assert {secret for secret in secret_lines(first) | hidden_strings(first) if secret in text} == set()


def test_the_inputs_of_a_hidden_item_are_in_no_case(bundled: BuiltBundle) -> None:
    inputs = [
        Replay({})._decode(step["args"])
        for item in read(bundled).items
        for case in item["cases"]
        for step in case["steps"]
    ]
    assert len(inputs) > 10
    assert max(float(X.abs().max()) for X, *_ in inputs) < 100  # the hidden cases' are about 1000


@pytest.mark.slow
def test_the_zip_is_the_same_bytes_every_time(first: Assignment, bundled: BuiltBundle, tmp_path: Path) -> None:
    write_bundle(bundled, tmp_path / "here.zip")
    run = "import sys; from grader.cli import app; app(sys.argv[1:])"
    command = [sys.executable, "-c", run, "assignment", "bundle", str(first.folder), "--out", "there.zip"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert (tmp_path / "here.zip").read_bytes() == (tmp_path / "there.zip").read_bytes()


@pytest.mark.parametrize("out", ["check.zip", "check"])
def test_a_bundle_runs_without_grader_and_network(bundled: BuiltBundle, tmp_path: Path, out: str) -> None:
    write_bundle(bundled, tmp_path / out)
    wrong = "import torch\ndef softmax(X):\n    return X.exp() / X.exp().sum()"
    path = notebook(tmp_path, wrong, "def accuracy(X, y):\n    return (X.argmax(1) == y).double().mean()")
    ran = run_alone(tmp_path / out, path, "--hint", "2")
    assert ran.stderr == ""
    assert ran.stdout.split("\n")[0].startswith(
        "wrong    softmax.values (cell 1 of 2): in 5 of 6 cases, first with the book's"
    )
    assert "right    accuracy (cell 2 of 2)\n" in ran.stdout
    assert ran.returncode == 1


def test_an_old_python_or_one_without_torch_is_told_in_one_line_what_is_needed(
    bundled: BuiltBundle, tmp_path: Path
) -> None:
    write_bundle(bundled, tmp_path / "check.zip")
    old = "import runpy, sys; sys.version_info = (3, 8, 1); runpy.run_path('check.zip', run_name='__main__')"
    commands = {
        "this is Python 3.8": [sys.executable, "-c", old],
        "has no torch: pip install torch": [sys.executable, "-S", "check.zip"],
    }
    for missing, command in commands.items():
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert re.fullmatch(rf"check: this needs Python 3.9 or newer and PyTorch; .*{missing}\n", ran.stderr)


def test_python_3_9_can_read_every_file_of_a_bundle(bundled: BuiltBundle) -> None:
    for name, content in bundled.files.items():
        if name.endswith(".py"):
            tree = ast.parse(content, name, feature_version=(3, 9))
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            # What a newer Python added to calls: zip(strict=...), and a union as the second argument of isinstance.
            assert not [call for call in calls for keyword in call.keywords if keyword.arg == "strict"], name
            classes = [call.args[1] for call in calls if ast.unparse(call.func) == "isinstance"]
            assert not [one for one in classes if isinstance(one, ast.BinOp)], name


BOOK = """
from d2l import torch as d2l
import torch
from torch import nn
class LeNet(d2l.Classifier):
    def __init__(self, lr=0.1, num_classes=10):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.LazyConv2d(6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
            nn.LazyConv2d(16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
            nn.Flatten(), nn.LazyLinear(120), nn.Sigmoid(), nn.LazyLinear(84), nn.Sigmoid(), nn.LazyLinear(num_classes))
trainer, data = d2l.Trainer(max_epochs=10, num_gpus=1), d2l.FashionMNIST(batch_size=128)
model = LeNet(lr=0.1)
model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
trainer.fit(model, data)
"""


@pytest.mark.slow
def test_a_model_of_the_book_s_classes_is_judged_where_the_book_s_package_is_missing(
    whole: Path, tmp_path: Path
) -> None:
    ran = run_alone(whole, notebook(tmp_path, BOOK), "--item", "lenet.shapes", "--item", "lenet.params")
    assert ran.stdout == "right    lenet.shapes (cell 1 of 1)\nright    lenet.params (cell 1 of 1)\n"
    wrong = BOOK.replace("LazyConv2d(16, kernel_size=5)", "LazyConv2d(16, kernel_size=3)")
    ran = run_alone(whole, notebook(tmp_path, wrong), "--item", "lenet.shapes", "--item", "lenet.params")
    assert ran.stdout.count("wrong ") == 2


@pytest.mark.slow
def test_it_can_be_imported_in_a_notebook(bundled: BuiltBundle, tmp_path: Path) -> None:
    write_bundle(bundled, tmp_path / "check.zip")
    program = """
import sys
sys.path.insert(0, "check.zip")
import check
def softmax(X):
    return X.exp() / X.exp().sum(dim=1, keepdim=True)
check.softmax(softmax)
check.softmax(lambda X: X, hint=2)
try:
    check.forward
except AttributeError as error:
    print(error)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=True
    )
    lines = ran.stdout.split("\n")
    assert lines[0] == "right    softmax.values"
    assert lines[1].startswith("wrong    softmax.values: in 6 of 6 cases")
    assert lines[3] == "this assignment does not check anything called forward"


def test_a_table_of_the_bundle_s_answers_passes_it_and_fails_the_grader(
    hw2: Assignment,
    images: Bundle,
    images_zip: Path,
    zygote: Zygote,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    replay = Replay({})
    table = {}
    for item in Bundle.read(images_zip).items:
        for case in item["cases"] if item["id"] == "corr2d.values" else ():
            (step,) = case["steps"]
            X, K = replay._decode(step["args"])
            table[str((X.tolist(), K.tolist()))] = replay._decode(step["answer"]).tolist()
    looked_up = "def corr2d(X, K):\n    return torch.tensor(TABLE[str((X.tolist(), K.tolist()))])"
    cell = f"import torch\nTABLE = {table!r}\n{looked_up}"
    path = notebook(tmp_path, cell)
    assert "right    corr2d.values (cell 1 of 1)" in check(capsys, images_zip, path)
    report = grade(submission(cell), hw2, zygote)
    assert {item.id: item.points for item in report.items}["corr2d.values"] == 0


def test_a_definition_is_judged_as_it_stood(
    images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(
        tmp_path,
        f"{CORR2D}\ncorr2d = corr2d\ndef pool2d(X, pool_size):\n    return 0 * X",
        "%matplotlib inline\ncorr2d = None\nfrom torch.nn.functional import conv2d as corr2d",
        "def pool2d(X, pool_size):\n    return largest(X.unfold(0, pool_size[0], 1).unfold(1, pool_size[1], 1))",
        "def largest(windows):\n    return windows.amax((2, 3))",
        "1\nundefined\nfine = 1",
    )
    found = check(capsys, images_zip, path)
    assert "right    corr2d.values (cell 1 of 5)" in found
    assert "right    pool2d.max\n" in found  # what it calls is written further down
    assert "absent   conv2d_layer: Conv2D is not defined" in found
    assert "note: hw.ipynb, cell 5 of 5, line 2: raises NameError: name 'undefined' is not defined\n" in found


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["in the foreground", "in the background"])
def interrupts(request: pytest.FixtureRequest) -> Iterator[None]:
    """SIGINT as a shell leaves it to a job in the foreground, and to one in the background."""
    handler = signal.signal(signal.SIGINT, request.param)
    yield
    left = signal.signal(signal.SIGINT, handler)
    assert left == request.param


@pytest.mark.usefixtures("interrupts")
def test_an_endless_statement_is_stopped(images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endless = "def pool2d(X, pool_size):\n    while True:\n        pass"
    path = notebook(tmp_path, "while True:\n    pass", endless, CORR2D)
    items = ("--item", "pool2d.max", "--item", "corr2d.shape")
    found = check(capsys, images_zip, path, "--seconds", "0.5", "--hint", "2", *items)
    assert "wrong    pool2d.max" in found
    assert "takes more than 0.5 seconds" in found
    assert "right    corr2d.shape (cell 3 of 3)" in found
    assert "note: hw.ipynb, cell 1 of 3, line 1: stopped after 0.5 seconds" in found


@pytest.mark.slow
def test_what_cannot_be_interrupted_costs_itself_only(
    images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catches = "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except BaseException:\n        pass"
    path = notebook(
        tmp_path,
        catches,
        f"import re\nre.match('(a+)+b', {'a' * 60!r})",  # never leaves C code
        "def pool2d(X, pool_size):\n    import os\n    os._exit(0)",
        CORR2D,
    )
    items = ("--item", "pool2d.max", "--item", "corr2d.shape")
    found = check(capsys, images_zip, path, "--seconds", "0.5", "--hint", "2", *items)
    assert "right    corr2d.shape (cell 4 of 4)" in found
    assert "wrong    pool2d.max (cell 3 of 4)" in found
    assert "it ends the process" in found
    assert found.count("stopped after 0.5 seconds, or it ended its process; left out") == 2


def test_hints_come_in_steps(images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = notebook(tmp_path, CORR2D.replace("* K)", "* K.flip(0, 1))"))
    where, what, shown = (
        check(capsys, images_zip, path, "--item", "corr2d.values", "--hint", str(hint)) for hint in (1, 2, 3)
    )
    assert "in 9 of 11 cases, first with the book's example; read section 7.2.1 again" in where
    assert "kernel is flipped" not in where
    assert "the kernel is flipped in both directions" in what
    assert "expected 19 at [0, 0], found 5" in what
    assert "X, shape" not in what
    assert "X, shape (3, 3) float32:" in shown
    assert "K, shape (2, 2) float32:" in shown
    assert "your result, shape (2, 2) float32:" in shown


def test_an_exception_is_told_with_its_line(
    images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(tmp_path, "import torch", CORR2D.replace("* K)", "* k)"))
    found = check(capsys, images_zip, path, "--item", "corr2d.values", "--hint", "2")
    assert re.search(r"raises NameError: name 'k' is not defined \(cell 2 of 2, line \d\)", found)


def test_what_is_not_checked_is_named_first(
    images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = check(capsys, images_zip, notebook(tmp_path, CORR2D))
    assert found.startswith("Not checked here, only by the course's grader: init_cnn.\n")


def test_work_with_other_signatures_is_unclear_and_not_wrong(images: Bundle) -> None:
    class Conv2D(nn.Module):
        def __init__(self, size: tuple[int, int], channels: int) -> None:
            super().__init__()

    def corr2d(X: Tensor) -> Tensor:
        return X

    assert verdicts(images, {"corr2d": corr2d, "Conv2D": Conv2D}) == {
        "corr2d.values": "unclear",
        "corr2d.shape": "unclear",
        "conv2d_layer": "unclear",
    }


def test_parameters_may_have_other_names(images: Bundle, hw2: Assignment) -> None:
    corr2d = load_rubric(hw2).solution.namespace()["corr2d"]

    def layer(bias: float) -> Callable[[tuple[int, int]], nn.Module]:
        class Conv2D(nn.Module):
            def __init__(self, kernel_size: tuple[int, int]) -> None:
                super().__init__()
                self.b = nn.Parameter(torch.zeros(1))
                self.w = nn.Parameter(torch.rand(kernel_size))

            def forward(self, X: Tensor) -> Tensor:
                answer: Tensor = corr2d(X, self.w) + bias * self.b
                return answer

        return Conv2D

    assert verdicts(images, {"Conv2D": layer(1)})["conv2d_layer"] == "right"
    assert verdicts(images, {"Conv2D": layer(2)})["conv2d_layer"] == "wrong"


def solution_of(**names: Callable[..., Any]) -> Student:
    return LocalStudent(names)


def test_only_the_parts_that_a_test_checks_are_checked() -> None:
    def test(student: Any) -> None:
        assert_close(student.double(torch.ones(2)), 2 * torch.ones(2))
        assert_shape(student.double(torch.zeros(3)), (3,))
        student.double(torch.ones(()))

    steps = record_steps(test, solution_of(double=lambda X: 2 * X))
    assert [step.checked for step in steps] == [("values",), ("shape",), ()]


def test_random_answers_are_not_recorded() -> None:
    def test(student: Any) -> None:
        drawn = student.draw()
        if not 0 <= float(drawn) < 1:
            raise Mismatch("not within its bounds")

    with pytest.raises(Unrecordable, match="at random"):
        record_steps(test, solution_of(draw=lambda: torch.rand(())))


def test_items_that_cannot_be_recorded_are_left_out_with_the_reason(hw2: Assignment) -> None:
    made = bundle(hw2, ("corr2d.shape", "edge_detection", "init_cnn", "lenet.training"))
    assert made.left_out == {
        "edge_detection": "it looks at the values that the notebook's cells leave",
        "init_cnn": "its right answers are drawn at random",
        "lenet.training": "it is earned by training",
    }
    assert "- `init_cnn`: its right answers are drawn at random" in made.files["README.md"].decode()


def test_an_assignment_that_cannot_be_bundled_is_refused(hw2: Assignment, tmp_path: Path) -> None:
    new_assignment("bare", tmp_path)
    rubric = tmp_path / "bare" / "rubric.toml"
    rubric.write_text(re.sub("^reference = .*$", "", rubric.read_text(), flags=re.MULTILINE))
    with pytest.raises(AssignmentError, match="names no reference"):
        bundle(load_assignment(tmp_path / "bare"))
    with pytest.raises(InputError, match="has no visible item that can be recorded"):
        bundle(hw2, ("lenet.training",))


def test_the_command_writes_a_folder_and_overwrites_none(first: Assignment, tmp_path: Path) -> None:
    command = ["assignment", "bundle", str(first.folder), "--out", str(tmp_path / "checks")]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.output) == (0, f"wrote {tmp_path / 'checks'}\n")
    assert Bundle.read(tmp_path / "checks").names == ("softmax", "accuracy")
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert "exists already: remove it, or give another --out" in " ".join(again.output.split())


def test_wrong_input_to_a_bundle_says_what_to_do(
    images_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: str) -> str:
        assert main(images_zip, list(arguments)) == 2
        return capsys.readouterr().err

    text = tmp_path / "text.ipynb"
    text.write_text("text")
    assert "is not a notebook: give an .ipynb file" in refuse(str(text))
    assert "none.ipynb: there is no such file" in refuse(str(tmp_path / "none.ipynb"))
    assert "nothing is recorded of softmax; give one of corr2d.values, " in refuse(str(text), "--item", "softmax")
    assert "init_cnn is checked by the course's grader only: its right" in refuse(str(text), "--item", "init_cnn")


@pytest.mark.slow
def test_the_bundle_of_hw2_is_small_and_keeps_its_secrets(hw2: Assignment, whole: Path) -> None:
    assert whole.stat().st_size < 2 * 2**20
    with zipfile.ZipFile(whole) as archive:
        text = "\n".join(every_text({name: archive.read(name) for name in archive.namelist()}))
    assert {secret for secret in secret_lines(hw2) | {hw2.revision} if secret in text} == set()


@pytest.mark.slow
def test_the_solution_is_right_and_no_alternative_is_called_wrong(hw2: Assignment, whole: Path) -> None:
    checks = Bundle.read(whole)
    solution, own = load_rubric(hw2).solution, load_rubric(hw2).own_packages
    assert set(verdicts(checks, solution.namespace()).values()) == {"right"}
    paths = sorted((hw2.folder / "alternatives").glob("*.py"))
    for path in (each for each in paths if each.stem != "on_the_device"):  # its GPU is the sandbox's
        names = solution.with_definitions(list(read_cells(path, own))).namespace()
        found = verdicts(checks, names)
        assert "wrong" not in found.values(), f"{path.name}: {found}"


@pytest.mark.slow
def test_the_example_gets_the_verdicts_of_the_grader(whole: Path) -> None:
    ran = run_alone(whole, ROOT / "examples" / "hw2.ipynb")
    found = dict(line.split()[1::-1] for line in ran.stdout.split("\n") if re.match("right|wrong|absent|unclear", line))
    assert {item for item, verdict in found.items() if verdict != "right"} == {"pool2d.max", "residual"}
    assert len(found) == 17
