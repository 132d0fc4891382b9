"""What a process needs to use a GPU: its device files, and the driver's files and libraries.

The places are those of the driver's installers, the NVIDIA Container Toolkit and GKE. docs/gpu.md names the sources.
"""

from __future__ import annotations

import os
import platform
import resource
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.errors import InputError
from grader.gpu.device import GPU, DeviceAccess

__all__ = ["find_access", "find_library_folders"]

_CUDA = "libcuda.so.1"
_LIBRARIES = ("libcuda.so*", "libcudadebugger.so*", "libnvidia-*.so*")
# Folders that the linker searches by itself, of Debian and its children and of the others.
_SEARCHED = ("lib/{triplet}", "usr/lib/{triplet}"), ("lib64", "usr/lib64", "lib", "usr/lib")
# Where it finds nothing by itself: GKE, drivers in a folder of their own, in a container, and NixOS.
_ELSEWHERE = (
    *("usr/local/nvidia/lib64", "usr/local/nvidia/lib"),
    *("usr/lib/{triplet}/nvidia/current", "usr/lib64/nvidia", "usr/lib/nvidia", "usr/lib64"),
    *("opt/nvidia/lib64", "opt/nvidia/lib"),
    *("run/nvidia/driver/usr/lib/{triplet}", "run/nvidia/driver/usr/lib64"),
    "run/opengl-driver/lib",
)
# What CUDA reads of the machine: which processors and memory are near to which.
_MACHINE = ("sys/devices/system/cpu", "sys/devices/system/node", "sys/devices/system/memory/block_size_bytes")
_DRIVER = "proc/driver/nvidia"
_CONTAINER = "start a container with a GPU (docker run --gpus, or a GPU in the pod's limits)"


def find_access(gpu: GPU, root: Path = Path("/")) -> DeviceAccess:
    """Find what a process needs to use a GPU or a slice, and no other.

    Args:
        gpu: the GPU.
        root: the folder to look in; tests give a made-up one.

    Raises:
        InputError: a device file or the driver's library is missing or cannot be used. The message says what to do.
    """
    _require_address_space()
    nodes = tuple(_find_nodes(gpu, root))
    libraries, folders = _find_libraries(root)
    described = [path for path in _list_descriptions(gpu, root) if path.is_file()]
    machine = [root / name for name in _MACHINE if (root / name).exists()]
    return DeviceAccess(gpu.uuid, nodes, (*libraries, *described, *machine), folders)


def find_library_folders(gpus: Iterable[GPU]) -> tuple[Path, ...]:
    """Return the folders with the driver's libraries that a warm process for these GPUs has to search.

    Raises:
        InputError: `find_access` raises it.
    """
    return tuple(dict.fromkeys(folder for gpu in gpus for folder in find_access(gpu).library_folders))


