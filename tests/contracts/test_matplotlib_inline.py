"""What grader/sandbox/guest/internals/matplotlib_inline.py relies on in matplotlib-inline."""

from __future__ import annotations

import inspect

from tests.support.library_contracts import Library

MATPLOTLIB_INLINE = Library("matplotlib-inline")


def test_the_backend_notes_on_its_function_that_it_is_configured() -> None:
    configure = MATPLOTLIB_INLINE.find("matplotlib_inline.backend_inline:configure_inline_support")
    source = inspect.getsource(configure)
    MATPLOTLIB_INLINE.check("configure_inline_support.current_backend = " in source, "configure_inline_support's note")
