"""What grader/sandbox/guest/internals/matplotlib_inline.py relies on in matplotlib-inline."""

from __future__ import annotations

import inspect

from tests.support.library_contracts import Library

MATPLOTLIB_INLINE = Library("matplotlib-inline")


def test_the_backend_is_configured_for_a_shell() -> None:
    path = "matplotlib_inline.backend_inline:configure_inline_support"
    MATPLOTLIB_INLINE.check_parameters(path, "shell backend")
    source = inspect.getsource(MATPLOTLIB_INLINE.find(path))
    MATPLOTLIB_INLINE.check(
        'events.register("post_execute", flush_figures)' in source, "figures are shown after a cell"
    )


def test_the_names_that_ipython_had_are_here() -> None:
    for name in ("set_matplotlib_close", "set_matplotlib_formats"):
        MATPLOTLIB_INLINE.find(f"matplotlib_inline.backend_inline:{name}")
