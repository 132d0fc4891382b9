"""What a function finds around it when a test calls it, compared with what it finds in a cell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.host.snapshot_student import SnapshotStudent
from tests.support.sandbox_runs import Ran, Run, ran

# The files of cells have other names from cell to cell.
_LOOK = """
import asyncio, builtins, gc, os, signal, sys, threading, traceback, warnings
import torch

def f():
    caller = sys._getframe(1)
    stack = [(e.filename if "ipykernel_" not in e.filename else "", e.name) for e in traceback.extract_stack()]
    return [str(fact) for fact in (
        *stack,
        (type(sys.stdout).__name__, sys.stdout.name, sys.stdout.fileno(), sys.stdout.isatty()),
        (type(sys.stderr).__name__, sys.stderr.name, sys.__stdout__.fileno()),
        (caller.f_code.co_name, caller.f_globals is globals(), caller.f_locals is globals(), caller.f_lineno),
        (hasattr(builtins, "get_ipython"), hasattr(builtins, "display"), type(sys.displayhook).__name__),
        (sys.argv, os.getcwd(), sorted(os.environ.items()), __name__, sys.exc_info()),
        (threading.active_count(), threading.current_thread() is threading.main_thread()),
        (torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()),
        (gc.isenabled(), gc.get_threshold(), len(warnings.filters), sys.getrecursionlimit()),
        [str(signal.getsignal(number)).split(" at ")[0] for number in (2, 10, 13, 14, 15, 17)],
        len(os.listdir("/proc/self/fd")),
    )]
"""
_SHOW = "print(*f(), sep='\\n')"


@pytest.fixture(scope="module", params=[True, False], ids=["deferred", "at once"])
def looking(request: pytest.FixtureRequest, zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, _LOOK, _SHOW, names=("f",), deferred_snapshots=request.param) as run:
        yield run


@contextmanager
def _opened(run: Ran, how: str) -> Iterator[SnapshotStudent]:
    definition = run.definition("f", at_end=how != "as it was defined")
    with run.work.open_last(definition) if how == "in the kernel itself" else run.work.open(definition) as student:
        yield student


# The kernel itself comes last: nothing can be asked of it any more afterwards.
@pytest.mark.parametrize("how", ["at the end", "as it was defined", "in the kernel itself"])
def test_a_test_finds_what_a_cell_finds(looking: Ran, how: str) -> None:
    with _opened(looking, how) as student:
        found = student.f()
    assert list(found) == looking.showed(1)[0]["text"].splitlines()


def test_the_kernel_itself_has_its_number_and_its_parent(run: Run) -> None:
    made = run("import os\ndef f(): return os.getpid(), os.getppid()", "print(*f())", deferred_snapshots=True)
    with made.work.open_last(made.definition("f", at_end=True)) as student:
        assert " ".join(map(str, student.f())) == made.showed(1)[0]["text"].strip()


@pytest.mark.parametrize(
    "change",
    [
        "get_ipython().run_cell = lambda *_, **__: None",
        "get_ipython().run_code = None",
        "get_ipython().input_transformers_post.append(lambda lines: 1 / 0)",
        "get_ipython().events.register('pre_execute', lambda: 1 / 0)",
        "get_ipython().kernel.execute_request = None",
    ],
)
def test_a_notebook_that_changes_how_cells_are_run_is_asked_all_the_same(run: Run, change: str) -> None:
    made = run("def f(): return 5", change, deferred_snapshots=True)
    assert [made.call("f", at_end=at_end) for at_end in (True, False)] == [5, 5]


def test_what_a_function_prints_and_shows_in_a_test_is_dropped(run: Run) -> None:
    cell = """
    import os, sys
    def f():
        for number in range(20_000):
            print("x" * 100, file=sys.stderr if number % 2 else sys.stdout)
        display(5)
        os.write(1, b"x")
        print("x", flush=True)
        return sys.stdout.write("four")
    """
    made = run(cell, deferred_snapshots=True)
    assert made.call("f", at_end=True) in (4, None)


def test_a_function_may_write_to_a_file_that_a_cell_opened(run: Run) -> None:
    cell = """
    import sys
    log = open("log.txt", "w")
    def f():
        print("called", file=log, flush=True)
        return 1
    """
    assert run(cell, "sys.stdout = log", deferred_snapshots=True).call("f", at_end=True) == 1
