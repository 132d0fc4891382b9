"""Files handed in lie beside the notebook, and each pass begins with them. Modules among them are the student's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest

from grader.sandbox.host.sandbox import Zygote
from grader.student import Definition
from tests.support.notebooks import notebook_bytes, submission
from tests.support.sandbox_runs import FILE, LIMITS, Ran, Run, ran_notebooks

MODULE = b"""
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 3)
    def forward(self, X):
        return self.layer(X)
def f():
    return helper()
def helper():
    return 1
"""
FILES = {
    "my_layers.py": MODULE,
    "package/__init__.py": b"from .inner import g\n",
    "package/inner.py": b"def g(): return 2\n",
    "script.py": b"def h(): return number\nnumber = 5\n",
    "values.py": b"value = 6\n",
    "data/table.csv": b"a,b\n1,2\n",
    "with a blank.txt": b"text",
    "stopping.ipynb": notebook_bytes("1 / 0", "def r(): return 8"),
}
WAYS = {
    "a module": "from my_layers import *\nassert f() == 1",
    "a package": "import package\nfrom package import g\nassert package.g() == g() == 2",
    "a script": "%run script.py\nassert h() == 5",
    "another notebook": "%run other.ipynb\nassert q() == 9",
    "loaded text": "%load script.py",
    "executed text": "exec(open('values.py').read())\nassert value == 6",
    "runpy": "import runpy\nassert runpy.run_path('script.py')['number'] == 5",
    "a table": "import pandas\nassert pandas.read_csv('data/table.csv').b.tolist() == [2]",
    "a name with a blank": "assert open('with a blank.txt').read() == 'text'",
    "a module written here": "open('later.py', 'w').write('def m(): return 7')\nfrom later import m\nassert m() == 7",
    "a module changed and loaded again": "import importlib, my_layers\nopen('my_layers.py', 'a').write('x = 3')\n"
    "importlib.reload(my_layers)\nassert my_layers.x == 3",
}
NAMES = ("f", "g", "h", "m", "q", "Net", "own")


@pytest.fixture(scope="module", params=[(), ("private file system",)], ids=["", "without the private file system"])
def made(zygote: Zygote, request: pytest.FixtureRequest) -> Iterator[Ran]:
    first = submission(*WAYS.values(), "def own(): return f()", "%run stopping.ipynb\nassert r() == 8").notebooks[0]
    other = dataclasses.replace(submission("def q(): return 9").notebooks[0], name="other.ipynb")
    left_out = frozenset(request.param)
    with ran_notebooks(zygote, [first, other], files=FILES, names=NAMES, left_out=left_out) as run:
        yield run


@pytest.mark.parametrize("way", WAYS)
def test_a_file_beside_the_notebook_is_used(made: Ran, way: str) -> None:
    number = list(WAYS).index(way)
    assert (made.statuses()[number], made.messages()[number]) == ("ok", "")


def test_a_cell_of_another_notebook_that_stops_costs_only_itself(made: Ran) -> None:
    assert made.messages()[len(WAYS) + 1].startswith("stopped at line 1: ZeroDivisionError")


@pytest.mark.parametrize(
    ("name", "source"),
    [("f", "my_layers.py"), ("Net", "my_layers.py"), ("g", "package/inner.py"), ("h", "script.py"), ("m", "later.py"),
     ("own", ""), ("q", "")],
)  # fmt: skip
def test_a_definition_is_named_with_its_file(made: Ran, name: str, source: str) -> None:
    assert {definition.sources.get(name, "") for definition in made.work.definitions([name])} == {source}


def test_a_model_of_a_module_is_a_candidate(made: Ran) -> None:
    assert "Net" in {candidate.name for candidate in made.work.candidates()}


def test_a_definition_of_a_module_can_be_called(made: Ran) -> None:
    assert made.call("f") == made.call("own", at_end=True) == 1


SPOIL = (
    "import os\nos.mkdir('results')\nos.makedirs('../beside')\nos.remove('script.py')\nos.mkdir('/tmp/mine')\n"
    "os.mkdir('locked')\nopen('locked/x', 'w').close()\nos.mkdir('locked/in')\nos.chmod('locked/in', 0)\n"
    "os.chmod('locked', 0)\nos.symlink('/usr', 'link')\nos.mkfifo('pipe')\nopen('my_layers.py', 'w').write('f = 1')\n"
    "def f(): return 1"
)


def test_a_further_pass_finds_the_folder_as_handed_in(run: Run) -> None:
    made = run(SPOIL, "os._exit(1)", "assert not os.path.exists('/usr/results')", files=FILES, deferred_snapshots=True)
    assert made.statuses() == ["ok", "ended the kernel", "ok"]


def test_the_next_notebook_finds_what_this_one_left_in_each_of_its_passes(zygote: Zygote) -> None:
    look = "import os\nassert os.path.exists('results') and not os.path.exists('script.py')\nos.mkdir('more')"
    second = submission(look, "os._exit(1)", "assert os.path.exists('more')").notebooks[0]
    notebooks = [submission(SPOIL).notebooks[0], dataclasses.replace(second, name="second.ipynb")]
    with ran_notebooks(zygote, notebooks, files=FILES, deferred_snapshots=True) as made:
        assert made.statuses(FILE) == ["ok"]
        assert made.statuses("second.ipynb") == ["ok", "ended the kernel", "ok"]


def test_a_notebook_in_a_folder_runs_there(zygote: Zygote) -> None:
    cell = (
        "import sys\nimport beside, above\nsys.path.append('..')\nassert open('beside.py').read() == 'x = 1'\n"
        "assert open('../above.py').read() == 'y = 2'"
    )
    notebook = dataclasses.replace(submission(cell).notebooks[0], name="part 2/hw.ipynb")
    files = {"part 2/beside.py": b"x = 1", "above.py": b"y = 2"}
    with ran_notebooks(zygote, [notebook], files=files) as made:
        assert made.messages("part 2/hw.ipynb") == [""]


def test_a_folder_that_is_gone_or_a_link_is_made_anew(run: Run) -> None:
    made = run(
        "import os, shutil\nshutil.rmtree(os.getcwd())\nos.symlink('/usr', '/home/student/work')\nos._exit(1)",
        "import os\nassert os.getcwd() == '/home/student/work' and not os.path.exists('bin')\nopen('x', 'w').close()",
    )
    assert made.statuses() == ["ended the kernel", "ok"]


def test_a_full_disk_costs_the_files_and_not_the_notebook(run: Run) -> None:
    limits = dataclasses.replace(LIMITS, written_bytes=2**20)
    made = run("assert 'x' in ''.join(open('x.py'))", "y = 1", files={"x.py": b"x"}, limits=limits)
    assert made.statuses() == ["ok", "ok"]


def test_sources_are_no_part_of_what_tells_definitions_apart() -> None:
    names = frozenset({"f"})
    assert {Definition("a.ipynb", 1, names, sources={"f": "x.py"}), Definition("a.ipynb", 1, names)} == {
        Definition("a.ipynb", 1, names)
    }
