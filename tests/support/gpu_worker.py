"""Workers on GPUs that do not exist: `python -m tests.support.gpu_worker pool|worker ARGUMENT...`.

GRADER_TEST_DEVICES names a folder by which tests and processes tell each other what happens: see `FileDriver` and
`StandInSession`.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grader.gpu.access
import grader.gpu.nvml
from grader.errors import DeviceFault
from grader.gpu.device import GPU, DeviceAccess
from grader.grading import guarded_gpu
from grader.grading import session as sessions
from grader.models.recipe import Mode
from grader.results.report import Report
from grader.submission.submission import Submission
from tests.support.gpus import StandInDriver, make_gpu

__all__ = ["BREAKS_ALL", "GPUS", "FileDriver", "StandInSession", "read_log"]

GPUS = (make_gpu(0), make_gpu(1))
BREAKS_ALL = "breaks every GPU"  # in a notebook


class FileDriver(StandInDriver):
    """A driver that tells what files say: `fault-UUID` with text, `used-UUID` with bytes, `lost-UUID`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(GPUS)
        self._folder = folder

    def list_gpus(self) -> tuple[GPU, ...]:
        self._read()
        return super().list_gpus()

    def used_memory(self, gpu: GPU) -> int:
        self._read()
        return super().used_memory(gpu)

    def take_faults(self, gpu: GPU) -> tuple[str, ...]:
        self._read()
        self._check(gpu)
        file = self._folder / f"fault-{gpu.uuid}"
        if not file.exists():
            return ()
        text = file.read_text()
        file.unlink()
        return (text,)

    def _read(self) -> None:
        self.lost = {gpu.uuid for gpu in self.gpus if (self._folder / f"lost-{gpu.uuid}").exists()}
        for gpu in self.gpus:
            file = self._folder / f"used-{gpu.uuid}"
            self.used[gpu.uuid] = int(file.read_text()) if file.exists() else 0


class StandInSession(sessions.GradingSession):
    """Grades trainings as definitions, and notes in the file `log` on which GPU each was.

    While one is graded, its GPU is locked: a second one at the same time is noted as well. The files `slow` and
    `breaks-UUID` make trainings take long, and the GPU fail.
    """

    def grade(
        self, submission: Submission, assignment_name: str, mode: Mode = Mode.NONE, *arguments: Any, **options: Any
    ) -> Report:
        if mode is not Mode.FULL:
            return super().grade(submission, assignment_name, mode, *arguments, **options)
        folder, uuid = _get_folder(), os.environ["CUDA_VISIBLE_DEVICES"]
        with _only_one_on(folder, uuid):
            source = "".join(cell.source for notebook in submission.notebooks for cell in notebook.cells)
            _note(folder, f"begin {uuid} {source.splitlines()[0]}")
            while (folder / "slow").exists():
                time.sleep(0.02)
            if BREAKS_ALL in source or (folder / f"breaks-{uuid}").exists():
                raise DeviceFault(f"GPU {uuid}: Xid 79: it has fallen off the bus")
            report = super().grade(submission, assignment_name, Mode.NONE, *arguments, **options)
            _note(folder, f"end {uuid}")
            return report


def read_log(folder: Path) -> list[list[str]]:
    """Return what sessions noted: `begin UUID LINE`, `end UUID` or `together UUID`."""
    file = folder / "log"
    return [line.split(" ", 2) for line in file.read_text().splitlines()] if file.exists() else []


@contextmanager
def _only_one_on(folder: Path, uuid: str) -> Iterator[None]:
    with open(folder / f"lock-{uuid}", "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _note(folder, f"together {uuid}")
        yield


def _note(folder: Path, text: str) -> None:
    with open(folder / "log", "ab", buffering=0) as file:
        file.write(f"{text}\n".encode())  # one write: lines of several processes do not mix


def _get_folder() -> Path:
    return Path(os.environ["GRADER_TEST_DEVICES"])


def main(kind: str, arguments: Sequence[str]) -> int:
    """Run a pool of the command in `arguments`, or a worker of the queues in them."""
    driver = FileDriver(_get_folder())
    for module, name, stand_in in (
        (grader.gpu.nvml, "open_driver", lambda: driver),
        (guarded_gpu, "open_driver", lambda: driver),
        (grader.gpu.access, "find_access", lambda gpu: DeviceAccess(gpu.uuid, ())),
        (sessions, "find_library_folders", lambda _: ()),
        (sessions, "GradingSession", StandInSession),
    ):
        setattr(module, name, stand_in)
    # Imported here, so that they find the stand-ins.
    from grader.gpu.own import list_selected
    from grader.service.device_pool import DevicePool, Pauses
    from grader.service.json_log import log_as_json
    from grader.service.settings import Settings
    from grader.service.worker import run_worker

    if kind == "worker":
        return run_worker(Settings.from_environment(), arguments, 1)
    log_as_json({})
    pauses = Pauses(restart=0.1, longest_restart=2, retry=float(os.environ.get("GRADER_TEST_RETRY", "0.1")))
    return DevicePool(driver, list_selected(driver, "all"), arguments, pauses).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
