"""matplotlib's inline backend, which expects to be imported by the kernel that it is for."""

from __future__ import annotations

import sys
from typing import Any

from IPython.core.pylabtools import activate_matplotlib

__all__ = ["BACKEND", "show_figures_inline"]

BACKEND = "module://matplotlib_inline.backend_inline"


def show_figures_inline(shell: Any) -> None:
    """Make the inline backend the one that figures use, if matplotlib is loaded.

    The warm process imports the backend before it has a shell, so that the backend does not set itself up.
    """
    module: Any = sys.modules.get("matplotlib_inline.backend_inline")
    if module is None:
        return
    if "matplotlib.pyplot" in sys.modules:
        activate_matplotlib(BACKEND)
    else:
        sys.modules["matplotlib"].interactive(True)
        sys.modules["matplotlib"].rcParams["backend"] = BACKEND
    module.configure_inline_support(shell, BACKEND)
