"""The driver by NVML from end to end: pynvml loads a library and asks it, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pynvml
import pytest

from grader.gpu.nvml import open_driver
from tests.support.nvml_library import COMPILER, build_library
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which(COMPILER) is None, reason="there is no C compiler")

SHOW = """
from grader.gpu.nvml import open_driver
driver = open_driver()
(gpu,) = driver.list_gpus()
print(gpu)
print(driver.version, driver.cuda_version, driver.used_memory(gpu), driver.list_processes(gpu))
print(driver.read_settings(gpu))
print(driver.take_faults(gpu), driver.take_faults(gpu), driver.list_problems())
"""


def show(code: str, **environ: str) -> list[str]:
    """Run code with this library as the driver's, and return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environ}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


EXPECTED = [
    "GPU(uuid='MIG-p', name='NVIDIA stand-in', memory_bytes=68719476736, index=0, minor=5, gpu_instance=9, "
    "compute_instance=1)",
    "580.95.05 (13, 0) 4096 (GPUProcess(pid=17, used_bytes=2048),)",
    "GPUSettings(mig=True, ecc=True, persistence=None, compute_mode='exclusive process', rows_failing=None, "
    "rows_pending=None, recovery='a restart of the machine')",
    "('Xid 79: it has fallen off the bus',) () ()",
]


def test_a_library_that_the_linker_finds_is_asked(tmp_path: Path) -> None:
    assert show(SHOW, LD_LIBRARY_PATH=str(build_library(tmp_path))) == EXPECTED


@pytest.mark.skipif(open_driver() is not None, reason="the linker finds this machine's own driver")
def test_a_library_in_a_folder_of_the_driver_s_is_loaded_and_asked(tmp_path: Path) -> None:
    folder = build_library(tmp_path)
    code = (
        f"from pathlib import Path\nimport grader.gpu.nvml as nvml\nnvml.LIBRARY_FOLDERS = (Path({str(folder)!r}),)\n"
    )
    assert show(code + SHOW) == EXPECTED


@pytest.mark.parametrize(
    ("init", "says"),
    [
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "None the driver's library is here but its kernel module is not loaded"),
        (
            pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
            "refused the driver's library and its kernel module have different",
        ),
    ],
)
def test_a_library_that_does_not_initialise_is_told_without_noise(tmp_path: Path, init: int, says: str) -> None:
    code = (
        "from grader.errors import InputError\n"
        "from grader.gpu.nvml import explain_no_driver, open_driver\n"
        "try: print(open_driver(), explain_no_driver())\n"
        "except InputError as error: print('refused', error)\n"
    )
    (line,) = show(code, LD_LIBRARY_PATH=str(build_library(tmp_path, init)))
    assert line.startswith(says)
