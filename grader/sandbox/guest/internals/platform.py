"""What Python's module `platform` keeps of the machine."""

from __future__ import annotations

import platform

from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = ["forget_machine"]


def forget_machine() -> None:
    """Let `platform` ask for the machine's name again: in the warm process it is the host's."""
    replace_attribute(platform, "_uname_cache", None)
