"""Figures appear below their cell without `%matplotlib inline`, and cost nothing where outputs are not kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, Run, ran

DRAWN = {
    "at the cell's end": "import matplotlib.pyplot as plt\nplt.plot([1, 2])",
    "by show": "plt.plot([1, 2])\nplt.show()",
    "an image": "plt.imshow([[1, 2], [3, 4]])",
    "after asking for a window": "%matplotlib qt\nplt.plot([1, 2])",
    "two in one cell": "for _ in range(2):\n    plt.figure()\n    plt.plot([1])\n    plt.show()",
    "by d2l": "from d2l import torch as d2l\nd2l.plot([1, 2], [[1, 2]], 'x', 'y')",
    "after asking for inline": "%matplotlib inline\nplt.plot([1, 2])",
}


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *DRAWN.values()) as run:
        yield run


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_is_shown_once(made: Ran, name: str) -> None:
    outputs = made.showed(list(DRAWN).index(name))
    pictures = [output for output in outputs if {"image/png", "image/svg+xml"} & set(output.get("data", {}))]
    assert len(pictures) == (2 if name.startswith("two") else 1)


def test_where_outputs_are_not_kept_no_figure_is_rendered(run: Run) -> None:
    watch = (
        "import matplotlib.pyplot as plt\nfrom matplotlib.figure import Figure\nrendered = []\nstock = Figure.draw\n"
        "Figure.draw = lambda *a, **k: rendered.append(1) or stock(*a, **k)"
    )
    drawn = ("plt.plot([1, 2])\nplt.show()", "plt.plot([1])", "%matplotlib inline\nplt.plot([1])")
    end = "assert not rendered and not plt.get_fignums(), rendered"
    assert run(watch, *drawn, end, seen=False).messages() == [""] * 5
