"""The attack round: what gets in without a layer is told as that, and an attack that did nothing is told, too."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.gpu import attack_cells
from benchmarks.gpu.attacks import AttackRound, hold_secret
from benchmarks.gpu.cells import start_zygote
from benchmarks.gpu.machine import CheckedMachine, open_machine
from benchmarks.gpu.rows import RowOutcome
from benchmarks.gpu.settings import CheckSettings
from grader.sandbox.host.sandbox import ZygoteLine

SIZES = {"CHUNK": 2**10, "COUNT": 4, "SIZE": 16, "SECONDS": 1}


@pytest.fixture(scope="module")
def machine() -> CheckedMachine:
    """A stand-in device."""
    return open_machine(CheckSettings(rehearse=True))


@pytest.fixture(scope="module")
def warm(machine: CheckedMachine) -> Iterator[ZygoteLine]:
    """A warm process that has the device."""
    with start_zygote(machine) as warm:
        yield warm


def test_loot_is_told(warm: ZygoteLine, machine: CheckedMachine) -> None:
    row = AttackRound(warm, machine, SIZES).try_cells("print('TRIED it')\nprint('LOOT the answers')")
    assert (row.outcome, row.detail) == (RowOutcome.GOT_IN, "the answers")


def test_an_attack_that_did_not_run_proves_nothing(warm: ZygoteLine, machine: CheckedMachine) -> None:
    row = AttackRound(warm, machine, SIZES).try_cells("no_such_name")
    assert row.outcome is RowOutcome.WRONG
    assert "NameError" in row.detail


def test_memory_that_is_left_over_is_found(warm: ZygoteLine, machine: CheckedMachine) -> None:
    """In one process nothing clears it; the stand-in's memory is then that of the first piece again."""
    keeps = attack_cells.FILLS_MEMORY + "\nkept = pieces"
    looks = attack_cells.LOOKS_FOR_PATTERN.replace("pieces, found = [], 0", "pieces, found = list(kept), 0")
    row = AttackRound(warm, machine, SIZES).try_cells(keeps, looks)
    assert row.outcome is RowOutcome.GOT_IN
    assert "words of another submission" in row.detail


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave out these layers and see other processes")
def test_without_its_walls_a_cell_reads_a_secret_of_another_process(warm: ZygoteLine, machine: CheckedMachine) -> None:
    walls = frozenset(
        {"private file system", "pid namespace", "landlock", "unprivileged user", "user namespace", "capabilities"}
    )
    with hold_secret() as secret:
        words: dict[str, int | str] = {**SIZES, "SECRET": secret}
        kept, opened = (
            AttackRound(warm, machine, words, left_out).try_cells(attack_cells.LOOKS_AT_PROCESSES)
            for left_out in (frozenset(), walls)
        )
    assert kept.outcome is RowOutcome.REFUSED
    assert opened.outcome is RowOutcome.GOT_IN
    assert "environ" in opened.detail
