"""What this machine has for trainings: data sets, devices, and results that are kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from grader.cache_folder import cache_folder
from grader.errors import InputError
from grader.training.idx import DATA_SETS, compute_digest, locate, make_advice, read_files

__all__ = ["DataSetOnDisk", "describe_training", "find_all_data_sets"]


@dataclass(frozen=True)
class DataSetOnDisk:
    """A data set on this machine: where it is, what brought it there, and the sha256 of what is in its four files.

    Where it is missing or broken, `problem` says what to do, and what is not known is None.
    """

    name: str
    folder: str | None = None
    origin: str | None = None
    sha256: str | None = None
    problem: str | None = None


def find_all_data_sets(folder: Path | None = None, cache: Path | None = None) -> tuple[DataSetOnDisk, ...]:
    """Return each known data set as `find_data_set` would find it; all of its files are read."""
    return tuple(_found(name, folder, cache) for name in DATA_SETS)


def describe_training(cache: Path | None = None) -> Iterator[tuple[str, str]]:
    """Tell by name and text what trainings would use."""
    for found in find_all_data_sets(cache=cache):
        yield f"data set {found.name}", found.problem or f"{found.folder} ({found.origin})"
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for number in range(gpus):
        about = torch.cuda.get_device_properties(number)
        told = f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
        yield f"GPU {number}", f"{told}; trainings use it, with code that has not yet run on this project's machines"
    if not gpus:
        yield "GPU", "none: trainings use the CPU's recipes (quick)"
    yield "CPU cores", str(len(os.sched_getaffinity(0)))
    kept = (cache or cache_folder()) / "trainings"
    yield "trainings kept", f"{sum(1 for _ in kept.glob('*.json'))} in {kept}"


def _found(name: str, folder: Path | None, cache: Path | None) -> DataSetOnDisk:
    try:
        place = locate(name, folder, cache)
        if place is None:
            return DataSetOnDisk(name, problem=f"not found; {make_advice(name)}")
        sha256 = compute_digest(read_files(place, cache))
    except InputError as error:
        return DataSetOnDisk(name, problem=str(error))
    return DataSetOnDisk(name, str(place.folder), place.origin, sha256)
