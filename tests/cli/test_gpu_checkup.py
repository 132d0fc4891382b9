"""`grader doctor --gpu`: every GPU is asked to compute, and each thing that is wrong has a line with what to do."""

from __future__ import annotations

import dataclasses
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pynvml
import pytest

from grader.cli.gpu_checkup import describe_gpu_checkup, examine_gpus, probe_kernel
from grader.errors import DeviceFault, InputError, SandboxFault
from grader.gpu.device import GPU, DeviceAccess
from grader.gpu.driver import GPUProcess, GPUSettings
from grader.gpu.exclusive import hold_gpu
from grader.gpu.nvml import open_driver
from grader.sandbox.host.device_probe import KernelView
from grader.sandbox.host.sandbox import Zygote
from tests.support.command_line import Run
from tests.support.device_files import find_devices, make_nodes
from tests.support.gpus import GIB, StandInDriver, make_gpu, make_slice
from tests.support.nvml_library import COMPILER, build_library
from tests.support.sandbox_runs import LIMITS

TORCH = ("2.14.1", "13.0")
OURS = make_gpu()
GOOD = KernelView(("NVIDIA H200",), 2e-7, 3.25)


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def examine(driver: StandInDriver | str, *views: KernelView | Exception) -> tuple[dict[str, Any], list[str]]:
    """Return the values and lines for a driver whose GPUs give these views, the last one for all that follow."""
    left = list(views or (GOOD,))

    def probe(gpu: GPU) -> KernelView:
        view = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(view, Exception):
            raise view
        return view

    values = examine_gpus(driver, TORCH, probe)
    json.dumps(values)
    return values, list(describe_gpu_checkup(values))


def test_a_good_machine_is_complete() -> None:
    driver = StandInDriver((OURS,), used={OURS.uuid: GIB}, processes={OURS.uuid: [GPUProcess(17, GIB)]})
    driver.settings = {OURS.uuid: GPUSettings(False, True, True, "default", False, False, "")}
    values, lines = examine(driver)
    assert values["complete"]
    assert lines == [
        "driver: 580.95.05, for CUDA up to 13.0; torch 2.14.1 was built with CUDA 13.0",
        f"GPU 0 ({OURS.uuid}): NVIDIA H200, 140.0 GiB, 1.0 GiB in use, MIG off, ECC on, persistence mode on",
        "  used by process 17, 1.0 GiB",
        "  a kernel in the sandbox saw NVIDIA H200; a product of matrices there differs by 2.0e-07 from the CPU's; "
        "3.2 s; memory given back",
    ]


def test_no_driver_is_one_line() -> None:
    values, lines = examine("install the driver")
    assert not values["complete"]
    assert lines == ["to do: install the driver"]


def test_each_slice_is_asked_to_compute() -> None:
    values, lines = examine(StandInDriver((make_slice(0), make_slice(1))), GOOD, KernelView(problem="it sees nothing"))
    assert not values["complete"]
    assert [gpu["problems"] for gpu in values["gpus"]] == [[], ["in the sandbox: it sees nothing"]]
    assert lines[-1] == f"to do for slice of GPU 0 ({make_slice(1).uuid}): in the sandbox: it sees nothing"


@pytest.mark.parametrize("error", [DeviceFault("x"), InputError("x"), SandboxFault("x")])
def test_what_breaks_while_a_kernel_runs_is_a_problem_of_that_gpu(error: Exception) -> None:
    values, lines = examine(StandInDriver((OURS, make_gpu(1))), error, GOOD)
    assert [gpu["problems"] for gpu in values["gpus"]] == [["in the sandbox: x"], []]
    assert not values["complete"]
    assert f"to do for GPU 0 ({OURS.uuid}): in the sandbox: x" in lines


def test_a_gpu_that_is_known_to_be_broken_is_not_asked() -> None:
    values, lines = examine(StandInDriver((OURS,), faults={OURS.uuid: ["Xid 79: off"]}), AssertionError())
    assert values["gpus"][0]["kernel"] is None
    assert "  no kernel was run: see below" in lines


def test_advice_leaves_a_machine_complete() -> None:
    values, lines = examine(StandInDriver((OURS,), settings={OURS.uuid: GPUSettings(ecc=False)}))
    assert values["complete"]
    assert lines[-1].startswith(f"advice for GPU 0 ({OURS.uuid}): errors in its memory go unnoticed")


