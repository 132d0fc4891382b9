"""Figures appear below their cell, as in Jupyter and Colab, whatever backend a notebook asks for."""

from __future__ import annotations

import sys
from typing import Any

from grader.sandbox.guest.internals.matplotlib_inline import BACKEND
from grader.sandbox.guest.internals.replacement import replace_attribute

__all__ = ["draw_no_figures", "keep_figures_inline"]

# Those that write files and need no screen. A notebook that chooses one gets it.
_WITHOUT_SCREEN = frozenset({"agg", "cairo", "pdf", "pgf", "ps", "svg", "template", "inline", BACKEND})


def keep_figures_inline(shell: Any) -> None:
    """Show figures inline if a notebook asks for windows (`matplotlib.use("TkAgg")`, `%matplotlib qt`)."""
    enable = shell.enable_matplotlib

    def enable_matplotlib(gui: str | None = None) -> Any:
        return enable(gui if gui is None or _is_offered(gui) else "inline")

    replace_attribute(shell, "enable_matplotlib", enable_matplotlib)
    matplotlib: Any = sys.modules.get("matplotlib")
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if matplotlib is not None:
        use = matplotlib.use

        def use_backend(backend: str, *, force: bool = True) -> None:
            if _is_offered(backend):
                use(backend, force=force)

        replace_attribute(matplotlib, "use", use_backend)
    if pyplot is not None:
        switch = pyplot.switch_backend

        def switch_backend(newbackend: str) -> None:
            if _is_offered(newbackend):
                switch(newbackend)

        replace_attribute(pyplot, "switch_backend", switch_backend)


def draw_no_figures() -> None:
    """Do not draw figures when a cell ends: no picture is kept, and drawing takes longer than most cells."""
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.uninstall_repl_displayhook()
        replace_attribute(pyplot, "install_repl_displayhook", lambda: None)


def _is_offered(backend: object) -> bool:
    """Return whether a backend can be used here. If it needs a screen or a browser, print what happens instead."""
    offered = not isinstance(backend, str) or backend.casefold() in _WITHOUT_SCREEN
    if not offered:
        print(f"(there is no screen for the backend {backend!s:.40}: figures are shown inline)")
    return offered
