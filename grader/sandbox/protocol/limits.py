"""The limits of one submission, known on both sides of the sandbox."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]

_MIB = 1024**2


@dataclass(frozen=True)
class Limits:
    """The limits of one submission. If one is exceeded, the sandbox ends the cell, the test or the submission."""

    cell_seconds: float = 60
    training_cell_seconds: float = 600  # replaces cell_seconds if trainings run as written
    submission_seconds: float = 600  # for all cells, once
    slot_seconds: float = 900  # for everything together, also what is run or tried again, without trainings
    memory_bytes: int = 4096 * _MIB
    device_host_bytes: int = 4096 * _MIB  # of the machine's memory for CUDA itself, besides memory_bytes, with a GPU
    processes: int = 256
    written_bytes: int = 512 * _MIB
    cell_output_bytes: int = 1 * _MIB
    notebook_output_bytes: int = 10 * _MIB
    replacements: int = 3  # how often a kernel that has died or hangs is replaced
    judge_seconds: float = 120  # for all tests of all definitions together
    test_seconds: float = 10  # for all that a test asks of the student's code, and as much for its own computing
    search_seconds: float = 40  # for all that is tried under other names than the assignment's, besides judge_seconds
    candidate_seconds: float = 5  # for one of these tries
    training_seconds: float = 240  # for one item's training, if it must run in the student's process
    training_teraflops: float = 4  # for one training on a CPU: 10**12 operations, estimated from the model's graph
    training_teraflops_on_gpu: float = 20_000
    training_memory_bytes: int = 4096 * _MIB  # for one training on a CPU, estimated from the model's graph
    training_memory_bytes_on_gpu: int = 32 * 1024 * _MIB
    test_memory_bytes: int = 1024 * _MIB
    judging_memory_bytes: int = 2048 * _MIB  # of the grader's own process that judges, above what it has at the start
