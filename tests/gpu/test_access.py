"""What a process needs for one GPU is found wherever a machine or a container has it, and nothing of another GPU."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.gpu.access import find_access
from grader.gpu.device import GPU

TRIPLET = f"{platform.machine()}-linux-gnu"
WHOLE = GPU("GPU-1", "made up", 2**34, index=1, minor=1)
SLICE = GPU("MIG-1", "made up", 2**32, index=1, minor=1, gpu_instance=7, compute_instance=0)
MIG = "proc/driver/nvidia/capabilities/gpu1/mig"
FOR_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make device files")


@pytest.fixture(autouse=True)
def _no_library_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)


def write(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A made-up machine with two GPUs, whose device files are links to a harmless one, and no library of the driver."""
    (tmp_path / "dev" / "nvidia-caps").mkdir(parents=True)
    numbered = ("nvidia0", "nvidia1", *(f"nvidia-caps/nvidia-cap{number}" for number in (1, 2, 30, 31, 40)))
    for name in (*numbered, "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset"):
        (tmp_path / "dev" / name).symlink_to("/dev/null")
    for name in ("params", "version"):
        write(tmp_path, f"proc/driver/nvidia/{name}", "text\n")
    for minor in (0, 1):
        write(
            tmp_path, f"proc/driver/nvidia/gpus/0000:0{minor}:00.0/information", f"Model: a\nDevice Minor: \t {minor}\n"
        )
    for folder, number in (("gi7", 30), ("gi7/ci0", 31), ("gi8", 40)):
        write(tmp_path, f"{MIG}/{folder}/access", f"DeviceFileMinor: {number}\nDeviceFileMode: 292\n")
    write(tmp_path, "sys/devices/system/node/node0/cpumap")
    return tmp_path


def name_all(root: Path, paths: tuple[Path, ...]) -> set[str]:
    return {str(path.relative_to(root)) for path in paths}


@pytest.fixture
def debian(machine: Path) -> Path:
    """A machine of Debian's kind with the driver's libraries."""
    for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.570.1", "libc.so.6"):
        write(machine, f"usr/lib/{TRIPLET}/{name}")
    return machine


def test_a_gpu_has_its_own_device_file_and_those_that_all_share(debian: Path) -> None:
    access = find_access(WHOLE, debian)
    assert access.uuid == "GPU-1"
    assert name_all(debian, access.nodes) == {
        *("dev/nvidia1", "dev/nvidiactl", "dev/nvidia-uvm", "dev/nvidia-uvm-tools")
    }


def test_a_slice_has_its_own_capabilities_and_no_others(debian: Path) -> None:
    access = find_access(SLICE, debian)
    capabilities = {path.name for path in access.nodes if path.parent.name == "nvidia-caps"}
    assert capabilities == {"nvidia-cap30", "nvidia-cap31"}
    assert {name for name in name_all(debian, access.files) if "mig" in name} == {
        *(f"{MIG}/gi7/access", f"{MIG}/gi7/ci0/access")
    }


def test_the_driver_describes_itself_and_that_gpu_only(debian: Path) -> None:
    described = {name for name in name_all(debian, find_access(WHOLE, debian).files) if name.startswith("proc")}
    of_gpu = "proc/driver/nvidia/gpus/0000:01:00.0/information"
    assert described == {"proc/driver/nvidia/params", "proc/driver/nvidia/version", of_gpu}


def test_the_libraries_are_the_drivers_and_the_linker_needs_no_help(debian: Path) -> None:
    access = find_access(WHOLE, debian)
    libraries = {path.name for path in access.files if path.parent.name == TRIPLET}
    assert libraries == {"libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.570.1"}
    assert access.library_folders == ()


def test_the_layout_of_the_machines_memory_is_readable(debian: Path) -> None:
    assert debian / "sys/devices/system/node" in find_access(WHOLE, debian).files


@pytest.mark.parametrize("folder", ["usr/local/nvidia/lib64", "opt/nvidia/lib64", "run/nvidia/driver/usr/lib64"])
def test_a_folder_that_the_linker_does_not_search_is_named(machine: Path, folder: str) -> None:
    library = write(machine, f"{folder}/libcuda.so.1")
    access = find_access(WHOLE, machine)
    assert access.library_folders == (machine / folder,)
    assert library in access.files


def test_a_folder_that_the_linker_is_configured_with_needs_no_help(machine: Path) -> None:
    write(machine, "etc/ld.so.conf", "include /etc/ld.so.conf.d/*.conf # all of them\ninclude more.conf\n")
    write(machine, "etc/ld.so.conf.d/nvidia.conf", "/srv/nvidia/lib\n")
    library = write(machine, "srv/nvidia/lib/libcuda.so.1")
    access = find_access(WHOLE, machine)
    assert access.library_folders == ()
    assert library in access.files


def test_what_the_administrator_has_told_the_linker_comes_first(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(debian, "home/driver/libcuda.so.1")
    monkeypatch.setenv("LD_LIBRARY_PATH", ":relative:/home/empty:/home/driver")
    assert find_access(WHOLE, debian).library_folders == (debian / "home/driver",)


def test_a_link_out_of_the_folder_brings_all_that_it_leads_to(machine: Path) -> None:
    target = write(machine, "nix/store/libcuda.so.570.1")
    between = target.with_name("libcuda.so.1")
    between.symlink_to(target.name)
    (machine / "run/opengl-driver/lib").mkdir(parents=True)
    (machine / "run/opengl-driver/lib/libcuda.so.1").symlink_to(between)
    assert {target, between} <= set(find_access(WHOLE, machine).files)


@pytest.mark.parametrize("name", ["nvidia1", "nvidiactl", "nvidia-uvm"])
def test_a_missing_device_file_says_what_to_do(debian: Path, name: str) -> None:
    (debian / "dev" / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing.*nvidia-modprobe -u -c=1.*docker run --gpus"):
        find_access(WHOLE, debian)


def test_an_older_driver_has_no_device_file_for_tools(debian: Path) -> None:
    (debian / "dev" / "nvidia-uvm-tools").unlink()
    assert len(find_access(WHOLE, debian).nodes) == 3


def test_a_file_in_the_place_of_a_device_is_refused(debian: Path) -> None:
    (debian / "dev" / "nvidia1").unlink()
    write(debian, "dev/nvidia1")
    with pytest.raises(InputError, match="is no device file"):
        find_access(WHOLE, debian)


@FOR_ROOT
def test_a_device_file_that_is_closed_to_others_says_what_to_do(debian: Path) -> None:
    node = debian / "dev" / "nvidia1"
    node.unlink()
    os.mknod(node, 0o020660, os.makedev(1, 3))
    with pytest.raises(InputError, match=r"chmod a\+rw.*NVreg_DeviceFileMode=0666"):
        find_access(WHOLE, debian)


@pytest.mark.parametrize("text", [None, "", "DeviceFileMinor: none\n"])
def test_a_slice_that_is_gone_says_what_to_do(debian: Path, text: str | None) -> None:
    path = debian / MIG / "gi7" / "access"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(InputError, match="nvidia-smi -L"):
        find_access(SLICE, debian)


def test_a_driver_without_libraries_says_what_to_do(machine: Path) -> None:
    with pytest.raises(InputError, match="NVIDIA_DRIVER_CAPABILITIES=compute,utility"):
        find_access(WHOLE, machine)


def test_a_limit_on_addresses_says_what_to_do(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2**36, 2**36))
    with pytest.raises(InputError, match="ulimit -v unlimited"):
        find_access(WHOLE, debian)
