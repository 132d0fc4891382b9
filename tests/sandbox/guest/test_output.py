"""Output is bounded: a flood is cut, and the notebook goes on."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.sandbox_runs import LIMITS, Run

TIGHT = dataclasses.replace(LIMITS, cell_seconds=3, cell_output_bytes=2_000, notebook_output_bytes=20_000)
FLOODS = {
    "endless printing": "while True: print('x' * 100)",
    "on stderr": "import sys\nwhile True: sys.stderr.write('x' * 1000)",
    "displaying": "while True: display('x' * 1000)",
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
def test_a_flood_ends_the_cell_and_the_notebook_goes_on(run: Run, flood: str) -> None:
    made = run(f"def f(): return 1\n{flood}", "def g(): return 2", names=("f", "g"), limits=TIGHT)
    assert made.statuses() == ["flooded", "ok"]
    assert [made.call("f"), made.call("g")] == [1, 2]


@pytest.mark.parametrize(
    "large",
    [
        "print('x' * 5_000)",
        "print('x' * 5_000_000)",
        "'x' * 5_000",
        "'x' * 5_000_000",
        "display('x' * 100_000)",
        "class Large:\n    def __repr__(self): return 'x' * 100_000\nLarge()",
    ],
)
def test_one_large_output_is_cut_and_the_cell_goes_on_to_its_end(run: Run, large: str) -> None:
    made = run(f"def f(): return 1\n{large}", "def g(): return 2", names=("f", "g"), limits=TIGHT)
    assert made.statuses()[0] in ("ok", "flooded")
    assert made.statuses()[1] == "ok"
    assert [made.call("f"), made.call("g")] == [1, 2]


def test_cells_after_the_notebook_s_bound_still_define_names(run: Run) -> None:
    talkative = ["print('x' * 1_500)\nkept = 1"] * 20
    made = run(*talkative, "print('x' * 1_500)\nimport time; time.sleep(0.3)\ndef f(): return kept", limits=TIGHT)
    assert "timed out" not in made.statuses()
    assert made.call("f") == 1


def test_output_within_the_bounds_is_kept(run: Run) -> None:
    made = run(*["print('x' * 1_500)"] * 5, limits=TIGHT)
    assert made.statuses() == ["ok"] * 5
