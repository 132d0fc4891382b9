"""What this machine is: kernel, packages, driver, torch's view of the GPU."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.gpu.machine import find_driver, open_machine, prepare_torch
from benchmarks.gpu.rows import CheckRow, RowOutcome, attempt
from benchmarks.gpu.settings import CheckSettings

__all__ = ["run"]

_PACKAGES = (
    *("torch", "torchvision", "numpy", "ipykernel", "ipython", "jupyter_client", "nbclient", "nbformat", "pyzmq"),
    *("pyseccomp", "d2l", "matplotlib", "pandas", "hypothesis", "pytest", "typer", "nvidia-ml-py", "tomlkit"),
)
_NAMESPACES = ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup")
_SECONDS = 10


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Say what the machine is."""
    yield attempt("machine", _describe_machine)
    yield attempt("packages", _describe_packages)
    yield attempt("namespaces", _describe_namespaces)
    yield attempt("control groups", _describe_control_groups)
    yield attempt("driver", partial(_describe_driver, settings))
    # The first use of CUDA by root makes device files that are missing.
    yield attempt("torch", partial(_describe_torch, settings))
    yield attempt("matrix product", partial(_multiply, settings))
    yield attempt("device files", _describe_files)
    yield attempt("access", partial(_describe_access, settings))


def _describe_machine() -> CheckRow:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    mounts = shutil.disk_usage("/var/tmp").free / 2**30
    data = {"version": Path("/proc/version").read_text().strip(), "command line": _read("/proc/cmdline")}
    python = f"Python {platform.python_version()} ({sys.prefix}, {sys.base_prefix})"
    text = f"{platform.system()} {platform.release()}, {python}, user {os.geteuid()}"
    return CheckRow("", detail=f"{text}, {cores} cores, {memory:.0f} GiB, {mounts:.0f} GiB free on disk", data=data)


def _describe_packages() -> CheckRow:
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    missing = [name for name, number in found.items() if not number]
    if missing:
        return CheckRow("", RowOutcome.WRONG, f"missing: {', '.join(missing)}", data=found)
    return CheckRow("", detail=f"torch {found['torch']}, torchvision {found['torchvision']}, none missing", data=found)


def _describe_namespaces() -> CheckRow:
    names = {name: Path("/proc/self/ns", name).exists() for name in _NAMESPACES}
    missing = [name for name, there in names.items() if not there]
    tried = _run_command(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--fork", "true"])
    root = _run_command(["unshare", "--mount", "--pid", "--net", "--fork", "true"])
    detail = f"missing: {', '.join(missing) or 'none'}; made as root: {root}; with a user namespace: {tried}"
    return CheckRow("", detail=detail, data={"lsm": _read("/sys/kernel/security/lsm")})


def _describe_control_groups() -> CheckRow:
    second = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    data = {"own": _read("/proc/self/cgroup"), "mounts": [line for line in _lines("/proc/mounts") if "cgroup" in line]}
    kinds = _read("/sys/fs/cgroup/cgroup.controllers") if second else ", ".join(_list("/sys/fs/cgroup"))
    return CheckRow("", detail=f"version {2 if second else 1}: {kinds or 'none'}", data=data)


def _describe_files() -> CheckRow:
    paths = sorted([*Path("/dev").glob("nvidia*"), *Path("/dev/nvidia-caps").glob("*")])
    data = {
        "nodes": {str(path): f"{path.stat().st_rdev:#x} {path.stat().st_mode:o}" for path in paths},
        "/proc/driver/nvidia": sorted(map(str, Path("/proc/driver/nvidia").rglob("*")))[:100],
        "/usr/local/nvidia": sorted(map(str, Path("/usr/local/nvidia").rglob("*")))[:300],
        "mounts": [line for line in _lines("/proc/mounts") if "nvidia" in line],
        "devices": [line for line in _lines("/proc/devices") if "nvidia" in line],
    }
    return CheckRow("", detail=", ".join(map(str, paths)) or "none", data=data)


def _describe_driver(settings: CheckSettings) -> CheckRow:
    driver = find_driver(settings)
    gpus = driver.list_gpus()
    kinds = "; ".join(f"{gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB" for gpu in gpus)
    data = {
        "gpus": [asdict(gpu) for gpu in gpus],
        "problems": list(driver.list_problems()),
        "settings": [asdict(driver.read_settings(gpu)) for gpu in gpus],
        "processes": [[asdict(process) for process in driver.list_processes(gpu)] for gpu in gpus],
    }
    cuda = ".".join(map(str, driver.cuda_version))
    return CheckRow("", detail=f"{driver.version}, CUDA {cuda}: {kinds or 'no GPU'}", data=data)


def _describe_access(settings: CheckSettings) -> CheckRow:
    access = open_machine(settings).access
    if access is None:
        return CheckRow("", detail="none, as the sandbox takes none yet")
    data = {name: [str(path) for path in getattr(access, name)] for name in ("nodes", "files", "library_folders")}
    return CheckRow("", detail=f"{len(access.nodes)} device files, {len(access.files)} files of the driver", data=data)


def _describe_torch(settings: CheckSettings) -> CheckRow:
    import torch

    device = prepare_torch(settings)
    text = f"{torch.__version__}, CUDA {torch.version.cuda}"
    data = {"config": torch.__config__.show(), "capability": torch.backends.cpu.get_cpu_capability()}
    if device.type != "cuda":
        return CheckRow("", detail=f"{text}, on {device}", data=data)
    found = torch.cuda.get_device_properties(device)
    data["architectures"] = " ".join(torch.cuda.get_arch_list())
    cudnn = torch.backends.cudnn.version()
    return CheckRow("", detail=f"{text}, cuDNN {cudnn}, {found.name} {found.major}.{found.minor}", data=data)


def _multiply(settings: CheckSettings) -> CheckRow:
    import torch

    device = prepare_torch(settings)
    size = 64 if settings.rehearse else 8192
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    found = []
    for _ in range(8):
        started = time.perf_counter()
        float((a @ b)[0, 0])  # waits for the device
        found.append(time.perf_counter() - started)
    best = min(found[3:])
    return CheckRow("", detail=f"{2 * size**3 / best / 1e12:.1f} Tflop/s in bf16 at {size}", data={"seconds": found})


def _run_command(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "yes" if done.returncode == 0 else f"no ({done.stderr.strip()[:100]})"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        return f"({error.strerror})"


def _lines(path: str) -> list[str]:
    return _read(path).splitlines()


def _list(path: str) -> list[str]:
    try:
        return sorted(entry.name for entry in Path(path).iterdir() if entry.is_dir())
    except OSError:
        return []