def test_hidden_gpus_are_told_and_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    values, lines = examine(StandInDriver((OURS, make_gpu(1))))
    assert values["complete"]
    assert "  no kernel was run: CUDA_VISIBLE_DEVICES hides it" in lines
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    values, lines = examine(StandInDriver((OURS,)))
    assert not values["complete"]
    assert lines[-1] == "to do: CUDA_VISIBLE_DEVICES hides all GPUs"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    values, lines = examine(StandInDriver((OURS,)))
    assert not values["complete"]
    assert "no GPU '7'" in "".join(lines)


# The probe


@pytest.fixture
def gpu() -> GPU:
    """A GPU of this test alone: tests run side by side on one machine."""
    return dataclasses.replace(OURS, uuid=f"GPU-{uuid.uuid4()}")


@contextmanager
def open_nothing() -> Iterator[Any]:
    yield None


@pytest.fixture
def good_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.sandbox.host.device_probe.probe_device", lambda *_: GOOD)


@pytest.mark.usefixtures("good_kernel")
def test_a_probe_returns_what_the_kernel_saw(gpu: GPU) -> None:
    assert probe_kernel(StandInDriver((gpu,)), gpu, LIMITS, open_nothing) == GOOD


@pytest.mark.usefixtures("good_kernel")
def test_a_gpu_of_a_running_worker_is_left_alone(gpu: GPU) -> None:
    with hold_gpu(gpu), pytest.raises(InputError, match="used by another worker"):
        probe_kernel(StandInDriver((gpu,)), gpu, LIMITS, open_nothing)


@pytest.mark.usefixtures("good_kernel")
def test_memory_that_stays_and_a_fault_meanwhile_end_a_probe(gpu: GPU, monkeypatch: pytest.MonkeyPatch) -> None:
    amounts = iter([0, *[GIB] * 100])
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(DeviceFault, match="1,024 MiB of its memory are in use"):
        probe_kernel(StandInDriver((gpu,), used={gpu.uuid: lambda: next(amounts)}), gpu, LIMITS, open_nothing)
    with pytest.raises(DeviceFault, match="Xid 48"):
        probe_kernel(StandInDriver((gpu,), faults={gpu.uuid: ["Xid 48"]}), gpu, LIMITS, open_nothing)


def test_a_sandboxed_kernel_computes_on_the_device_that_it_was_given(gpu: GPU) -> None:
    with (
        make_nodes(*find_devices(2)) as nodes,
        Zygote(("torch", "tests.support.stand_in_device")) as warm,
    ):
        access = DeviceAccess(gpu.uuid, tuple(nodes))
        view = probe_kernel(StandInDriver((gpu,)), gpu, LIMITS, lambda: warm.sandbox(LIMITS, device=access))
    assert view.devices == ("standin 0",)
    assert view.difference == 0.0
    assert view.problem == ""


# The command


@pytest.mark.skipif(open_driver() is not None, reason="this machine has a driver")
def test_a_machine_without_a_driver_gets_one_line_and_exit_code_1(run: Run, tmp_path: Path) -> None:
    ran = run("doctor", "--gpu", "--json", tmp_path / "gpu.json")
    assert ran.returncode == 1
    assert len(ran.stdout.splitlines()) == 1
    assert "install NVIDIA's driver" in ran.stdout
    assert ran.stderr == ""
    assert json.loads((tmp_path / "gpu.json").read_text())["driver"] is None


@pytest.mark.skipif(shutil.which(COMPILER) is None, reason="there is no C compiler")
@pytest.mark.skipif(Path("/dev/nvidia5").exists(), reason="the stand-in's device file exists")
@pytest.mark.parametrize(
    ("init", "says"),
    [
        (0, "to do for slice of GPU 0 (MIG-p): in the sandbox: /dev/nvidia5 is missing"),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "to do: the driver's library and its kernel module"),
    ],
)
def test_a_driver_without_what_a_kernel_needs_gets_a_line_that_says_so(
    run: Run, tmp_path: Path, init: int, says: str
) -> None:
    ran = run("doctor", "--gpu", LD_LIBRARY_PATH=str(build_library(tmp_path, init, healthy=True)))
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1].startswith(says)
    assert ran.stderr == ""
