"""Cells that run in the sandbox as a submission's do, with the device, and what they printed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.gpu.machine import CheckedMachine
from grader.assignment import find_assignment
from grader.models.recipe import Mode
from grader.results.report import CellResult
from grader.sandbox.host.execution import Execution, RunOptions
from grader.sandbox.host.notebook import run_notebook
from grader.sandbox.host.sandbox import Zygote, ZygoteLine
from grader.sandbox.protocol.layers import LayerStatus
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.outputs import KeptOutputs
from tests.support.notebooks import submission

__all__ = ["CellsRun", "make_limits", "run_cells", "start_zygote"]

_FILE = "homework.ipynb"
_SEED = 7


@dataclass(frozen=True)
class CellsRun:
    """How the cells of one submission ended.

    Attributes:
        statuses: how each ended.
        messages: what is said about each.
        printed: what each printed, and its exception's text.
        limits_hit: the limits of the submission that were reached.
        layers: the layers of the sandbox.
        seconds: how long all of it took.
    """

    statuses: tuple[str, ...]
    messages: tuple[str, ...]
    printed: tuple[str, ...]
    limits_hit: tuple[str, ...]
    layers: tuple[LayerStatus, ...]
    seconds: float

    def to_json(self) -> Mapping[str, Any]:
        """Return what a reader of the results needs."""
        return {
            "statuses": self.statuses,
            "messages": self.messages,
            "printed": [text[-4000:] for text in self.printed],
            "limits_hit": self.limits_hit,
            "layers off": {layer.name: layer.reason for layer in self.layers if not layer.on},
        }


@contextmanager
def start_zygote(machine: CheckedMachine) -> Iterator[ZygoteLine]:
    """Start a warm process with the course's packages, and those of a stand-in."""
    folders = machine.access.library_folders if machine.access else ()
    with Zygote((*find_assignment("hw2").packages, *machine.packages), library_folders=folders) as zygote:
        yield zygote


def make_limits(seconds: float, **more: Any) -> Limits:
    """Return the limits of hw2 with this many seconds for a cell and half as many more for the submission."""
    limits = replace(find_assignment("hw2").limits, cell_seconds=seconds, submission_seconds=1.5 * seconds + 10)
    return replace(limits, **more)


def run_cells(
    zygote: ZygoteLine,
    machine: CheckedMachine,
    cells: Sequence[str],
    limits: Limits,
    *,
    with_device: bool = True,
    left_out: frozenset[str] = frozenset(),
) -> CellsRun:
    """Run the cells of one submission in a sandbox of its own.

    Args:
        zygote: the warm process.
        machine: the device that the cells may use. `DEVICE` in a cell is its name.
        cells: the cells.
        limits: their limits.
        with_device: whether they have the device.
        left_out: names of layers that are not applied.

    Raises:
        SystemFault: the sandbox broke.
    """
    started = time.monotonic()
    (notebook,) = submission(*(re.sub(r"\bDEVICE\b", repr(machine.device), cell) for cell in cells)).notebooks
    options = RunOptions((), _SEED, Mode.FULL, gpu=machine.gpu.uuid if with_device else "")
    with (
        closing(Execution(outputs=KeptOutputs(limits))) as execution,
        zygote.sandbox(limits, left_out=left_out, device=machine.access if with_device else None) as sandbox,
    ):
        deadline = started + limits.submission_seconds
        run_notebook(sandbox, notebook, options, limits, deadline, execution)
        ends = [result for _, result in sorted(execution.cells.items())]
        outputs = execution.outputs.cells if execution.outputs else {}
        return CellsRun(
            statuses=tuple(end.status for end in ends),
            messages=tuple(end.message for end in ends),
            printed=tuple(_read_text(end, outputs.get((end.file, end.cell), ())) for end in ends),
            limits_hit=tuple(execution.limits_hit),
            layers=sandbox.layers,
            seconds=time.monotonic() - started,
        )


def _read_text(end: CellResult, outputs: Sequence[Mapping[str, Any]]) -> str:
    texts = [str(output.get("text", "")) for output in outputs]
    return "\n".join([*filter(None, texts), *(stop.error for stop in end.stops)])
