"""A sandbox is told of its own device only, CUDA can start in it, and what it may use suits CUDA."""

from __future__ import annotations

import resource
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from grader.gpu.device import DeviceAccess
from grader.sandbox.host.sandbox import Zygote
from grader.sandbox.jail.device_passing import DESCRIPTIONS, pack_access, read_descriptions, unpack_access
from grader.sandbox.jail.file_view import FileView
from tests.support.device_files import grant
from tests.support.sandbox_runs import LIMITS, ran

# Names a second thread, in the way that CUDA does. 0 stands for success.
NAME_A_THREAD = """
import ctypes, threading
ended = threading.Event()
thread = threading.Thread(target=ended.wait, daemon=True)
thread.start()
error = ctypes.CDLL(None).pthread_setname_np(ctypes.c_ulong(thread.ident), b"cuda-EvtHandlr")
name = open(f"/proc/self/task/{thread.native_id}/comm").read().strip()
ended.set()
thread.join()
def f(): return error, name
"""
OVERSIGHT = "/proc/self/oom_score_adj"


@pytest.fixture(scope="module")
def bare() -> Iterator[Zygote]:
    """A warm process without the course's packages, which is quick to start."""
    with Zygote((), library_folders=(Path("/opt/nvidia/lib64"), Path("/opt/more"))) as warm:
        yield warm


def test_an_access_crosses_to_the_warm_process_as_it_is() -> None:
    access = DeviceAccess("MIG-1", (Path("/dev/nvidia0"),), (Path("/usr/lib/libcuda.so.1"),), (Path("/opt/lib"),))
    assert unpack_access(pack_access(access)) == access
    assert unpack_access(pack_access(None)) is None


@pytest.mark.parametrize("name", ["ModifyDeviceFiles", "DeviceFileModify"])
def test_the_driver_says_that_device_files_are_made_by_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"DeviceFileMode: 438\n{name}: 1\nMore: 1\n")
    path = DESCRIPTIONS / "params"
    texts = read_descriptions(grant(files=(path, Path("/usr/lib/libcuda.so.1"))))
    assert texts == {DESCRIPTIONS: {path: f"DeviceFileMode: 438\n{name}: 0\nMore: 1\n"}}


def test_without_a_device_nothing_of_the_driver_is_told() -> None:
    assert read_descriptions(None) == {DESCRIPTIONS: {}}


def test_a_folder_of_proc_shows_what_was_given_of_it_and_nothing_else(bare: Zygote) -> None:
    """The kernel's settings stand for the driver's descriptions, which this machine may be without."""
    given = Path("/proc/sys/kernel/ostype"), Path("/proc/sys/kernel/random/boot_id")
    cell = """
import os
try:
    open("/proc/sys/kernel/ostype", "w")
    written = 1
except OSError:
    written = 0
def f(): return sorted(os.listdir("/proc/sys/kernel")), open("/proc/sys/kernel/ostype").read().strip(), written
"""
    with ran(bare, cell, device=grant(files=given)) as made:
        assert made.call("f") == (("ostype", "random"), "Linux", 0)
    with ran(bare, cell) as made:
        assert len(made.call("f")[0]) > 2


def test_files_of_the_driver_can_be_read_wherever_they_are_and_nothing_beside_them(bare: Zygote) -> None:
    # Not in /tmp, where every sandbox has files of its own.
    with tempfile.TemporaryDirectory(prefix="grader-driver-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "libcuda.so.570").write_text("library")
        link = folder / "libcuda.so.1"
        link.symlink_to("libcuda.so.570")
        other = folder / "other"
        other.write_text("secret")
        cell = f"""
import os
def f(): return open({str(link)!r}).read(), int(os.path.exists({str(other)!r})), os.environ["LD_LIBRARY_PATH"]
"""
        with ran(bare, cell, device=grant(files=(link, link.resolve()))) as made:
            assert made.call("f") == ("library", 0, "/opt/nvidia/lib64:/opt/more")


def test_what_is_readable_already_is_bound_once() -> None:
    access = grant(files=(Path("/usr/lib/libcuda.so.1"), Path("/opt/lib/libcuda.so.1"), Path("/proc/driver/nvidia/x")))
    assert FileView((), readable=(Path("/usr"),), device=access).bound == (
        *(Path("/usr"), Path("/opt/lib/libcuda.so.1")),
    )


def test_a_kernel_with_a_device_names_its_threads_and_writes_nothing_else_of_proc(bare: Zygote) -> None:
    cell = f"""
import os
try:
    os.close(os.open({OVERSIGHT!r}, os.O_WRONLY))
    written = 1
except OSError:
    written = 0
def g(): return written
"""
    with ran(bare, NAME_A_THREAD, cell, names=("f", "g"), device=grant()) as made:
        assert made.call("f") == (0, "cuda-EvtHandlr")
        assert made.call("g") == 0
    with ran(bare, NAME_A_THREAD) as made:
        assert made.call("f")[0] != 0


@contextmanager
def short_of_memory() -> Iterator[None]:
    """Let Linux forget folders of /proc that are not open, as often as it can."""
    ended = threading.Event()

    def forget() -> None:
        while not ended.wait(0.2):
            Path("/proc/sys/vm/drop_caches").write_text("2")

    try:
        Path("/proc/sys/vm/drop_caches").write_text("2")
    except OSError as error:
        pytest.skip(f"nothing can be forgotten here: {error.strerror}")
    thread = threading.Thread(target=forget)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.slow
def test_threads_are_named_also_when_memory_was_short(bare: Zygote) -> None:
    with short_of_memory(), ran(bare, "import time; time.sleep(2)", NAME_A_THREAD, device=grant()) as made:
        assert made.call("f")[0] == 0


def test_limits_leave_room_for_cuda_itself_and_only_with_a_device(bare: Zygote) -> None:
    cell = """
import resource
kinds = resource.RLIMIT_DATA, resource.RLIMIT_MEMLOCK, resource.RLIMIT_AS, resource.RLIMIT_NOFILE
limits = [resource.getrlimit(kind) for kind in kinds]
def f(): return limits
"""
    limits = replace(LIMITS, memory_bytes=2**30, device_host_bytes=2**29)
    most_locked, most_addresses = (
        resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_MEMLOCK, resource.RLIMIT_AS)
    )

    def bound(value: int) -> tuple[int, int]:
        found = value if most_locked == resource.RLIM_INFINITY else min(value, most_locked)
        return found, found

    with ran(bare, cell, limits=limits, device=grant()) as made:
        data, locked, addresses, _ = made.call("f")
        assert data == (2**30 + 2**29,) * 2
        assert locked == bound(2**30 + 2**29)
        assert addresses == (most_addresses,) * 2
    with ran(bare, cell, limits=limits) as made:
        data, locked, addresses, _ = made.call("f")
        assert (data, locked, addresses) == ((2**30,) * 2, bound(2**26), resource.getrlimit(resource.RLIMIT_AS))
