"""Too much output, and output that is made to hurt whoever shows it."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from grader.render.html import render_html
from grader.render.terminal import render_terminal
from tests.support.attacks import Attack
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_FLOODS = {
    "endless prints": "while True: print('x' * 1000)",
    "endless prints, errors caught": """
        while True:
            try:
                print('x' * 1000)
            except BaseException:
                pass
        """,
    "300 MB in one print": "print('x' * 300_000_000)",
    "standard error": "import sys\nwhile True: sys.stderr.write('x' * 1000)",
    "displays": "from IPython.display import display\nwhile True: display('x' * 1000)",
    "a displayed result": "'x' * 50_000_000",
    "one traceback after another": "raise_here = 1 / 0\n" * 100_000,
    "pictures": "from IPython.display import *\nwhile True: display(Image(data=b'\\x89PNG' + bytes(10**6)))",
    "clearing": "from IPython.display import clear_output\nwhile True: clear_output()",
    "updates": "shown = display('x', display_id=True)\nwhile True: shown.update('x' * 1000)",
    "an endless child's": "import os\nos.system('yes')",
    "file descriptor 1": "import os\nfor _ in range(300_000): os.write(1, b'x' * 1000)",
    "a child's": "import os\nfor _ in range(300): os.system('head -c 1000000 /dev/zero')",
    "threads": """
        import threading
        def flood():
            while True: print('x' * 1000)
        for _ in range(4): threading.Thread(target=flood, daemon=True).start()
        while True: pass
        """,
}


@pytest.mark.parametrize("flood", _FLOODS.values(), ids=_FLOODS.keys())
def test_a_flood_of_output_ends_and_keeps_what_was_solved_around_it(attack: Attack, flood: str) -> None:
    report = attack(CORR2D, flood, "def pool2d(X, size, mode='max'): return X")
    assert report.score == CORR2D_POINTS
    assert report.cells[2].status == "ok"
    assert {item.id: item.verdict for item in report.items}["pool2d.max"] == "failed"


@pytest.mark.slow
def test_bytes_to_every_open_descriptor_cost_only_the_cell(attack: Attack) -> None:
    report = attack(
        CORR2D,
        """
        import os
        for _ in range(100):
            for name in os.listdir("/proc/self/fd"):
                try:
                    os.set_blocking(int(name), False)
                    os.write(int(name), os.urandom(1000))
                except OSError:
                    pass
        """,
        "y = (1, 2)",
    )
    assert report.score == CORR2D_POINTS


_TEXT = "\\x1b]0;title\\x07\\x1b[2J[red]</script><script>alert(1)</script>\\ud800\\x00\\u202e"


def test_text_made_to_hurt_stays_text(attack: Attack) -> None:
    """Control sequences, markup, half a surrogate pair, a zero byte: in cells and in what functions raise."""
    report = attack(f"def corr2d(X, K):\n    raise ValueError('{_TEXT}')", "corr2d(1, 2)")
    assert report.score == 0
    assert "<script>alert" not in render_html(report)
    text = report.to_json()
    assert text.encode("utf-8").decode("utf-8") == text
    shown = io.StringIO()
    render_terminal(report, Console(file=shown, force_terminal=True, color_system=None))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown.getvalue())
