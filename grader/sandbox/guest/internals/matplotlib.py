"""matplotlib's folders, which it looks up once: in the warm process they lie in the caller's home."""

from __future__ import annotations

import functools
import sys
from typing import Any

from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = ["forget_folders"]


def forget_folders() -> None:
    """Let matplotlib look its folders up again when it is asked for them, if it is loaded."""
    module: Any = sys.modules.get("matplotlib")
    for name in ("get_configdir", "get_cachedir") if module else ():
        replace_attribute(module, name, functools.cache(getattr(module, name).__wrapped__))
