"""Debuggers have no keyboard here: where one would stop and ask, it says so and the cell goes on."""

from __future__ import annotations

import sys
from typing import Any

from grader.sandbox.guest.internals.ipython import replace_debugger_prompt

__all__ = ["skip_prompts"]


def skip_prompts(shell: Any) -> None:
    """Let `breakpoint()`, `pdb` and `%debug` go on at once, and say so once a cell.

    At the end of input they would end the cell instead; with an empty answer they would ask for ever.
    """
    has_said = False

    def begin_cell(*_: object) -> None:
        nonlocal has_said
        has_said = False

    def go_on(*_: object, **__: object) -> None:
        nonlocal has_said
        if not has_said:
            sys.stdout.write("there is no keyboard while this is graded: the debugger does not stop here\n")
        has_said = True

    replace_debugger_prompt(go_on)
    sys.breakpointhook = go_on
    shell.events.register("pre_run_cell", begin_cell)
