"""A debugger has nobody to ask: the cell goes on, and says so."""

from __future__ import annotations

from tests.support.sandbox_runs import Run

GOES_ON = "there is no keyboard while this is graded: the debugger does not stop here\n"


def test_a_cell_goes_on_past_every_kind_of_stop(run: Run) -> None:
    made = run(
        "breakpoint()\nprint('on')",
        "import pdb\npdb.set_trace()\nprint('on')",
        "from IPython.core.debugger import set_trace\ndef f(x):\n    set_trace()\n    return x + 1\nprint(f(1))",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    pdb.post_mortem()\nprint('on')",
        "pdb.run('print(\"run\")')\nprint('on')",
        "pdb.Pdb().set_trace()\nprint('on')",
        "1 / 0",
        "%debug",
        "%pdb on",
        "1 / 0",
        "for step in range(1000):\n    breakpoint()",
        "f(2)",
    )
    statuses = ["raised" if cell in (6, 9) else "ok" for cell in range(12)]
    assert made.statuses() == statuses
    said = ["".join(output.get("text", "") for output in made.showed(cell)) for cell in range(12)]
    assert [GOES_ON in text for text in said] == [cell not in (6, 8) for cell in range(12)]
    assert all(text.endswith("on\n") for text in (said[0], said[1], said[3], said[4], said[5]))
    assert made.call("f", 4) == 5
