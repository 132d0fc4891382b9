"""Hostile submissions on this GPU, each in a sandbox of its own, and the honest one after each."""

from __future__ import annotations

import ctypes
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.gpu import attack_cells
from benchmarks.gpu.cells import CellsRun, make_limits, run_cells, start_zygote
from benchmarks.gpu.machine import CheckedMachine, open_machine
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings
from grader.sandbox.host.sandbox import ZygoteLine

__all__ = ["ENDED", "HONEST", "AttackRound", "hold_secret", "run"]

# What an honest submission does after a hostile one.
HONEST = """
import torch
A = torch.arange(16.).reshape(4, 4)
print("right", float((A.to(DEVICE) @ A.to(DEVICE)).sum()) == float((A @ A).sum()))
"""
ENDED = "ended the kernel"  # what it printed is lost, too
_SECONDS = 40.0  # for a cell; CUDA itself takes some of it to start


@dataclass(frozen=True)
class AttackRound:
    """Runs hostile cells.

    Args:
        zygote: the warm process.
        machine: the device.
        words: what replaces the words CHUNK, COUNT, SIZE, SECONDS and SECRET in the cells.
        left_out: names of layers that are not applied, to show that an attack gets in without them.
    """

    zygote: ZygoteLine
    machine: CheckedMachine
    words: Mapping[str, int | str]
    left_out: frozenset[str] = frozenset()

    def try_cells(self, *cells: str, seconds: float = _SECONDS, ends: tuple[str, ...] = ("ok",)) -> CheckRow:
        """Run hostile cells, and return what they got.

        Args:
            cells: the cells of one submission.
            seconds: how long a cell may take.
            ends: how the last cell is expected to end, if not well.
        """
        run_ = self.run(*cells, seconds=seconds)
        text = "\n".join(run_.printed)
        loot = re.search(r"^LOOT (.*)$", text, re.MULTILINE)
        tried = re.search(r"^TRIED (.*)$", text, re.MULTILINE)
        if loot:
            return CheckRow("", RowOutcome.GOT_IN, loot[1][:200], data=run_.to_json())
        if run_.statuses[-1] not in ends or (not tried and run_.statuses[-1] != ENDED):
            said = "; ".join(
                f"{status}: {message}" for status, message in zip(run_.statuses, run_.messages, strict=True)
            )
            return CheckRow("", RowOutcome.WRONG, f"the attack did not run: {said}"[:300], data=run_.to_json())
        end = "" if run_.statuses[-1] == "ok" else f" ({run_.messages[-1]})"
        return CheckRow("", RowOutcome.REFUSED, (tried[1][:200] if tried else "") + end, data=run_.to_json())

    def try_and_go_on(self, *cells: str, seconds: float = _SECONDS, ends: tuple[str, ...] = ("ok",)) -> CheckRow:
        """Run cells that use things up, and an honest submission after them."""
        row = self.try_cells(*cells, seconds=seconds, ends=ends)
        if row.outcome is not RowOutcome.REFUSED:
            return row
        after = self.run(HONEST)
        if "right True" not in "".join(after.printed):
            said = f"the next submission: {'; '.join(after.messages)}"
            return CheckRow("", RowOutcome.WRONG, said[:300], data={"attack": row.data, "after": after.to_json()})
        detail = f"{row.detail}; the next submission is right after {after.seconds:.1f} s"
        return CheckRow("", RowOutcome.HARMLESS, detail, data=row.data)

    def run(self, *cells: str, seconds: float = _SECONDS) -> CellsRun:
        """Run the cells of one submission."""
        filled = [self._fill(cell) for cell in cells]
        return run_cells(self.zygote, self.machine, filled, make_limits(seconds), left_out=self.left_out)

    def _fill(self, cell: str) -> str:
        allowed = [str(path) for path in self.machine.access.nodes] if self.machine.access else []
        words: dict[str, Any] = {**self.words, "ALLOWED": allowed, "PATTERN": attack_cells.PATTERN}
        for word, value in words.items():
            cell = re.sub(rf"\b{word}\b", repr(value), cell)
        return cell


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Run every attack."""
    machine = open_machine(settings)
    words: dict[str, int | str] = {"CHUNK": 2**28, "COUNT": 1000, "SIZE": 8192, "SECONDS": 8}
    if settings.rehearse:
        words = {"CHUNK": 2**16, "COUNT": 8, "SIZE": 64, "SECONDS": 1}
    with start_zygote(machine) as zygote, hold_secret() as secret:
        round_ = AttackRound(zygote, machine, {**words, "SECRET": secret})
        yield attempt("the honest submission", partial(_be_honest, round_))
        yield attempt("device files of others", partial(round_.try_cells, attack_cells.OPENS_NODES))
        yield attempt("new device files", partial(round_.try_cells, attack_cells.MAKES_NODES))
        yield attempt("other processes in /proc", partial(round_.try_cells, attack_cells.LOOKS_AT_PROCESSES))
        yield attempt("files of the driver", partial(round_.try_cells, attack_cells.READS_DRIVER_FILES))
        yield attempt("memory of processes", partial(round_.try_cells, attack_cells.TRACES))
        yield attempt("what NVML tells", partial(round_.try_cells, attack_cells.ASKS_THE_DRIVER))
        yield attempt("memory that is left over", partial(_look_for_leftovers, round_))
        ends = ("timed out",)
        exhausts = partial(round_.try_and_go_on, attack_cells.EXHAUSTS, seconds=10, ends=ends)
        yield attempt("takes all memory", exhausts)
        yield attempt("never ends", partial(round_.try_and_go_on, attack_cells.NEVER_ENDS, seconds=10, ends=ends))
        yield attempt("forks", partial(round_.try_and_go_on, attack_cells.FORKS))
        yield attempt("a handle of memory", partial(_offer_handle, round_, settings))


@contextmanager
def hold_secret() -> Iterator[str]:
    """Start a process with a secret in its environment, and yield the secret."""
    secret = secrets.token_hex(16)
    waiting = "import time; time.sleep(3600)"
    with subprocess.Popen([sys.executable, "-c", waiting], env={"GRADER_SECRET": secret}) as process:
        try:
            yield secret
        finally:
            process.kill()


def _be_honest(round_: AttackRound) -> CheckRow:
    run_ = round_.run(HONEST)
    good = "right True" in "".join(run_.printed)
    return CheckRow("", RowOutcome.OK if good else RowOutcome.WRONG, "; ".join(run_.messages), data=run_.to_json())


def _look_for_leftovers(round_: AttackRound) -> CheckRow:
    """Fill the memory in one submission, and look for it in the next one."""
    filled = round_.try_cells(attack_cells.FILLS_MEMORY)
    if filled.outcome is not RowOutcome.REFUSED:
        return filled
    found = round_.try_cells(attack_cells.LOOKS_FOR_PATTERN)
    detail = f"{filled.detail}; then {found.detail}"
    outcome = RowOutcome.HARMLESS if found.outcome is RowOutcome.REFUSED else found.outcome
    return CheckRow("", outcome, detail, data={"filled": filled.data, "found": found.data})


def _offer_handle(round_: AttackRound, settings: CheckSettings) -> CheckRow:
    """Offer a handle of this process's memory on the device to a cell, and to a process without a sandbox."""
    handle, kept = ("00" * 64, None) if settings.rehearse else _make_handle()
    cell = re.sub(r"\bHANDLE\b", repr(handle), attack_cells.OPENS_HANDLE)
    row = round_.try_cells(cell)
    outside = cell.replace("PATTERN", str(attack_cells.PATTERN))
    control = subprocess.run([sys.executable, "-c", outside], capture_output=True, text=True, timeout=30, check=False)
    del kept
    reached = "reached" if "LOOT" in control.stdout else "not reached"
    detail = f"{row.detail}; without a sandbox it is {reached}"
    return replace(row, detail=detail, data={**row.data, "control": control.stdout + control.stderr})


def _make_handle() -> tuple[str, Any]:
    """Return a handle of memory that this process has filled with the pattern, and what holds the memory."""
    import torch

    kept = torch.full((2**25,), attack_cells.PATTERN, dtype=torch.int32, device="cuda")
    torch.cuda.synchronize()
    handle = ctypes.create_string_buffer(64)
    code = ctypes.CDLL("libcuda.so.1").cuIpcGetMemHandle(handle, ctypes.c_uint64(kept.data_ptr()))
    if code:
        raise RuntimeError(f"cuIpcGetMemHandle gave {code}")
    return handle.raw.hex(), kept
