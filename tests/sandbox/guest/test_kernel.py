"""The shortcuts of the kernel change nothing for a cell."""

from __future__ import annotations

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from grader.sandbox.guest.internals.ipython import LIKE_A_MAGIC
from tests.support.sandbox_runs import Run

COMMANDS = [
    "%matplotlib inline", "if True:\n    %matplotlib inline", "now = %time 1", "now = \\\n  %time 1",
    "!ls", "files = !ls", "files =\\\n!ls", "!!ls", "print?", "?print", "print??", "%time?", ",print a b", ";print a b",
    "/print 1", "x = 1\n\t!ls", "for n in range(3):\n    files = !ls {n}",
]  # fmt: skip


@pytest.mark.parametrize("cell", COMMANDS)
def test_a_cell_with_a_command_is_read_token_by_token(cell: str) -> None:
    lines = f"{cell}\n".splitlines(keepends=True)
    assert TransformerManager().do_token_transforms(lines) != lines
    assert LIKE_A_MAGIC.search("".join(lines))


@pytest.mark.parametrize("cell", ["x = 7 % 2\nassert x != 2", "print(f'{1:%}')", "def f(x): return x"])
def test_a_cell_without_a_command_is_not_read_token_by_token(cell: str) -> None:
    assert not LIKE_A_MAGIC.search(cell)


def test_a_transformer_of_the_notebook_s_own_is_asked(run: Run) -> None:
    own = (
        "from IPython.core.inputtransformer2 import MagicAssign\n"
        "class Own(MagicAssign):\n"
        "    @classmethod\n"
        "    def find(cls, lines): return asked.append(1)\n"
        "asked = []\n"
        "get_ipython().input_transformer_manager.token_transformers.append(Own)"
    )
    made = run(own, "x = 1", "def f(): return len(asked)")
    assert made.call("f", at_end=True) > 0


RESTARTS = {
    "the application's": "import IPython\nIPython.Application.instance().kernel.do_shutdown(True)",
    "the shell's": "get_ipython().kernel.do_shutdown(restart=False)",
    "asked of the shell": "get_ipython().ask_exit()\nget_ipython().exit_now = True",
    "the loop stopped": "get_ipython().kernel.io_loop.stop()",
    "the loop stopped by asyncio": "import asyncio\nasyncio.get_event_loop().stop()",
    "the loop stopped later": "import asyncio\nasyncio.get_event_loop().call_later(0.2, asyncio.get_event_loop().stop)",
    "the application left": "IPython.Application.instance().exit(0)",
    "in the browser": "from IPython.display import Javascript\nJavascript('Jupyter.notebook.kernel.restart()')",
    "by a magic": "%%javascript\nJupyter.notebook.kernel.restart()",
}


def test_asking_for_a_restart_ends_nothing_and_no_later_cell_is_blamed(run: Run) -> None:
    between = ["import time\ntime.sleep(0.3)", "await asyncio.sleep(0.3)"]
    made = run("def f(): return 1", *RESTARTS.values(), *between, "def g(): return f()", names=("f", "g"))
    statuses = dict(zip(["f", *RESTARTS, *between, "g"], made.statuses(), strict=True))
    assert {name: status for name, status in statuses.items() if status != "ok"} == {"the application left": "raised"}
    assert "not restarted while this is graded" in str(made.showed(1))
    assert [made.call("f"), made.call("g")] == [1, 1]
