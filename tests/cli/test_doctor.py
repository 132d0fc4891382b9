"""`grader doctor` as a real process: what it lists, and the exit code that CI can rely on."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from grader.assignment import Assignment
from grader.sandbox.host.required_layers import REQUIRED
from grader.sandbox.jail.layer_log import LAYERS
from tests.support.command_line import GRADER, SECONDS, Run
from tests.support.keys import KEY
from tests.support.paths import ASSIGNMENTS
from tests.support.without_namespaces import AS_USER, UNKEPT_KEY, WITHOUT_NAMESPACES

OF_NAMESPACES = {
    *("user namespace", "mount namespace", "pid namespace", "net namespace", "ipc namespace", "uts namespace"),
    "private file system",
}


def examine(*before: str) -> tuple[int, dict[str, dict[str, object]]]:
    """Return the doctor's exit code, and the layers by their names."""
    done = subprocess.run(
        [*before, GRADER, "doctor", "--assignment", ASSIGNMENTS / "doubled", "--json", "-"],
        env={**os.environ, "HOME": "/tmp", **UNKEPT_KEY},
        cwd="/tmp",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )
    values = json.loads(done.stdout)
    assert values["complete"] is (done.returncode == 0)
    return done.returncode, {layer["name"]: layer for layer in values["layers"]}


@pytest.mark.slow
def test_it_lists_every_layer_and_package_and_the_key(run: Run, hw2: Assignment, key_file: Path) -> None:
    ran = run("doctor")
    lines = ran.stdout.splitlines()
    layers = [line for line in lines if line.startswith(("on ", "off"))]
    assert len(layers) == len(LAYERS)
    assert all(f"{package}: imported" in lines for package in hw2.packages)
    assert f"key: {KEY.id} ({key_file})" in lines
    assert ran.stderr == ""
    assert ran.returncode == 0


def test_without_namespaces_no_layer_of_them_is_on_and_each_has_a_remedy() -> None:
    code, layers = examine(*WITHOUT_NAMESPACES)
    assert code == 1
    off = {name for name, layer in layers.items() if not layer["on"]}
    assert off - {"cpu cgroup", "memory cgroup", "pids cgroup", "devices cgroup", "unprivileged user"} == OF_NAMESPACES
    assert all(layers[name]["reason"] and layers[name]["remedy"] for name in off)
    assert "user.max_user_namespaces" in str(layers["uts namespace"]["remedy"])
    assert {name for name, layer in layers.items() if layer["required"]} == set(REQUIRED)


@pytest.mark.slow
def test_what_only_root_can_give_does_not_change_the_exit_code() -> None:
    code, layers = examine(*AS_USER)
    assert code == 0
    assert {name for name, layer in layers.items() if not layer["on"]} <= {
        *("cpu cgroup", "memory cgroup", "pids cgroup", "devices cgroup", "unprivileged user"),
    }


@pytest.mark.slow
def test_a_package_that_is_missing_changes_the_exit_code(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    for file in (ASSIGNMENTS / "doubled").iterdir():
        if file.is_file():
            folder.mkdir(exist_ok=True)
            (folder / file.name).write_bytes(file.read_bytes())
    rubric = folder / "rubric.toml"
    rubric.write_text(rubric.read_text().replace('"torch"', '"torch", "no_such_package"'))
    ran = run("doctor", "--assignment", folder)
    assert "no_such_package: ModuleNotFoundError" in ran.stdout
    assert ran.returncode == 1
