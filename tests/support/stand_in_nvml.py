"""A stand-in for the module pynvml: the same functions, errors and constants, about GPUs that a test describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pynvml

__all__ = ["EVERY_SLICE", "FUNCTIONS", "StandInGPU", "StandInNVML", "raise_error"]

EVERY_SLICE = 0xFFFFFFFF

# Each function that grader/gpu/nvml.py uses, with its parameters.
FUNCTIONS = {
    "nvmlInit": "",
    "nvmlSystemGetDriverVersion": "",
    "nvmlSystemGetCudaDriverVersion_v2": "",
    "nvmlDeviceGetCount": "",
    "nvmlDeviceGetHandleByIndex": "index",
    "nvmlDeviceGetHandleByUUID": "uuid",
    "nvmlDeviceGetIndex": "handle",
    "nvmlDeviceGetUUID": "handle",
    "nvmlDeviceGetName": "handle",
    "nvmlDeviceGetMinorNumber": "handle",
    "nvmlDeviceGetMemoryInfo": "handle version",
    "nvmlDeviceGetMigMode": "device",
    "nvmlDeviceGetMaxMigDeviceCount": "device",
    "nvmlDeviceGetMigDeviceHandleByIndex": "device index",
    "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": "migDevice",
    "nvmlDeviceGetGpuInstanceId": "device",
    "nvmlDeviceGetComputeInstanceId": "device",
    "nvmlDeviceGetComputeRunningProcesses": "handle",
    "nvmlDeviceGetMPSComputeRunningProcesses": "handle",
    "nvmlDeviceGetGraphicsRunningProcesses": "handle",
    "nvmlDeviceGetEccMode": "handle",
    "nvmlDeviceGetPersistenceMode": "handle",
    "nvmlDeviceGetComputeMode": "handle",
    "nvmlDeviceGetRemappedRows": "device",
    "nvmlDeviceGetFieldValues": "handle fieldIds",
    "nvmlEventSetCreate": "",
    "nvmlDeviceRegisterEvents": "handle eventTypes eventSet",
    "nvmlEventSetWait": "eventSet timeoutms",
}


@dataclass(eq=False)
class StandInGPU:
    """A GPU or slice; it is its own handle.

    Attributes:
        uuid: its UUID.
        name: its name.
        total: its memory in bytes.
        used: how much of it is in use.
        minor: the number of its device file.
        instances: GPU instance and compute instance of a slice.
        slices: the slices of a GPU in MIG mode, None in a gap of their numbers; None if it is not in MIG mode.
        processes: the numbers of its processes and the bytes of each.
        recovery: the driver's number for what it asks for.
        failing: whether its memory cannot be repaired any more.
        errors: the errors that functions raise for it, by their names; "" for all.
    """

    uuid: str
    name: str = "NVIDIA H200"
    total: int = 140 * 2**30
    used: int = 0
    minor: int = 0
    instances: tuple[int, int] = (0, 0)
    slices: list[StandInGPU | None] | None = None
    processes: list[tuple[int, int | None]] = field(default_factory=list)
    recovery: int = 0
    failing: bool = False
    errors: dict[str, int] = field(default_factory=dict)


def raise_error(code: int) -> Callable[..., Any]:
    """Return a function that raises an error of NVML."""

    def fail(*_: Any) -> Any:
        raise pynvml.NVMLError(code)

    return fail


class StandInNVML:
    """The module. Errors and constants are pynvml's own; a function that is not in `FUNCTIONS` does not exist.

    Args:
        gpus: the GPUs, in the order of their numbers.
        functions: functions to replace, by their names.
    """

    def __init__(self, *gpus: StandInGPU, **functions: Callable[..., Any]) -> None:
        self.gpus: list[StandInGPU] = list(gpus)
        self.events: list[Any] = []
        self.registered: list[StandInGPU] = []
        self._functions = self._make_functions() | functions
        unknown = self._functions.keys() ^ FUNCTIONS.keys()
        assert not unknown, unknown

    def __getattr__(self, name: str) -> Any:
        if name in FUNCTIONS:
            return self._call(name, self._functions[name])
        assert not (name.startswith("nvml") and callable(getattr(pynvml, name))), f"{name} is not in FUNCTIONS"
        return getattr(pynvml, name)

    def report(self, gpu: StandInGPU, xid: int, instances: tuple[int, int] = (EVERY_SLICE, EVERY_SLICE)) -> None:
        """Report an Xid, if the driver was asked to tell of this GPU's."""
        if gpu in self.registered:
            self.events.append(
                SimpleNamespace(
                    device=gpu,
                    eventType=pynvml.nvmlEventTypeXidCriticalError,
                    eventData=xid,
                    gpuInstanceId=instances[0],
                    computeInstanceId=instances[1],
                )
            )

    def _call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            errors = getattr(arguments[0], "errors", {}) if arguments else {}
            if code := errors.get(name) or errors.get(""):
                raise pynvml.NVMLError(code)
            return function(*arguments)

        return call

    def _make_functions(self) -> dict[str, Callable[..., Any]]:
        return {
            "nvmlInit": lambda: None,
            "nvmlSystemGetDriverVersion": lambda: "580.95.05",
            "nvmlSystemGetCudaDriverVersion_v2": lambda: 13010,
            "nvmlDeviceGetCount": lambda: len(self.gpus),
            "nvmlDeviceGetHandleByIndex": self._find_by_index,
            "nvmlDeviceGetHandleByUUID": self._find_by_uuid,
            "nvmlDeviceGetIndex": self.gpus.index,
            "nvmlDeviceGetUUID": lambda gpu: gpu.uuid,
            "nvmlDeviceGetName": lambda gpu: gpu.name,
            "nvmlDeviceGetMinorNumber": lambda gpu: gpu.minor,
            "nvmlDeviceGetMemoryInfo": lambda gpu: SimpleNamespace(total=gpu.total, used=gpu.used),
            "nvmlDeviceGetMigMode": lambda gpu: [int(gpu.slices is not None)] * 2,
            "nvmlDeviceGetMaxMigDeviceCount": lambda gpu: len(gpu.slices),
            "nvmlDeviceGetMigDeviceHandleByIndex": self._find_slice,
            "nvmlDeviceGetDeviceHandleFromMigDeviceHandle": self._find_whole,
            "nvmlDeviceGetGpuInstanceId": lambda gpu: gpu.instances[0],
            "nvmlDeviceGetComputeInstanceId": lambda gpu: gpu.instances[1],
            "nvmlDeviceGetComputeRunningProcesses": lambda gpu: [
                SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in gpu.processes
            ],
            "nvmlDeviceGetMPSComputeRunningProcesses": lambda gpu: [],
            "nvmlDeviceGetGraphicsRunningProcesses": lambda gpu: [],
            "nvmlDeviceGetEccMode": lambda gpu: [1, 1],
            "nvmlDeviceGetPersistenceMode": lambda gpu: 0,
            "nvmlDeviceGetComputeMode": lambda gpu: 0,
            "nvmlDeviceGetRemappedRows": lambda gpu: (0, 0, 0, int(gpu.failing)),
            "nvmlDeviceGetFieldValues": lambda gpu, fields: [
                SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=gpu.recovery)) for _ in fields
            ],
            "nvmlEventSetCreate": lambda: self.events,
            "nvmlDeviceRegisterEvents": lambda gpu, kinds, events: self.registered.append(gpu),
            "nvmlEventSetWait": self._wait,
        }

    def _find_by_index(self, index: int) -> StandInGPU:
        gpu: StandInGPU = self.gpus[index]
        if code := gpu.errors.get("nvmlDeviceGetHandleByIndex"):
            raise pynvml.NVMLError(code)
        return gpu

    def _find_by_uuid(self, uuid: str) -> StandInGPU:
        parts = [part for gpu in self.gpus for part in gpu.slices or [] if part]
        for gpu in self.gpus + parts:
            if gpu.uuid == uuid:
                if code := gpu.errors.get(""):
                    raise pynvml.NVMLError(code)
                return gpu
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def _find_slice(self, gpu: StandInGPU, number: int) -> StandInGPU:
        found = (gpu.slices or [])[number]
        if found is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return found

    def _find_whole(self, part: StandInGPU) -> StandInGPU:
        return next(gpu for gpu in self.gpus if part in (gpu.slices or ()))

    def _wait(self, events: list[Any], milliseconds: int) -> Any:
        assert milliseconds == 0
        if not events:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        return events.pop(0)
