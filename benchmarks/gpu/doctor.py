"""`grader doctor --gpu` on this machine, and the layers of a sandbox with the device and without it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.gpu.cells import make_limits, run_cells, start_zygote
from benchmarks.gpu.machine import CheckedMachine, open_machine
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings
from grader.sandbox.host.required_layers import find_missing
from grader.sandbox.host.sandbox import ZygoteLine

__all__ = ["run"]

_GRADER = "from grader.cli.entry import main; main()"  # it may not be installed
_CELL = "print('here')"
_LONGEST = 300  # characters of what the doctor finds


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Ask the doctor, and enter two sandboxes."""
    yield attempt("grader doctor --gpu", partial(_ask_doctor, settings))
    machine = open_machine(settings)
    with start_zygote(machine) as zygote:
        yield attempt("packages", lambda: _list_missing(zygote))
        for with_device, words in ((False, "without the device"), (True, "with the device")):
            yield attempt(f"layers {words}", partial(_list_layers, zygote, machine, with_device))


def _ask_doctor(settings: CheckSettings) -> CheckRow:
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "doctor.json")
        done = _run_doctor(found, ["--gpu"], settings)
        values = json.loads(found.read_text("utf-8")) if found.exists() else {}
    text = f"{done.stdout}\n{done.stderr}".strip()
    kept = {**values, "printed": text[-8000:]}
    if not values:
        return CheckRow("", RowOutcome.BROKE, f"exit code {done.returncode}: {text[-_LONGEST:]}", data=kept)
    # In a rehearsal there is no GPU, which the doctor has to say.
    lacks_gpus = not values["gpus"] and bool(values["problems"])
    good = lacks_gpus if settings.rehearse else done.returncode == 0
    detail = "; ".join((f"exit code {done.returncode}", *values["problems"]))[:_LONGEST]
    return CheckRow("", RowOutcome.OK if good else RowOutcome.WRONG, detail, data=kept)


def _run_doctor(file: Path, options: list[str], settings: CheckSettings) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _GRADER, "doctor", *options, "--json", str(file)]
    seconds = settings.seconds_left()
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


def _list_missing(zygote: ZygoteLine) -> CheckRow:
    missing = zygote.missing
    reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
    return CheckRow("", RowOutcome.WRONG if missing else RowOutcome.OK, reasons or "all imported by the warm process")


def _list_layers(zygote: ZygoteLine, machine: CheckedMachine, with_device: bool) -> CheckRow:
    run_ = run_cells(zygote, machine, [_CELL], make_limits(10), with_device=with_device)
    off = {layer.name: layer.reason for layer in run_.layers if not layer.on}
    missing = [layer.name for layer in find_missing(run_.layers)]
    outcome = RowOutcome.WRONG if missing or run_.statuses != ("ok",) else RowOutcome.OK
    reasons = "; ".join(f"{name}: {reason}" for name, reason in off.items())
    return CheckRow("", outcome, f"off: {reasons}" if off else "all on", data=run_.to_json())
