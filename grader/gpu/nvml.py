"""The driver of NVIDIA's GPUs, asked through NVML. The only module that imports pynvml.

NVML is a library of the driver, which pynvml looks up by the dynamic linker. It works without CUDA and without a
context on the GPU, so it takes no memory there.
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from grader.errors import DeviceFault, InputError
from grader.gpu.device import GPU
from grader.gpu.driver import GPUProcess, GPUSettings
from grader.gpu.xid import Xid, describe_xid

__all__ = ["LIBRARY_FOLDERS", "NVMLDriver", "connect", "explain_no_driver", "open_driver"]

_LIBRARY = "libnvidia-ml.so.1"
# Folders that the dynamic linker does not search by itself, where drivers put NVML.
LIBRARY_FOLDERS = (
    Path("/usr/local/nvidia/lib64"),  # GKE's device plugin mounts the driver here
    Path("/usr/local/nvidia/lib"),
    Path("/usr/lib/x86_64-linux-gnu/nvidia/current"),  # Debian, until its alternatives are set up
    Path("/usr/lib/aarch64-linux-gnu/nvidia/current"),
    Path("/run/nvidia/driver/usr/lib/x86_64-linux-gnu"),  # NVIDIA's GPU operator
    Path("/home/kubernetes/bin/nvidia/lib64"),  # GKE's nodes themselves
    Path("/usr/lib/wsl/lib"),
)
_MOST_XIDS = 256  # a program that faults again and again may report any number of them
_COMPUTE_MODES = {0: "default", 2: "prohibited", 3: "exclusive process"}
# By NVML's number. Two concern only links to other GPUs, which nothing here uses.
_RECOVERIES = {
    0: "",
    1: "a reset of the GPU",
    2: "a restart of the machine",
    3: "",
    5: "",
    7: "a restart of the machine",
}

_RESET = "stop what uses it and run nvidia-smi --gpu-reset as root; if that does not help, restart the machine"
# What an error of NVML means, by the name of its class.
_REASONS = {
    "NVMLError_LibRmVersionMismatch": (
        "the driver's library and its kernel module have different versions, as after an update of the driver "
        "(Driver/library version mismatch): restart the machine, or stop all that uses the GPUs and load the module "
        "again; restart containers too, they keep the old library"
    ),
    "NVMLError_NoPermission": (
        "the driver refuses this user: the device files /dev/nvidia* must be readable and writable for it; in a "
        "container whose GPUs have vanished while it ran, restart the container"
    ),
    "NVMLError_GpuIsLost": (
        "it is lost (fallen off the bus, or it stopped answering): restart the machine; if it happens again, look at "
        "its power supply, temperature and seat (dmesg | grep Xid)"
    ),
    "NVMLError_ResetRequired": f"it has to be reset: {_RESET}",
    "NVMLError_NotFound": "it is not there any more: it was unplugged or, as a slice, destroyed",
    "NVMLError_InvalidArgument": "it is not there any more: it was unplugged or, as a slice, destroyed",
    "NVMLError_NotSupported": "the driver does not tell this of such a GPU, so that it cannot be used for grading",
    "NVMLError_Unknown": (
        "the driver does not say why; in a container whose GPUs have vanished while it ran (as when systemd was "
        "reloaded on the host), restart the container"
    ),
    "NVMLError_IrqIssue": "it has no interrupt: see dmesg, and restart the machine",
    "NVMLError_InsufficientPower": "its power cables are not plugged in",
    "NVMLError_CorruptedInforom": "its infoROM is corrupt: it has to be repaired or replaced",
}
_NOT_LOADED = (
    "the driver's library is here but its kernel module is not loaded: run nvidia-smi or nvidia-modprobe as root, "
    "and see dmesg if it does not load; in a container, the host's driver must be given to it"
)
_NO_LIBRARY = (
    "no driver for GPUs was found (libnvidia-ml.so.1): install NVIDIA's driver; in a container, start it with "
    "NVIDIA's container toolkit (docker run --gpus all)"
)
_NO_PACKAGE = "the package nvidia-ml-py is not installed: pip install 'notebook-grader[grading]'"

_opened: dict[int, NVMLDriver] = {}  # by process: NVML has to be opened again after a fork


def open_driver() -> NVMLDriver | None:
    """Return the driver, the same one for the whole process, or None if this machine has none.

    Raises:
        InputError: there is one that cannot be used. The message says what to do.
    """
    if os.getpid() not in _opened:
        found = _open()
        if isinstance(found, str):
            return None
        _opened.clear()
        _opened[os.getpid()] = found
    return _opened[os.getpid()]


def explain_no_driver() -> str:
    """Return why `open_driver` returns None, and what to do, "" if it returns a driver."""
    found = _open()
    return found if isinstance(found, str) else ""


def _open() -> NVMLDriver | str:
    try:
        import pynvml
    except ImportError:
        return _NO_PACKAGE
    return connect(pynvml)


def connect(nvml: Any, folders: Iterable[Path] | None = None) -> NVMLDriver | str:
    """Return a driver, or why there is none.

    Args:
        nvml: the module pynvml, or one with the same functions.
        folders: where to look for the library if the dynamic linker does not find it, LIBRARY_FOLDERS unless given.

    Raises:
        InputError: there is a driver that cannot be used.
    """
    try:
        _initialise(nvml, LIBRARY_FOLDERS if folders is None else folders)
    except nvml.NVMLError_LibraryNotFound:
        return _NO_LIBRARY
    except nvml.NVMLError_DriverNotLoaded:
        return _NOT_LOADED
    except nvml.NVMLError as error:
        raise InputError(_explain(nvml, error)) from error
    return NVMLDriver(nvml)


def _initialise(nvml: Any, folders: Iterable[Path]) -> None:
    try:
        nvml.nvmlInit()
    except nvml.NVMLError_LibraryNotFound:
        # Once it is loaded by its path, the linker finds it by its name.
        if not any(_load(folder / _LIBRARY) for folder in folders):
            raise
        nvml.nvmlInit()


def _explain(nvml: Any, error: Exception) -> str:
    """Return an error of NVML in plain words, with what to do."""
    for name, text in _REASONS.items():
        if isinstance(error, getattr(nvml, name)):
            return text
    return f"the driver says: {error}"


def _load(path: Path) -> bool:
    if not path.exists():
        return False
    with suppress(OSError):
        ctypes.CDLL(str(path))
        return True
    return False


class NVMLDriver:
    """A `Driver` by NVML.

    Events are collected from when it is made, so that `take_faults` knows of what happens before its first call.

    Args:
        nvml: the module pynvml, initialised, or one with the same functions.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._xids: deque[tuple[int, int, Xid]] = deque(maxlen=_MOST_XIDS)  # counted, by the number of the GPU
        self._count = 0
        self._taken: dict[tuple[str, bool], int] = {}  # how many of them have been told, by UUID and kind
        self._events = self._listen()

    @cached_property
    def version(self) -> str:
        """The driver's version."""
        return str(self._ask(self._nvml.nvmlSystemGetDriverVersion))

    @cached_property
    def cuda_version(self) -> tuple[int, int]:
        """The newest version of CUDA that the driver supports."""
        number = int(self._ask(self._nvml.nvmlSystemGetCudaDriverVersion_v2))
        return number // 1000, number % 1000 // 10

    def list_gpus(self) -> tuple[GPU, ...]:
        """Return the GPUs that answer, by their number; in place of a GPU in MIG mode, its slices."""
        return tuple(item for item in self._list_all() if isinstance(item, GPU))

    def list_problems(self) -> tuple[str, ...]:
        """Return a sentence for each GPU that does not answer or has no slice."""
        return tuple(item for item in self._list_all() if isinstance(item, str))

    def used_memory(self, gpu: GPU) -> int:
        """Return how many bytes of a GPU's memory are in use."""
        return int(self._ask(self._nvml.nvmlDeviceGetMemoryInfo, self._find(gpu), gpu=gpu).used)

    def list_processes(self, gpu: GPU) -> tuple[GPUProcess, ...]:
        """Return the processes on a GPU: those that compute, clients of MPS and those that draw."""
        nvml, handle = self._nvml, self._find(gpu)
        found: dict[int, GPUProcess] = {}
        processes = list(self._ask(nvml.nvmlDeviceGetComputeRunningProcesses, handle, gpu=gpu))
        for listing in (nvml.nvmlDeviceGetMPSComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            processes += self._ask_if_known(listing, handle) or ()
        for process in processes:
            found.setdefault(process.pid, GPUProcess(process.pid, process.usedGpuMemory))
        return tuple(found.values())

    def take_faults(self, gpu: GPU) -> tuple[str, ...]:
        """Return what has happened to a GPU since the last call and takes it out of use."""
        return self._take(gpu, is_fault=True)

    def take_notes(self, gpu: GPU) -> tuple[str, ...]:
        """Return what has happened on a GPU since the last call and is no fault of it."""
        return self._take(gpu, is_fault=False)

    def read_settings(self, gpu: GPU) -> GPUSettings:
        """Return how a GPU, or that of a slice, is set up."""
        nvml, handle = self._nvml, self._find_whole(gpu)
        mig = self._ask_if_known(nvml.nvmlDeviceGetMigMode, handle)
        ecc = self._ask_if_known(nvml.nvmlDeviceGetEccMode, handle)
        persistence = self._ask_if_known(nvml.nvmlDeviceGetPersistenceMode, handle)
        mode = self._ask_if_known(nvml.nvmlDeviceGetComputeMode, handle)
        rows = self._ask_if_known(nvml.nvmlDeviceGetRemappedRows, handle)
        return GPUSettings(
            mig=None if mig is None else bool(mig[0]),
            ecc=None if ecc is None else bool(ecc[0]),
            persistence=None if persistence is None else bool(persistence),
            compute_mode=None if mode is None else _COMPUTE_MODES.get(mode, str(mode)),
            rows_pending=None if rows is None else bool(rows[2]),
            rows_failing=None if rows is None else bool(rows[3]),
            recovery=self._read_recovery(handle),
        )

    def _read_recovery(self, handle: Any) -> str | None:
        nvml = self._nvml
        fields = self._ask_if_known(nvml.nvmlDeviceGetFieldValues, handle, [nvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])
        if fields is None or fields[0].nvmlReturn != nvml.NVML_SUCCESS:
            return None
        return _RECOVERIES.get(fields[0].value.uiVal, "a reset or a restart")

    def _list_all(self) -> Iterator[GPU | str]:
        nvml = self._nvml
        for index in range(self._ask(nvml.nvmlDeviceGetCount)):
            try:
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                name, minor = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetMinorNumber(handle)
                if not self._is_divided(handle):
                    memory = nvml.nvmlDeviceGetMemoryInfo(handle).total
                    yield GPU(nvml.nvmlDeviceGetUUID(handle), name, int(memory), index, minor)
                    continue
                slices = tuple(self._list_slices(handle, index, minor))
            except nvml.NVMLError as error:
                yield f"GPU {index}: {_explain(nvml, error)}"
                continue
            yield from slices
            if not slices:
                yield (
                    f"GPU {index} ({name}) is in MIG mode and has no slices: make some (nvidia-smi mig -lgip lists the "
                    "kinds, nvidia-smi mig -cgi KIND -C makes one), or leave MIG mode (nvidia-smi -mig 0)"
                )

    def _list_slices(self, handle: Any, index: int, minor: int) -> Iterator[GPU]:
        nvml = self._nvml
        for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            try:
                part = nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)
            except (nvml.NVMLError_NotFound, nvml.NVMLError_InvalidArgument):
                continue  # numbers have gaps
            yield GPU(
                uuid=nvml.nvmlDeviceGetUUID(part),
                name=nvml.nvmlDeviceGetName(part),
                memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(part).total),
                index=index,
                minor=minor,
                gpu_instance=nvml.nvmlDeviceGetGpuInstanceId(part),
                compute_instance=nvml.nvmlDeviceGetComputeInstanceId(part),
            )

    def _is_divided(self, handle: Any) -> bool:
        nvml = self._nvml
        with suppress(nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound):
            return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
        return False

    def _find(self, gpu: GPU) -> Any:
        return self._ask(self._nvml.nvmlDeviceGetHandleByUUID, gpu.uuid, gpu=gpu)

    def _find_whole(self, gpu: GPU) -> Any:
        handle = self._find(gpu)
        if not gpu.is_slice:
            return handle
        return self._ask(self._nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle, gpu=gpu)

    def _listen(self) -> Any:
        """Return a set of events with the faults of all GPUs, None if the driver has none."""
        nvml = self._nvml
        try:
            events = nvml.nvmlEventSetCreate()
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError:
            return None
        for index in range(count):
            with suppress(nvml.NVMLError):  # a GPU without such events, or one that does not answer
                nvml.nvmlDeviceRegisterEvents(
                    nvml.nvmlDeviceGetHandleByIndex(index), nvml.nvmlEventTypeXidCriticalError, events
                )
        return events

    def _take(self, gpu: GPU, is_fault: bool) -> tuple[str, ...]:
        self._collect()
        seen = self._taken.get((gpu.uuid, is_fault), 0)
        self._taken[gpu.uuid, is_fault] = self._count
        return tuple(
            describe_xid(xid)
            for number, index, xid in self._xids
            if number > seen and index == gpu.index and xid.is_fault == is_fault and xid.concerns(gpu)
        )

    def _collect(self) -> None:
        """Read the events that have come."""
        nvml = self._nvml
        for _ in range(_MOST_XIDS if self._events is not None else 0):
            try:
                event = nvml.nvmlEventSetWait(self._events, 0)
            except nvml.NVMLError:  # a timeout: there are no more; a GPU that is lost shows when it is asked itself
                return
            try:
                index = int(nvml.nvmlDeviceGetIndex(event.device))
            except nvml.NVMLError:
                continue  # the same
            self._count += 1
            self._xids.append(
                (self._count, index, Xid(int(event.eventData), event.gpuInstanceId, event.computeInstanceId))
            )

    def _ask(self, function: Callable[..., Any], *arguments: Any, gpu: GPU | None = None) -> Any:
        """Ask the driver, and say in plain words what it does not answer."""
        nvml = self._nvml
        try:
            return function(*arguments)
        except (nvml.NVMLError_NoPermission, nvml.NVMLError_LibRmVersionMismatch, nvml.NVMLError_NotSupported) as error:
            raise InputError(_explain(nvml, error)) from error
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError) as error:
            who = f"GPU {gpu.index} ({gpu.uuid})" if gpu else "the driver"
            raise DeviceFault(f"{who}: {_explain(nvml, error)}") from error

    def _ask_if_known(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Ask the driver; None if it does not know this of such a GPU."""
        nvml = self._nvml
        try:
            return function(*arguments)
        except (nvml.NVMLError_GpuIsLost, nvml.NVMLError_ResetRequired) as error:
            raise DeviceFault(_explain(nvml, error)) from error
        except (nvml.NVMLError, nvml.NVMLLibraryMismatchError):
            return None
