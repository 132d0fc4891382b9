"""An automated grader for deep-learning notebooks: what the student wrote is run where no answer can be found."""

from __future__ import annotations

from typing import Any

__all__ = ["load_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """Answer `%load_ext grader` with the magic `%grader` (docs/checking.md)."""
    from grader.self_check.magic import register

    register(shell)