def _require_address_space() -> None:
    """Make sure that addresses are not limited. CUDA reserves more of them than the machine has memory."""
    if resource.getrlimit(resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY:
        raise InputError("CUDA needs addresses without a limit: start the grader after `ulimit -v unlimited`")


def _find_nodes(gpu: GPU, root: Path) -> Iterator[Path]:
    remedy = f"run `nvidia-modprobe -u -c={gpu.minor}` on the host as root, and {_CONTAINER}"
    for name in (f"nvidia{gpu.minor}", "nvidiactl", "nvidia-uvm"):
        yield _require_node(root / "dev" / name, "rw", remedy)
    # CUDA opens it since driver 570, and older drivers may be without it.
    tools = root / "dev" / "nvidia-uvm-tools"
    if tools.exists():
        yield _require_node(tools, "rw", remedy)
    for path in _list_capabilities(gpu, root):
        number = _read_minor(path)
        remedy = f"run `nvidia-modprobe -f {path}` on the host as root, and start the container with this slice"
        yield _require_node(root / "dev" / "nvidia-caps" / f"nvidia-cap{number}", "r", remedy)


def _require_node(path: Path, access: str, remedy: str) -> Path:
    """Return the path of a device file.

    Args:
        path: the path.
        access: how the sandbox must be able to open it, "r" or "rw".
        remedy: what to do if it is missing.

    Raises:
        InputError: it is missing, no device file, or closed to the sandbox's user.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{path} is missing ({error.strerror}): {remedy}") from None
    if not stat.S_ISCHR(mode):
        raise InputError(f"{path} is no device file: remove it, and {remedy}")
    # Root gives each submission a user id of its own, which is in no group.
    needed = stat.S_IROTH | (stat.S_IWOTH if access == "rw" else 0)
    usable = mode & needed == needed if os.geteuid() == 0 else os.access(path, os.R_OK | (os.W_OK * ("w" in access)))
    if not usable:
        raise InputError(
            f"{path} is closed to the sandbox's user: let every user open it (`chmod a+{access} {path}`; for good, "
            "the option NVreg_DeviceFileMode=0666 of the kernel module nvidia)"
        )
    return path


def _list_capabilities(gpu: GPU, root: Path) -> list[Path]:
    """Return the driver's descriptions of a slice's GPU instance and compute instance."""
    if gpu.gpu_instance is None or gpu.compute_instance is None:
        return []
    instance = root / _DRIVER / f"capabilities/gpu{gpu.minor}/mig/gi{gpu.gpu_instance}"
    return [instance / "access", instance / f"ci{gpu.compute_instance}" / "access"]


def _read_minor(path: Path) -> int:
    """Return the number of a capability's device file.

    Raises:
        InputError: the driver does not tell.
    """
    try:
        lines = (line.partition(":") for line in path.read_text().splitlines())
        return int({name.strip(): value for name, _, value in lines}["DeviceFileMinor"])
    except (OSError, KeyError, ValueError):
        raise InputError(
            f"{path} does not tell the device file of this slice: list the slices with `nvidia-smi -L`, and start the "
            "container with one of them"
        ) from None


def _list_descriptions(gpu: GPU, root: Path) -> Iterator[Path]:
    """Yield the files in which the driver describes itself, the GPU and the slice, whether they exist or not."""
    driver = root / _DRIVER
    yield from (driver / name for name in ("params", "version", "registry"))
    for information in sorted(driver.glob("gpus/*/information")):
        if f"{gpu.minor}" in _read_field(information, "Device Minor"):
            yield from (information, information.with_name("registry"))
    yield from _list_capabilities(gpu, root)


def _read_field(path: Path, name: str) -> list[str]:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return [value.strip() for key, _, value in lines if key.strip() == name]


def _find_libraries(root: Path) -> tuple[list[Path], tuple[Path, ...]]:
    """Return the driver's libraries, and their folder if the linker does not search it by itself.

    Raises:
        InputError: there are none.
    """
    # As the linker does, look first where the administrator has told it to.
    told = [_below(root, path) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path.startswith("/")]
    searched = [*_read_configured(root / "etc" / "ld.so.conf", root), *_list_searched(root)]
    elsewhere = [root / _name(folder) for folder in _ELSEWHERE]
    for folder in (*told, *searched, *elsewhere):
        if (folder / _CUDA).exists():
            by_itself = folder in searched and folder not in told
            return list(_list_libraries(folder)), () if by_itself else (folder,)
    raise InputError(
        f"the driver's library {_CUDA} is in none of its usual folders: install the driver's libraries for CUDA, or "
        f"{_CONTAINER} and NVIDIA_DRIVER_CAPABILITIES=compute,utility"
    )


def _name(folder: str) -> str:
    return folder.format(triplet=f"{platform.machine()}-linux-gnu")


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _list_searched(root: Path) -> list[Path]:
    """Return the folders that the linker of this system searches by itself."""
    of_debian, of_others = ([root / _name(folder) for folder in folders] for folders in _SEARCHED)
    return of_debian if any(folder.is_dir() for folder in of_debian) else of_others


def _read_configured(path: Path, root: Path) -> Iterator[Path]:
    """Yield the folders that a configuration of the linker names, and those that it includes."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        words = line.partition("#")[0].split()
        if words[:1] == ["include"]:
            for pattern in words[1:]:
                folder = root if pattern.startswith("/") else path.parent
                for included in sorted(folder.glob(pattern.lstrip("/"))):
                    yield from _read_configured(included, root)
        else:
            yield from (_below(root, word) for word in words if word.startswith("/"))


def _list_libraries(folder: Path) -> Iterator[Path]:
    """Yield the driver's libraries in a folder, and the files outside that links among them lead to."""
    for path in sorted(path for pattern in _LIBRARIES for path in folder.glob(pattern)):
        yield path
        target = path
        while target.is_symlink():
            target = Path(os.path.normpath(target.parent / target.readlink()))
            if target.parent != folder:
                yield target
