"""What grader/sandbox/guest/internals/platform.py relies on in Python's module `platform`."""

from __future__ import annotations

import platform
from typing import Any

import pytest

from grader.sandbox.guest.internals.platform import forget_machine


def test_the_machine_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered: Any = platform.uname()._replace(node="another")
    monkeypatch.setattr(platform, "_uname_cache", remembered)
    assert platform.node() == "another"
    forget_machine()
    assert platform.node() != "another"
