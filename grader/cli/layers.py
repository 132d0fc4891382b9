"""What commands do if layers of the sandbox do not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from grader.sandbox.protocol.layers import LayerStatus

__all__ = ["AcceptLayers"]


class AcceptLayers:
    """Refuse a sandbox for the work of a stranger; for the user's own, say once what is missing and go on.

    Args:
        strict: whether the work is a stranger's.
        output: where to say it.
        progress: called with nothing before that, to leave the line free.
    """

    def __init__(self, strict: bool, output: TextIO, progress: Callable[[str], None] = lambda _: None) -> None:
        self._strict, self._output, self._progress = strict, output, progress
        self._said = False

    def __call__(self, layers: Sequence[LayerStatus]) -> None:
        """Look at the layers of a sandbox before it runs anything.

        Raises:
            InputError: the work is a stranger's, and a required layer does not hold.
        """
        from grader.sandbox.host.required_layers import describe_missing, require_layers

        if self._strict:
            require_layers(layers)
        missing = describe_missing(layers)
        if missing and not self._said:
            self._said = True
            self._progress("")
            print(f"note: what runs here is not fully isolated: {missing}", file=self._output, flush=True)
