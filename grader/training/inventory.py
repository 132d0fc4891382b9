"""What this machine has for trainings: data sets, devices and cached results."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.cache_folder import cache_folder
from grader.errors import DeviceFault, InputError
from grader.gpu.nvml import open_driver
from grader.training.idx import DATA_SETS, compute_digest, locate, make_advice, read_files

__all__ = ["DataSetOnDisk", "describe_training", "find_all_data_sets"]


@dataclass(frozen=True)
class DataSetOnDisk:
    """A data set on this machine: its folder, how it got there, and the sha256 of its four files.

    If it is missing or broken, `problem` says what to do, and the other fields are None.
    """

    name: str
    folder: str | None = None
    origin: str | None = None
    sha256: str | None = None
    problem: str | None = None


def find_all_data_sets(folder: Path | None = None, cache: Path | None = None) -> tuple[DataSetOnDisk, ...]:
    """Return each known data set as `find_data_set` would find it. This reads all of its files."""
    return tuple(_find(name, folder, cache) for name in DATA_SETS)


def describe_training(cache: Path | None = None) -> Iterator[tuple[str, str]]:
    """Yield names and descriptions of what trainings would use."""
    for data_set in find_all_data_sets(cache=cache):
        yield f"data set {data_set.name}", data_set.problem or f"{data_set.folder} ({data_set.origin})"
    yield from _describe_gpus()
    yield "CPU cores", str(len(os.sched_getaffinity(0)))
    results = (cache or cache_folder()) / "trainings"
    yield "trainings kept", f"{sum(1 for _ in results.glob('*.json'))} in {results}"


def _describe_gpus() -> Iterator[tuple[str, str]]:
    try:
        driver = open_driver()
        gpus = driver.list_gpus() if driver else ()
        problems = driver.list_problems() if driver else ()
    except (InputError, DeviceFault) as error:
        yield "GPU", f"cannot be used: {error}"
        return
    for gpu in gpus:
        name = f"GPU {gpu.index}, slice {gpu.uuid}" if gpu.is_slice else f"GPU {gpu.index}"
        yield name, f"{gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB; grader doctor --gpu examines it"
    for number, problem in enumerate(problems, start=1):
        yield f"GPU problem {number}", problem
    if not gpus and not problems:
        yield "GPU", "none: trainings use the CPU's recipes (quick)"


def _find(name: str, folder: Path | None, cache: Path | None) -> DataSetOnDisk:
    try:
        files = locate(name, folder, cache)
        if files is None:
            return DataSetOnDisk(name, problem=f"not found; {make_advice(name)}")
        sha256 = compute_digest(read_files(files, cache))
    except InputError as error:
        return DataSetOnDisk(name, problem=str(error))
    return DataSetOnDisk(name, str(files.folder), files.origin, sha256)
