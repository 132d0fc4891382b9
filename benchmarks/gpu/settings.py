"""What every part is told."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

__all__ = ["CheckSettings"]


@dataclass(frozen=True)
class CheckSettings:
    """What every part is told.

    Attributes:
        rehearse: whether stand-ins take the GPU's place, and everything is tiny.
        notebooks: homework to train as written.
        deadline: when the part is ended, by the monotonic clock, which all processes share.
        used_before: the bytes in use on the GPU before the first part; None if they are not known.
        broken: parts that are broken to rehearse it, each as "facts:raises", ":hangs" or ":dies".
    """

    rehearse: bool = False
    notebooks: tuple[Path, ...] = ()
    deadline: float = field(default_factory=lambda: time.monotonic() + 600)
    used_before: int | None = None
    broken: tuple[str, ...] = ()

    def seconds_left(self) -> float:
        """Return how long the part may still run."""
        return self.deadline - time.monotonic()

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps({**asdict(self), "notebooks": [str(path) for path in self.notebooks]})

    @classmethod
    def from_json(cls, text: str) -> CheckSettings:
        """Return the settings that `to_json` wrote."""
        values = json.loads(text)
        paths = tuple(Path(path) for path in values.pop("notebooks"))
        return cls(notebooks=paths, broken=tuple(values.pop("broken")), **values)
