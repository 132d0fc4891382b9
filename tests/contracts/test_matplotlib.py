"""What grader/sandbox/guest/internals/matplotlib.py relies on in matplotlib."""

from __future__ import annotations

from tests.support.library_contracts import Library

MATPLOTLIB = Library("matplotlib")


def test_the_folders_are_looked_up_once_by_a_function_that_can_be_reached() -> None:
    for name in ("get_configdir", "get_cachedir"):
        function = MATPLOTLIB.find(f"matplotlib:{name}")
        MATPLOTLIB.check(callable(getattr(function, "__wrapped__", None)), f"{name} keeps what it wraps")
