"""The grader's own process must not collect open descriptors, whatever students do."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from tests.support.attacks import Attack
from tests.support.notebooks import CORR2D


@pytest.fixture
def without_collecting() -> Iterator[None]:
    """Leave nothing to the garbage collector: what is open, was left open."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collecting")
def test_grading_closes_every_descriptor_it_was_sent(attack: Attack) -> None:
    attack("x = 1")
    before = sorted(os.listdir("/proc/self/fd"))
    attack(CORR2D, "import os; os._exit(0)", CORR2D, "import os, signal; os.kill(-1, signal.SIGKILL)", CORR2D)
    assert sorted(os.listdir("/proc/self/fd")) == before
