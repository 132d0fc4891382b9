"""Boot Debian's kernel under qemu with version 2 of control groups, and run `inside.py` there as its first process.

    apt-get install qemu-system-x86 linux-image-cloud-amd64 cpio
    python tests/virtual_machine/boot.py

It prints what `inside.py` prints, and ends with its exit code. qemu computes every instruction itself, because a
virtual machine inside of another one often has no KVM that works; that takes two minutes. Nothing of this machine is
changed: the file system of the virtual machine is a copy in its memory.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["boot"]

ROOT = Path(__file__).resolve().parents[2]
_MEGABYTES = 4096
_SECONDS = 900
_DONE = "inside.py ended with "
# Packages that no part of the sandbox imports and that are large.
_LARGE = (
    *("torch", "torchgen", "functorch", "nvidia", "triton", "torchvision", "playwright", "cv2", "scipy", "pandas"),
    *("sympy", "plotly", "sklearn", "matplotlib", "opencv", "skimage", "seaborn", "networkx", "mypy", "tensorboard"),
)
_PROGRAMS = ("sh", "mount", "mkdir", "sleep")
_LOADED = ("libseccomp.so.2", "libgcc_s.so.1")  # by their names, while Python runs
_INIT = """#!/bin/sh
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root
mount -t proc proc /proc && mount -t sysfs sysfs /sys && mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm && mount -t devpts devpts /dev/pts && mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp && mount -t cgroup2 cgroup2 /sys/fs/cgroup
cd /tmp
PYTHONPATH={root} {python} -P {root}/tests/virtual_machine/inside.py
echo "{done}$?"
echo o > /proc/sysrq-trigger
sleep 60
"""


def boot() -> tuple[int, str]:
    """Run `inside.py` in a virtual machine. Return its exit code, and what it printed."""
    kernel = sorted(Path("/boot").glob("vmlinuz-*cloud*"))[-1]
    with tempfile.TemporaryDirectory() as name:
        image = Path(name, "image")
        _pack(image)
        machine = f"-accel tcg,thread=multi -cpu max -m {_MEGABYTES} -smp 2 -nodefaults -nographic -no-reboot"
        arguments = "console=ttyS0 quiet panic=-1 cgroup_no_v1=all rdinit=/init"
        done = subprocess.run(
            [
                *("qemu-system-x86_64", *machine.split(), "-serial", "stdio"),
                *("-kernel", kernel, "-initrd", image, "-append", arguments),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    printed, ended, rest = done.stdout.rpartition(_DONE)
    if not ended:
        return 1, done.stdout + done.stderr
    return int(rest.split()[0]), printed


def _pack(image: Path) -> None:
    """Write the file system of the virtual machine: programs, libraries, Python, its packages and the sources."""
    root = image.with_name("root")
    for folder in ("proc", "sys", "dev", "tmp", "root", "etc", "bin", "sbin"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    script = _INIT.format(root=ROOT, python=sys.executable, done=_DONE)
    (root / "init").write_text(script)
    (root / "init").chmod(0o755)
    shutil.copy("/etc/ld.so.cache", root / "etc" / "ld.so.cache")
    for name in ("lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for path in _list_files():
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(path, target)
    for program in _PROGRAMS:
        (root / "bin" / program).symlink_to(f"/usr/bin/{program}")
    listed = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with open(image, "wb") as file:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=listed, stdout=file, check=True)


def _list_files() -> Iterator[Path]:
    programs = [Path("/usr/bin") / name for name in _PROGRAMS]
    loaded = [path for name in _LOADED for path in Path("/usr/lib").rglob(name)]
    binaries = [*(path.resolve() for path in programs), Path(sys.executable).resolve(), *loaded]
    for folder in (*_find_python(), ROOT / "grader", ROOT / "tests" / "virtual_machine"):
        for path in folder.rglob("*"):
            below = path.relative_to(folder).parts
            large = folder == Path(sys.prefix) and any(part.startswith(_LARGE) for part in below)
            if path.is_file() and "__pycache__" not in below and not large:
                yield path
                if path.suffix == ".so":
                    binaries.append(path)
    yield from programs
    yield from binaries
    yield from _find_libraries(binaries)


def _find_python() -> list[Path]:
    """Return the folders of this Python and of its environment."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return [Path(sys.base_prefix, "lib", version), Path(sys.prefix), Path(sys.base_prefix, "lib", "python3")]


def _find_libraries(programs: list[Path]) -> set[Path]:
    listed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    words = (word for line in listed.splitlines() for word in line.split())
    return {Path(word) for word in words if word.startswith("/") and not word.endswith(":") and Path(word).is_file()}


if __name__ == "__main__":
    code, text = boot()
    print(text)
    sys.exit(code)
