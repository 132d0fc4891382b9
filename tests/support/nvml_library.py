"""A stand-in for the driver's own library, libnvidia-ml.so.1, compiled from C: pynvml itself asks it."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["COMPILER", "build_library"]

COMPILER = "cc"

# One GPU with a slice and, unless it is healthy, a fault. Structures are those of nvml.h, as pynvml has them.
_SOURCE = r"""
#include <stdint.h>
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_t;
typedef struct { void *device; unsigned long long type, data; unsigned gi, ci; } event_t;
typedef struct {
    uint32_t id, scope; int64_t stamp, latency; unsigned type, status;
    union { double d; unsigned u; unsigned long long l; } value;
} field_t;
enum { SUCCESS, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10 };
static int whole, part, reported;
#define WHOLE ((void *)&whole)
#define PART ((void *)&part)
int nvmlInitWithFlags(unsigned flags) { return INIT; }
int nvmlSystemGetDriverVersion(char *text, unsigned n) { strncpy(text, "580.95.05", n); return SUCCESS; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { *device = WHOLE; return SUCCESS; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = !strcmp(uuid, "GPU-w") ? WHOLE : PART;
    return strcmp(uuid, "GPU-w") && strcmp(uuid, "MIG-p") ? NOT_FOUND : SUCCESS;
}
int nvmlDeviceGetIndex(void *device, unsigned *i) { *i = 0; return device == WHOLE ? SUCCESS : NOT_SUPPORTED; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned n) {
    strncpy(text, device == WHOLE ? "GPU-w" : "MIG-p", n);
    return SUCCESS;
}
int nvmlDeviceGetName(void *device, char *text, unsigned n) { strncpy(text, "NVIDIA stand-in", n); return SUCCESS; }
int nvmlDeviceGetMinorNumber(void *device, unsigned *minor) { *minor = 5; return SUCCESS; }
int nvmlDeviceGetMemoryInfo(void *device, memory_t *memory) {
    memory_t found = {1ull << 36, (1ull << 36) - 4096, 4096};
    *memory = found;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *next) { *now = *next = 1; return SUCCESS; }
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *n) { *n = 7; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned i, void **found) {
    *found = PART;
    return i == 2 ? SUCCESS : NOT_FOUND;
}
int nvmlDeviceGetDeviceHandleFromMigDeviceHandle(void *device, void **found) { *found = WHOLE; return SUCCESS; }
int nvmlDeviceGetGpuInstanceId(void *device, unsigned *id) { *id = 9; return SUCCESS; }
int nvmlDeviceGetComputeInstanceId(void *device, unsigned *id) { *id = 1; return SUCCESS; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, process_t *found) {
    process_t ours = {17, 2048, 9, 1};
    if (!found) { *n = 1; return INSUFFICIENT_SIZE; }
    *n = 1;
    found[0] = ours;
    return SUCCESS;
}
int nvmlDeviceGetMPSComputeRunningProcesses_v3(void *device, unsigned *n, process_t *found) { *n = 0; return SUCCESS; }
int nvmlDeviceGetEccMode(void *device, unsigned *now, unsigned *next) { *now = *next = 1; return SUCCESS; }
int nvmlDeviceGetPersistenceMode(void *device, unsigned *mode) { return NOT_SUPPORTED; }
int nvmlDeviceGetComputeMode(void *device, unsigned *mode) { *mode = HEALTHY ? 0 : 3; return SUCCESS; }
int nvmlDeviceGetFieldValues(void *device, int n, field_t *fields) {
    fields[0].status = fields[0].id == 230 ? SUCCESS : NOT_SUPPORTED;
    fields[0].value.u = HEALTHY ? 0 : 2;
    return SUCCESS;
}
int nvmlEventSetCreate(void **events) { *events = &reported; return SUCCESS; }
int nvmlDeviceRegisterEvents(void *device, unsigned long long types, void *events) {
    reported = device == WHOLE && types == 8 && !HEALTHY;
    return SUCCESS;
}
int nvmlEventSetWait_v2(void *events, event_t *event, unsigned milliseconds) {
    event_t fault = {WHOLE, 8, 79, 9, 1};
    if (!reported) return TIMEOUT;
    reported = 0;
    *event = fault;
    return SUCCESS;
}
"""


def build_library(folder: Path, init: int = 0, *, healthy: bool = False) -> Path:
    """Compile the library into a folder, and return the folder.

    Args:
        folder: the folder.
        init: what initialising it returns: 0, or an error of NVML.
        healthy: whether the GPU has neither a fault nor a setting that forbids grading.
    """
    source = folder / "nvml.c"
    source.write_text(f"#define INIT {init}\n#define HEALTHY {int(healthy)}\n{_SOURCE}")
    library = folder / "libnvidia-ml.so.1"
    command = [COMPILER, "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(library), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return folder
