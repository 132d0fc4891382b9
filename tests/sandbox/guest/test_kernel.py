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
