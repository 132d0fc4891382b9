"""Collect what a bare GPU machine lacks: `python -m benchmarks.gpu.carry FOLDER [NOTEBOOK ...]`.

The folder gets wheels for that machine's Python, libseccomp, the files of Fashion-MNIST and the notebooks. It travels
with the working tree; there, `benchmarks/gpu/bring_up.sh FOLDER RESULTS` installs all of it without a network and runs
`benchmarks.gpu`. Prints the size of both, and the command line.
"""

from __future__ import annotations

import argparse
import ctypes.util
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from grader.errors import InputError
from grader.training.idx import FILES, locate, make_advice

__all__ = ["MOST_BYTES", "carry", "list_wheels", "main", "measure_tree"]

ROOT = Path(__file__).parents[2]
MOST_BYTES = 64 * 2**20  # of the working tree, with everything that is carried
_LINE = 'PYTHONUNBUFFERED=1 bash benchmarks/gpu/bring_up.sh {folder} "$OUT"'
_LIBRARIES = (Path("/usr/lib/x86_64-linux-gnu/libseccomp.so.2"), Path("/lib/x86_64-linux-gnu/libseccomp.so.2"))
# Packages of the machine's image, or (the last two) large ones without which everything runs: ruff tells which newer
# Python a cell was written for, and debugpy serves debuggers.
_LEFT_OUT = ("torch", "torchvision", "numpy", "psutil", "notebook-grader", "ruff", "debugpy")
_PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 24, 17)), "manylinux2014_x86_64")


def main() -> None:
    """Fill the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder inside the checkout that git ignores, such as .gpu")
    parser.add_argument("notebooks", type=Path, nargs="*", help="homework that the machine trains as written")
    parser.add_argument("--python", default="3.12", help="the machine's Python; default: 3.12")
    arguments = parser.parse_args()
    try:
        carry(arguments.folder, arguments.notebooks, arguments.python)
    except InputError as error:
        parser.error(str(error))
    carried, tree = _measure(arguments.folder), measure_tree(ROOT)
    print(
        f"carried {carried / 2**20:.1f} MiB, the working tree {tree / 2**20:.1f} MiB, at most {MOST_BYTES / 2**20:.0f}"
    )
    print(f"carry {arguments.folder}, and run there:\n{_LINE.format(folder=arguments.folder)}")
    if carried + tree > MOST_BYTES:
        parser.exit(1, "that is too much\n")


def carry(folder: Path, notebooks: Sequence[Path], python: str) -> None:
    """Fill a folder with what a bare machine lacks.

    Args:
        folder: the folder; what is missing in it is added, so that a second run downloads nothing.
        notebooks: homework to take along.
        python: the machine's Python, such as "3.12".

    Raises:
        InputError: a notebook, the data set, a wheel or libseccomp is missing.
    """
    for name in ("wheels", "data", "notebooks", "lib"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for notebook in notebooks:
        if not notebook.is_file():
            raise InputError(f"{notebook} is missing")
        shutil.copy(notebook, folder / "notebooks")
    _copy_data(folder / "data")
    _copy_library(folder / "lib")
    _download(list_wheels(), python, folder / "wheels")


def list_wheels() -> list[str]:
    """Return the packages that grading needs and the machine lacks, each as NAME==VERSION of the installed version."""
    found: dict[str, str] = {}
    for requirement in ("notebook-grader[grading]", "d2l"):
        for name in _follow(Requirement(requirement), found):
            found[name] = version(name)
    return [f"{name}=={found[name]}" for name in sorted(found)]


def measure_tree(root: Path) -> int:
    """Return the bytes of the files of a checkout that git knows or does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return sum((root / name).lstat().st_size for name in listed.split("\0") if name and (root / name).exists())


def _follow(requirement: Requirement, found: dict[str, str]) -> Iterator[str]:
    """Yield a package and what it needs. d2l pins an old stack, so its own requirements are left out."""
    name = canonicalize_name(requirement.name)
    if name not in _LEFT_OUT and name not in found:
        found[name] = ""
        yield name
    elif not requirement.extras:
        return
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        raise InputError(f"{name} is not installed here, so its version is unknown") from None
    extras = ["", *requirement.extras]
    for needed in map(Requirement, [] if name == "d2l" else lines):
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
            yield from _follow(needed, found)


def _copy_data(folder: Path) -> None:
    files = locate("FashionMNIST")
    if files is None:
        raise InputError(f"Fashion-MNIST is not on this machine; {make_advice('FashionMNIST')}")
    for file in FILES:
        path = files.path(file)
        assert path is not None
        if path.suffix != ".gz":
            raise InputError(
                f"{path} is not compressed, and too large to carry: install Debian's package of the data set"
            )
        shutil.copy(path, folder)


def _copy_library(folder: Path) -> None:
    library = next((path for path in _LIBRARIES if path.exists()), None)
    if library is None:
        found = ctypes.util.find_library("seccomp")
        raise InputError(
            f"libseccomp.so.2 for x86-64 is not where Debian has it (found {found}): apt-get install libseccomp2"
        )
    shutil.copy(library.resolve(), folder / "libseccomp.so.2")


def _download(wheels: Iterable[str], python: str, folder: Path) -> None:
    kept = {path.name: path for path in folder.glob("*.whl")}
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", "--dest", str(folder)]
    command += [part for platform in _PLATFORMS for part in ("--platform", platform)]
    done = subprocess.run([*command, *wheels], check=False, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"pip did not get the wheels:\n{done.stderr[-2000:]}")
    names = {wheel.partition("==")[0]: wheel.partition("==")[2] for wheel in wheels}
    for path in kept.values():  # another version of a package stops the whole installation
        name, number = path.name.split("-")[:2]
        if names.get(canonicalize_name(name)) != number:
            path.unlink()


def _measure(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
