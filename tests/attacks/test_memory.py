"""Asking for more memory than there is."""

from __future__ import annotations

import pytest

from tests.support.attacks import Attack
from tests.support.notebooks import CORR2D, CORR2D_POINTS

_BOMBS = {
    "30 GB at once": "x = bytearray(30 * 10**9)",
    "30 GB as a tensor": "x = torch.ones(30 * 10**9 // 4)",
    "step by step": "x = []\nwhile True: x.append(bytearray(b'x') * 2**24)",
    "shared and anonymous": """
        import mmap
        kept = []
        while True:
            kept.append(mmap.mmap(-1, 2**26))
            kept[-1].write(b'x' * 2**26)
        """,
    "a file in memory": """
        import os
        file = os.memfd_create("x")
        kept = []
        while True:
            try:
                os.write(file, b'x' * 2**24)
            except OSError:  # a file may not grow any more: the next
                file = os.memfd_create("x")
                kept.append(file)
        """,
    "20 children of 1 GB": """
        import os
        for _ in range(20):
            if os.fork() == 0:
                x = []
                while len(x) < 64:
                    x.append(bytearray(b'x') * 2**24)
                os._exit(0)
        while True:
            os.wait()
        """,
    "held by small processes": """
        import os
        file = os.memfd_create("x", 0)
        other = os.memfd_create("x", 0)
        for each in (file, other) * 12:
            each = os.memfd_create("x", 0)
            if os.fork() == 0:
                os.set_inheritable(each, True)
                os.execv("/bin/sh", ["sh", "-c", f"head -c 60000000 /dev/zero > /proc/self/fd/{each}; exec sleep 3600"])
        import time
        time.sleep(3600)
        """,
}


@pytest.mark.parametrize("bomb", _BOMBS.values(), ids=_BOMBS.keys())
def test_a_memory_bomb_is_bounded_and_keeps_what_was_solved(attack: Attack, bomb: str) -> None:
    report = attack(CORR2D, bomb, "y = (1, 2)", memory_bytes=1000 * 2**20)
    assert report.cells[1].status in ("raised", "out of memory", "timed out", "broke the run", "ended the kernel")
    assert report.cells[2].status == "ok"
    assert report.score == CORR2D_POINTS


def test_a_function_that_needs_too_much_is_told_so(attack: Attack) -> None:
    report = attack("def corr2d(X, K):\n    return bytearray(5 * 10**9)")
    item = next(item for item in report.items if item.id == "corr2d.values")
    assert (item.verdict, item.points) == ("error", 0)
    assert "memory" in item.message
