"""A statement that raises costs only itself, in cells of every form."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import pytest

from grader.results.report import CellResult
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import FILE, LIMITS, Ran, Run, ran

MODULE = "open('fails_at_import.py', 'w').write('1 / 0')"
# Each cell stops in the lines that are listed; all of its other lines are run.
CELLS: Mapping[str, tuple[str, list[int]]] = {
    "a failing import": ("from math import no_such_name\ndef missing(): return 1", [1]),
    "one of several modules": (f"{MODULE}\nimport math, fails_at_import, os\nassert math and os", [2]),
    "one of several names": ("from math import (\n    pi,\n    no_such,\n    e)\nassert pi > e", [1]),
    "an assertion": ("assert 1 == 2, 'no'\nkept = 1\nassert kept == 1", [1]),
    "leaving": ("import sys\nsys.exit(0)\nleft = 1\nraise SystemExit\nleft = 2\nassert left == 2", [2, 4]),
    "raising under if": (
        "if True:\n    stays = 1\n    raise RuntimeError('no GPU')\n    follows = 2\nstays + follows",
        [3],
    ),
    "a test that raises": ("if undefined_test:\n    never = 1\nassert 'never' not in globals()", [1]),
    "elif and else": ("if 1 > 2:\n    x = 1\nelif 2 > 3:\n    x = 2\nelse:\n    1 / 0\n    x = 3\nassert x == 3", [6]),
    "a loop": ("for n in range(5):\n    1 / (n - 2)\nassert n == 2", [2]),
    "with": ("with open('nobody'):\n    inside = 1\nassert 'inside' not in globals()", [1]),
    "try": ("try:\n    1 / 0\nfinally:\n    cleared = 1\nassert cleared", [2]),
    "several lines": ("values = [\n    1,\n    1 / 0]\nassert 'values' not in globals()", [3]),
    "inside a function": ("def fails():\n    raise ValueError\nfails()\nassert fails", [3]),
    "a long command above": ("!true \\\n    --again\n1 / 0\ncommanded = 1", [3]),
    "%%time": ("%%time\n1 / 0\ntimed = 1\ntimed", [2]),
    "%%capture": ("%%capture shown\n1 / 0\ncaptured = 1", [2]),
    "%%capture and %%time": ("%%capture\n\n%%time\nx = 1\n1 / 0\nboth = 1", [5]),
    "%%prun": ("%%prun -q\n1 / 0\nprofiled = 1", [2]),
    "a cell magic that is not installed": ("%%memit_of_nobody\n1 / 0\nunmeasured = 1", [2]),
    "the bodies were run": ("assert timed == captured == both == profiled == unmeasured == 1", []),
    "await": ("import asyncio\nawait asyncio.sleep(0)\n1 / 0\nawait asyncio.sleep(0)\nwaited = 1", [3]),
    "a return outside a function": ("returned = 1\nreturn 5\nreturned = 2\nassert returned == 2", [2]),
    "text that is no Python": ("# Answer:\nthe kernel is larger than this\ndef worded(): return 1\nworded()", [2]),
    "a class without its colon": ("class Broken\n    pass\nclass Whole:\n    pass\nWhole()", [1]),
    "an f-string of a newer Python": ("print(f'{'a'}')\nquoted = 1\nassert quoted", [1]),
    "a body that is no Python": ("%%time\nthis is text\nparsed = 1", [2]),
    "nothing but a mistake": ("print('unfinished'", [1]),
    "their own MemoryError": ("raise MemoryError('mine')\nremembered = 1", [1]),
    "a cell inside a cell": ("get_ipython().run_cell('1 / 0\\nnested = 1')\nassert nested == 1", [1]),
    "a decorator": ("@no_such_decorator\ndef decorated(): pass\ndef plain(): pass", [1]),
    "interactive": ("get_ipython().ast_node_interactivity = 'all'", []),
    "all that is shown": ("1\n1 / 0\nif True:\n    2\n3", [2]),
    "not interactive": ("get_ipython().ast_node_interactivity = 'last_expr'", []),
    "nothing": ("1 + 1", []),
}
MEMORY = "kept = bytearray(10**14)\ndef after(): return 1"


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    """Run all cells in one notebook, with one snapshot at the end."""
    with ran(zygote, *(source for source, _ in CELLS.values()), MEMORY, deferred_snapshots=True) as run:
        yield run


@pytest.fixture(scope="module")
def results(made: Ran) -> dict[str, CellResult]:
    return {name: made.execution.cells[FILE, number] for number, name in enumerate(CELLS)}


@pytest.mark.parametrize("name", CELLS)
def test_only_the_statements_that_raise_are_lost(results: dict[str, CellResult], name: str) -> None:
    lines = CELLS[name][1]
    assert [stop.line for stop in results[name].stops] == lines, results[name]
    assert results[name].status == ("raised" if lines else "ok")


def test_the_message_says_where_a_cell_stopped_and_what_was_run_all_the_same(results: dict[str, CellResult]) -> None:
    assert results["an assertion"].message == (
        "stopped at line 1: AssertionError: no; the 2 lines below were run all the same"
    )


def test_each_statement_shows_its_traceback(made: Ran) -> None:
    def list_kinds(name: str) -> list[str]:
        return [output["output_type"] for output in made.showed(list(CELLS).index(name))]

    assert list_kinds("leaving").count("error") == 2
    assert list_kinds("%%time") == ["error", "stream", "execute_result"]
    assert list_kinds("all that is shown") == ["execute_result", "error", "execute_result", "execute_result"]


def test_memory_that_was_refused_is_a_limit_and_a_student_s_own_exception_is_none(made: Ran) -> None:
    assert made.statuses()[-1] == "out of memory"
    assert made.execution.limits_hit == [f"{FILE}, cell {len(CELLS) + 1}: out of memory"]


def test_a_definition_below_a_statement_that_raises_is_judged(run: Run) -> None:
    made = run(f"{MODULE}\nimport fails_at_import, math\n%matplotlib nothing\ndef f(): return math.floor(1.5)")
    assert made.call("f") == 1


def test_a_cell_whose_time_is_over_ends_and_says_where(run: Run) -> None:
    made = run(
        "1 / 0\nx = 1\nwhile True: pass\nx = 2", "assert x == 1", limits=dataclasses.replace(LIMITS, cell_seconds=2)
    )
    assert made.statuses() == ["timed out", "ok"]
    assert made.messages()[0] == "ran past 2 s and was interrupted at line 3"


def test_a_cell_that_is_run_again_keeps_its_first_stops(run: Run) -> None:
    made = run("1 / 0\nx = 1", "import os; os._exit(0)", "x")
    assert made.statuses() == ["raised", "ended the kernel", "ok"]
    assert [stop.line for stop in made.execution.cells[FILE, 0].stops] == [1]
