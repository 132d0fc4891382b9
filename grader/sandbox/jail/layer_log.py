"""The names of the layers, and a record of which of them hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from grader.sandbox.protocol.layers import LayerStatus

__all__ = ["LAYERS", "LayerLog"]

LAYERS = (
    "cpu cgroup",
    "memory cgroup",
    "pids cgroup",
    "devices cgroup",
    "unprivileged user",
    "user namespace",
    "mount namespace",
    "pid namespace",
    "net namespace",
    "ipc namespace",
    "uts namespace",
    "private file system",
    "capabilities",
    "no new privileges",
    "resource limits",
    "landlock",
    "seccomp",
)


class LayerLog:
    """A record of which layers hold. A layer that failed once never holds, whatever later steps do.

    Args:
        left_out: names of layers that must not be applied.
    """

    def __init__(self, left_out: frozenset[str] = frozenset()) -> None:
        self._left_out = left_out
        self._reasons: dict[str, str] = dict.fromkeys(left_out, "switched off")
        self._remarks: dict[str, str] = {}

    @contextmanager
    def layer(self, name: str) -> Iterator[bool]:
        """Record whether the body applies the layer, or one step of it.

        Yield False if the layer is left out or an earlier step of it failed; the body must do nothing then.
        """
        applies = self.applies(name)
        try:
            yield applies
        except OSError as error:
            self.fail(name, _describe(error))
        except (RuntimeError, ImportError) as error:
            self.fail(name, str(error))
        else:
            self._reasons.setdefault(name, "")

    def fail(self, name: str, reason: str) -> None:
        """Record that a layer does not hold. The first reason is kept."""
        self._reasons[name] = self._reasons.get(name) or reason

    def add_remark(self, name: str, text: str) -> None:
        """Add a remark to a layer that holds."""
        self._remarks[name] = text

    def applies(self, name: str) -> bool:
        """Return whether a layer should be applied, or its next step."""
        return not self._reasons.get(name)

    def holds(self, name: str) -> bool:
        """Return whether a layer was applied."""
        return self._reasons.get(name, "not reached") == ""

    def status(self) -> tuple[LayerStatus, ...]:
        """Return the status of every layer. A layer that was never reached does not hold."""
        reasons = {name: self._reasons.get(name, "not reached") for name in LAYERS}
        return tuple(
            LayerStatus(name, not reason, reason or self._remarks.get(name, "")) for name, reason in reasons.items()
        )


def _describe(error: OSError) -> str:
    """Return an error of the system in words, without its number."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
