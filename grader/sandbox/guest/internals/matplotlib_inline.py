"""matplotlib's inline backend, which remembers that it was configured."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["forget_backend"]


def forget_backend() -> None:
    """Have the backend configure itself for the kernel's shell.

    Importing it before there was a shell marked it as configured; left so, no figure would be shown.
    """
    module: Any = sys.modules.get("matplotlib_inline.backend_inline")
    if module is not None and hasattr(module.configure_inline_support, "current_backend"):
        del module.configure_inline_support.current_backend
