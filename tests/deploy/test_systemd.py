"""The drop-in for hosts with GPUs, together with the unit that it changes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

SYSTEMD = ROOT / "deploy" / "systemd"


def read(name: str) -> list[tuple[str, str]]:
    """Return the settings of a unit or a drop-in, in order."""
    return re.findall(r"^(\w+)=(.*)$", (SYSTEMD / name).read_text("utf-8"), re.MULTILINE)


def test_one_unit_serves_all_gpus_of_a_host() -> None:
    settings = read("gpu.conf")
    assert [value for key, value in settings if key == "ExecStart"] == [
        "",  # in place of the unit's
        "/opt/grader/.venv/bin/grader worker --queue %i --devices all",
    ]
    assert ("DeviceAllow", "char-nvidia* rw") in settings
    assert ("PrivateDevices", "no") in settings


def test_a_wrong_setting_ends_the_unit_and_a_lost_gpu_does_not() -> None:
    settings = dict(read("grader-worker@.service"))
    assert (settings["Restart"], settings["RestartPreventExitStatus"]) == ("always", "2")
    assert settings["KillMode"] == "mixed"  # the pool passes signals on; a worker that had two would give back its job


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_understands_the_drop_in(tmp_path: Path) -> None:
    unit = tmp_path / "grader-worker@gpu.service"
    for source, copy in (("grader-worker@.service", unit), ("gpu.conf", tmp_path / f"{unit.name}.d" / "gpu.conf")):
        copy.parent.mkdir(exist_ok=True)
        text = (SYSTEMD / source).read_text("utf-8").replace("/opt/grader/.venv/bin/grader", "/bin/true")
        copy.write_text(text, "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
