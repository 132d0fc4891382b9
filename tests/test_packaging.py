"""Set-up installs only what is locked, and the wheel holds the grader alone: an assignment is a folder beside it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.notebooks import notebook_bytes
from tests.support.paths import EXAMPLE, ROOT

IN_THE_WHEEL = ("grader", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources: building leaves files behind."""
    sources = tmp_path_factory.mktemp("sources")
    for name in IN_THE_WHEEL:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, sources)
    for name in ("rubrics", "reference", "tests", "benchmarks"):
        (sources / name).symlink_to(ROOT / name)  # they are there to be left out
    target = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    run([*pip, "--wheel-dir", str(target), str(sources)], sources)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """The `bin` folder of an environment with the wheel in it, which borrows every dependency from this one."""
    # Not in /tmp: the sandbox has a /tmp of its own, and would show nothing of the environment.
    environment = Path(tempfile.mkdtemp(prefix="environment-", dir="/var/tmp"))
    environment.chmod(0o755)
    run([sys.executable, "-m", "venv", "--without-pip", str(environment)], environment)
    (site,) = environment.glob("lib/python*/site-packages")
    # As a path alone: the .pth files there, which make this checkout importable, are not read.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = environment / "bin" / "python"
    run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            str(wheel),
        ],
        environment,
    )
    yield environment / "bin"
    shutil.rmtree(environment)


