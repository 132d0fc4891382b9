"""What grader/gpu/nvml.py relies on in nvidia-ml-py (the module pynvml)."""

from __future__ import annotations

import re

import pytest

from tests.support.library_contracts import Library
from tests.support.paths import ROOT
from tests.support.stand_in_nvml import FUNCTIONS

NVML = Library("nvidia-ml-py")

_ERRORS = {
    "CorruptedInforom": 14,
    "DriverNotLoaded": 9,
    "FunctionNotFound": 13,
    "GpuIsLost": 15,
    "InsufficientPower": 8,
    "InvalidArgument": 2,
    "IrqIssue": 11,
    "LibRmVersionMismatch": 18,
    "LibraryNotFound": 12,
    "NoPermission": 4,
    "NotFound": 6,
    "NotSupported": 3,
    "ResetRequired": 16,
    "Unknown": 999,
}
_CONSTANTS = {
    "NVML_SUCCESS": 0,
    "NVML_COMPUTEMODE_DEFAULT": 0,
    "NVML_COMPUTEMODE_PROHIBITED": 2,
    "NVML_COMPUTEMODE_EXCLUSIVE_PROCESS": 3,
    "NVML_GPU_RECOVERY_ACTION_NONE": 0,
    "NVML_GPU_RECOVERY_ACTION_GPU_RESET": 1,
    "NVML_GPU_RECOVERY_ACTION_NODE_REBOOT": 2,
    "NVML_GPU_RECOVERY_ACTION_DRAIN_P2P": 3,
    "NVML_GPU_RECOVERY_ACTION_RECOVER_IMEX_DOMAIN": 5,
    "NVML_GPU_RECOVERY_ACTION_SYSTEM_REBOOT": 7,
    "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION": 230,
    "nvmlEventTypeXidCriticalError": 8,
}


@pytest.mark.parametrize(("name", "parameters"), FUNCTIONS.items())
def test_a_function_is_there_with_its_parameters(name: str, parameters: str) -> None:
    NVML.check_parameters(f"pynvml:{name}", parameters)


@pytest.mark.parametrize(("name", "code"), _ERRORS.items())
def test_an_error_has_a_class_of_its_own(name: str, code: int) -> None:
    error = NVML.find("pynvml:NVMLError")(code)
    NVML.check(type(error) is NVML.find(f"pynvml:NVMLError_{name}"), f"error {code} is a NVMLError_{name}")


@pytest.mark.parametrize(("name", "value"), _CONSTANTS.items())
def test_a_constant_has_its_value(name: str, value: int) -> None:
    NVML.check(NVML.find(f"pynvml:{name}") == value, f"{name} is {value}")


@pytest.mark.parametrize(
    ("structure", "names"),
    [
        ("c_nvmlMemory_t", "total used"),
        ("c_nvmlProcessInfo_v3_t", "pid usedGpuMemory"),
        ("c_nvmlEventData_t", "device eventType eventData gpuInstanceId computeInstanceId"),
        ("c_nvmlFieldValue_t", "nvmlReturn value"),
        ("c_nvmlValue_t", "uiVal"),
    ],
)
def test_a_structure_has_its_fields(structure: str, names: str) -> None:
    fields = {name for name, _ in NVML.find(f"pynvml:{structure}")._fields_}
    NVML.check(set(names.split()) <= fields, f"{structure} has {names}")


def test_the_list_of_functions_is_the_one_that_is_used() -> None:
    used = set(re.findall(r"nvml\.(nvml[A-Z]\w+)", (ROOT / "grader/gpu/nvml.py").read_text()))
    assert used - {"nvmlEventTypeXidCriticalError"} == FUNCTIONS.keys()


def test_no_other_module_imports_it() -> None:
    importers = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "grader").rglob("*.py")
        if re.search(r"^\s*(import|from) pynvml", path.read_text(), re.MULTILINE)
    }
    assert importers == {"grader/gpu/nvml.py"}
