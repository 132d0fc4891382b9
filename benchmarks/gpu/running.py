"""Run the parts one after the other, each in a process of its own that is ended when its time is over."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from benchmarks.gpu.parts import MEMORY, CheckPart
from benchmarks.gpu.results import CheckResults, PartResult
from benchmarks.gpu.rows import CheckRow, RowOutcome
from benchmarks.gpu.settings import CheckSettings

__all__ = ["LOG", "choose_seconds", "run_parts"]

LOG = "log.txt"
_MOST_LOG = 4 * 2**20  # bytes of a part
_GRACE = 2.0  # seconds for the kernel to end processes


def run_parts(
    parts: Sequence[CheckPart], settings: CheckSettings, results: CheckResults, folder: Path, say: Callable[[str], None]
) -> None:
    """Run the parts until the deadline of the settings, and write what each finds.

    Args:
        parts: the parts, in order.
        settings: what they are told, with the deadline of the whole.
        results: takes their rows.
        folder: takes the log of what they print.
        say: takes a line on each row.
    """
    settings = replace(settings, used_before=_measure_before(settings, folder))
    for number, part in enumerate(parts):
        result = results.parts[part.name]
        seconds = choose_seconds(part, parts[number + 1 :], settings.seconds_left())
        if seconds < 1:
            result.state = "no time was left"
            result.rows.append(CheckRow("the part", RowOutcome.BROKE, result.state))
            _save(results)
            continue
        say(f"{part.name}: at most {seconds:.0f} s")

        def add(row: CheckRow, part: CheckPart = part, result: PartResult = result) -> None:
            result.rows.append(row)
            _save(results)
            say(f"{part.name}: {row.outcome}: {row.name} {row.detail}")

        started = time.monotonic()
        result.state = "running"
        result.state = _run_part(part, replace(settings, deadline=started + seconds), folder, add)
        result.seconds = round(time.monotonic() - started, 1)
        _save(results)
        if settings.used_before is not None:
            _run_part(MEMORY, replace(settings, deadline=time.monotonic() + MEMORY.seconds), folder, add)


def choose_seconds(part: CheckPart, later: Sequence[CheckPart], left: float) -> float:
    """Return how long a part may take, so that the later ones have what is reserved for them."""
    spare = left - sum(other.reserved for other in later)
    return max(0.0, min(part.seconds, max(spare, min(part.reserved, left))))


def _save(results: CheckResults) -> None:
    """Write the results; a full disk does not end the check, which prints them at its end."""
    with suppress(OSError):
        results.write()


def _measure_before(settings: CheckSettings, folder: Path) -> int | None:
    rows: list[CheckRow] = []
    _run_part(MEMORY, replace(settings, deadline=time.monotonic() + MEMORY.seconds), folder, rows.append)
    return next((row.data["used"] for row in rows if "used" in row.data), None)


def _run_part(part: CheckPart, settings: CheckSettings, folder: Path, add: Callable[[CheckRow], None]) -> str:
    """Run a part in a process, hand over its rows as they come, and return how it ended."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "benchmarks.gpu.part_process", str(writing), part.name, settings.to_json()]
    with (folder / LOG).open("ab") as log, os.fdopen(reading, "rb", buffering=0) as pipe:
        log.write(f"== {part.name}\n".encode())
        log.flush()
        start = log.tell()
        process = subprocess.Popen(
            command, pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        os.close(writing)
        try:
            state = _read_rows(pipe, process, settings, add)
        finally:
            _end(process)
        if log.tell() - start > _MOST_LOG:
            log.truncate(start + _MOST_LOG)
    return state


def _read_rows(
    pipe: object, process: subprocess.Popen[bytes], settings: CheckSettings, add: Callable[[CheckRow], None]
) -> str:
    number = pipe.fileno()  # type: ignore[attr-defined]
    pending = b""
    while True:
        left = settings.seconds_left()
        if left <= 0:
            add(CheckRow("the part", RowOutcome.BROKE, "out of time"))
            return "out of time"
        if not select.select([number], [], [], min(left, 0.5))[0]:
            if process.poll() is None:
                continue
            part = b""  # it has ended; a process of its own may still hold the pipe
        else:
            part = os.read(number, 65536)
        if not part:
            break
        *lines, pending = (pending + part).split(b"\n")
        for line in lines:
            add(CheckRow.from_json(json.loads(line)))
    try:
        code = process.wait(max(_GRACE, settings.seconds_left()))
    except subprocess.TimeoutExpired:
        code = None
    if code:
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        add(CheckRow("the part", RowOutcome.BROKE, f"its process ended with {how}; {LOG} has what it wrote"))
        return how
    return "ended"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started in its session. What it started in others ends with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # one that hangs in the driver gets no signal
        process.wait(_GRACE)
