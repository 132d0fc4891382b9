"""Homework in mode `full` on this GPU: defined, trained as written, trained by us, and scored."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import tomlkit

from benchmarks.gpu.machine import CheckedMachine, open_machine
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings
from grader.assignment import find_assignment
from grader.grading.session import GradingSession
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.submission.submission import Submission, read_notebook

__all__ = ["run"]

_ROOT = Path(__file__).parents[2]
_EXAMPLE = _ROOT / "examples" / "hw2.ipynb"
_TINY = {"images": 256, "epochs": 1, "judged": 64, "threshold": 0.0}
_SLOWEST = 5  # cells that are named


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Grade each notebook as a worker would."""
    machine = open_machine(settings)
    notebooks = settings.notebooks or (_EXAMPLE,)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        assignment = _copy_assignment(Path(folder), settings, len(notebooks))
        with GradingSession(unsafe=True, gpu=None if settings.rehearse else machine.gpu) as session:
            for path in notebooks:
                yield attempt(path.name, partial(_grade, session, assignment, path, settings, machine))


def _grade(
    session: GradingSession, assignment: str, path: Path, settings: CheckSettings, machine: CheckedMachine
) -> CheckRow:
    steps: list[str] = []
    submission = Submission((read_notebook(path.name, path.read_bytes()),))
    mode = Mode.QUICK if settings.rehearse else Mode.FULL
    report = session.grade(submission, assignment, mode, progress=lambda step: steps.append(step))
    trained = {item.id: item for item in report.items if item.id in _find_trained(assignment)}
    verdicts = ", ".join(f"{name.partition('.')[0]} {item.verdict}" for name, item in trained.items())
    seconds = report.timing["cells_seconds"]
    detail = f"{report.score:g} of {report.max_score:g} points; trained: {verdicts}; cells {seconds:.0f} s"
    kept = {**_describe(report), "steps": steps[-20:]}
    device = report.device or "no device"
    outcome = RowOutcome.OK if settings.rehearse or report.device else RowOutcome.WRONG
    return CheckRow("", outcome, f"{detail} on {device}", data={**kept, "gpu": machine.gpu.uuid})


def _describe(report: Report) -> Mapping[str, Any]:
    """Return the items, how cells ended, and which took longest."""
    slowest = sorted(report.timing["cells"], key=lambda cell: -cell["seconds"])[:_SLOWEST]
    return {
        "items": {
            item.id: {
                "verdict": str(item.verdict),
                "points": item.points,
                "of": item.max_points,
                "message": item.message,
            }
            for item in report.items
        },
        "curves": {item.id: item.evidence for item in report.items if "curve" in str(item.evidence)},
        "failed cells": [[cell.cell, cell.status, cell.message] for cell in report.cells if cell.failed],
        "limits_hit": list(report.limits_hit),
        "slowest cells": slowest,
        "notices": [str(notice) for notice in report.notices],
        "layers off": {layer.name: layer.reason for layer in report.layers if not layer.on},
        "seconds": report.timing["total_seconds"],
    }


def _find_trained(assignment: str) -> frozenset[str]:
    return frozenset(item.id for item in find_assignment(assignment).trained)


def _copy_assignment(folder: Path, settings: CheckSettings, notebooks: int) -> str:
    """Copy hw2 with a GPU for its cells, and time limits that fit into this part. Return the copy's folder."""
    copied = folder / "rubrics" / "hw2"
    shutil.copytree(_ROOT / "rubrics" / "hw2", copied, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(_ROOT / "reference", folder / "reference", ignore=shutil.ignore_patterns("__pycache__"))
    file = copied / "rubric.toml"
    rubric: Any = tomlkit.parse(file.read_text("utf-8"))
    rubric["gpu"] = {"notebooks": True}
    limits = rubric.setdefault("limits", tomlkit.table())
    limits["training_cell_seconds"] = max(10, int(settings.seconds_left() / (1.5 * notebooks)))
    if settings.rehearse:
        for item in rubric["items"]:
            if "recipes" in item:
                item["recipes"]["quick"].update(_TINY)
                item["recipes"]["quick"].pop("calibration", None)
    file.write_text(tomlkit.dumps(rubric), "utf-8")
    return str(copied)