def run(
    command: list[str], folder: Path, variables: Mapping[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GRADER_"))}
    environment["GRADER_KEY_FILE"] = os.environ["GRADER_KEY_FILE"]
    done = subprocess.run(
        command, cwd=folder, env={**environment, **(variables or {})}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_the_wheel_holds_one_package_and_its_description(names: list[str]) -> None:
    assert {name.partition("/")[0] for name in names} == {"grader", "notebook_grader-0.1.0.dist-info"}
    assert "notebook_grader-0.1.0.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if "hw2" in name or "/tests/" in name or "__pycache__" in name]


def test_the_wheel_holds_every_file_of_the_package(names: list[str]) -> None:
    tracked = run(["git", "ls-files", "grader"], ROOT).stdout.split()
    assert [name for name in tracked if (ROOT / name).is_file() and name not in names] == []
    kinds = (".jinja", ".schema.json", ".css", ".js", "alembic.ini", "script.py.mako", "rubric.toml", "py.typed")
    assert [kind for kind in kinds if not any(name.endswith(kind) for name in names)] == []


def test_the_metadata_is_complete(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("notebook_grader-0.1.0.dist-info/METADATA").decode()
    for line in ("License-Expression: Apache-2.0", "Author: The notebook-grader authors", "Requires-Python: >=3.11"):
        assert line in metadata.splitlines()
    assert "Description-Content-Type: text/markdown" in metadata


def test_what_is_installed_can_import_no_answer(installed: Path, tmp_path: Path) -> None:
    script = (
        "import grader, importlib.util as u\n"
        "print(grader.__file__, *(u.find_spec(name) for name in ('reference', 'rubrics', 'tests', 'benchmarks')))"
    )
    place, *found = run([str(installed / "python"), "-P", "-c", script], tmp_path).stdout.split()
    assert Path(place).is_relative_to(installed.parent)
    assert found == ["None"] * 4


@pytest.mark.slow
def test_what_is_installed_grades_with_the_folder_of_an_assignment(installed: Path, tmp_path: Path) -> None:
    course = tmp_path / "course"
    for name in ("rubrics", "reference"):  # hw2's rubric.toml says ../../reference
        shutil.copytree(ROOT / name, course / name, ignore=shutil.ignore_patterns("__pycache__"))
    work = tmp_path / "work"
    work.mkdir()
    shutil.copy(EXAMPLE, work)
    check = [str(installed / "grader"), "check", EXAMPLE.name, "--training", "none"]
    by_path = run([*check, "--assignment", str(course / "rubrics" / "hw2"), "--json", "report.json"], work, code=1)
    report = json.loads((work / "report.json").read_text("utf-8"))
    assert (report["score"], report["pending_points"]) == (68, 24), by_path.stdout
    by_name = run([*check, "--item", "corr2d.values"], work, {"GRADER_ASSIGNMENT_PATH": str(course / "rubrics")})
    assert "corr2d.values" in by_name.stdout
    missing = run([*check, "--item", "corr2d.values"], work, code=2)
    assert "set GRADER_ASSIGNMENT_PATH" in missing.stderr


@pytest.mark.slow
def test_students_see_nothing_of_an_installed_grader(installed: Path, tmp_path: Path) -> None:
    (site,) = installed.parent.glob("lib/python*/site-packages")
    look = f"""
        import os, sys
        site = {str(site)!r}
        try:
            files = os.listdir(f"{{site}}/grader")
        except OSError as error:
            files = type(error).__name__
        print(site in sys.path, files)
    """
    (tmp_path / "look.ipynb").write_bytes(notebook_bytes(look))
    check = [str(installed / "grader"), "check", "look.ipynb", "--assignment", str(ROOT / "rubrics" / "hw2")]
    run([*check, "--training", "none", "--executed", "ran"], tmp_path, code=1)
    (cell,) = json.loads((tmp_path / "ran" / "look.ipynb").read_text("utf-8"))["cells"]
    assert "".join(cell["outputs"][0]["text"]) in ("True []\n", "True PermissionError\n")


FAKE_PYTHON = """#!/bin/sh
# `python -m venv FOLDER` makes a folder whose pip notes what it is called with.
[ "$2" = venv ] || exit 0
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "$@" >>"%s/calls"\\n' "$3" >"$3/bin/pip"
chmod +x "$3/bin/pip"
"""
PYTHON_WITHOUT_VENV = "#!/bin/sh\nexit 1\n"


def set_up(folder: Path, program: str, *variables: str) -> subprocess.CompletedProcess[str]:
    """Run make's set-up with a program in the place of Python."""
    python = folder / "python"
    python.write_text(program)
    python.chmod(0o755)
    environment = folder / "environment"
    command = ["make", "--no-print-directory", f"VENV={environment}", f"PYTHON={python}", *variables]
    return subprocess.run(
        [*command, str(environment / ".ready")], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_without_venv_make_stops_at_one_clear_line(tmp_path: Path) -> None:
    done = set_up(tmp_path, PYTHON_WITHOUT_VENV)
    assert done.returncode == 2
    ours, *makes_own = done.stderr.splitlines()
    assert ours.endswith("no Python 3.11 or newer with venv: sudo apt-get install python3 python3-venv")
    assert len(makes_own) == 1
    assert "ignored" not in done.stdout + done.stderr
    assert not (tmp_path / "environment").exists()


def test_make_says_the_size_and_then_installs_nothing_without_a_hash(tmp_path: Path) -> None:
    done = set_up(tmp_path, FAKE_PYTHON)
    assert done.returncode == 0, done.stderr
    assert "6.3 GB with CUDA" in done.stdout.splitlines()[0]
    *locked, own = (tmp_path / "environment" / "calls").read_text().splitlines()
    assert [line.partition(" --no-deps --require-hashes --requirement ")[2] for line in locked] == [
        f"requirements/{name}.txt" for name in ("torch", "development", "d2l", "helm")
    ]
    assert own.endswith("--no-deps --no-build-isolation --editable .")


def test_make_takes_pytorch_for_cpus(tmp_path: Path) -> None:
    done = set_up(tmp_path, FAKE_PYTHON, "TORCH=cpu")
    assert done.returncode == 0, done.stderr
    assert "6.3 GB" not in done.stdout
    first, *_ = (tmp_path / "environment" / "calls").read_text().splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = project["optional-dependencies"]["grading"]
    torch = " ".join(line for line in needed if line.startswith("torch"))
    assert first.endswith(f"--index-url https://download.pytorch.org/whl/cpu {torch}")
    assert "TORCH=tpu is neither cuda nor cpu" in set_up(tmp_path, FAKE_PYTHON, "TORCH=tpu", "--always-make").stderr


@pytest.mark.parametrize("name", ["torch", "server", "development", "d2l", "helm"])
def test_every_package_is_locked_to_a_version_and_to_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    entries = [entry for entry in re.split(r"\n(?=\w)", text) if not entry.startswith("#")]
    assert entries
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_every_dependency_is_locked() -> None:
    """After a change of pyproject.toml: `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    grades = [*project["dependencies"], *extras["grading"], *extras["course"]]
    locked = {name: read_lock(name) for name in ("torch", "server", "development")}
    for name, needed in (
        ("torch", [line for line in extras["grading"] if line.startswith("torch")]),
        ("server", [*grades, *extras["service"], *extras["s3"]]),
        ("development", [*grades, *extras["service"], *extras["test"]]),
    ):
        for requirement in map(Requirement, needed):
            versions = (locked[name] | locked["torch"])[canonicalize_name(requirement.name)]
            assert all(requirement.specifier.contains(version) for version in versions), requirement
    shared = locked["server"].keys() & locked["development"].keys()
    assert all(locked["server"][package] == locked["development"][package] for package in shared)


def read_lock(name: str) -> dict[str, list[str]]:
    """Return the versions of each package of a lock file: one, or one for each range of Python versions."""
    versions: dict[str, list[str]] = {}
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    for package, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;]+)", text, re.MULTILINE):
        versions.setdefault(canonicalize_name(package), []).append(version)
    return versions
