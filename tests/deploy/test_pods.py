"""The sandbox of a worker with the rights that the chart gives a pod, with and without a user namespace of its own.

Without one, Kubernetes masks parts of /proc, and the sandbox gets none of its own. The required layers hold all the
same, and what a submission gets is the same. That is what the chart's README promises.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.container_rights import LAYERS_OF_ROOT, NOBODY, SHOW_LAYERS, confine
from tests.support.paths import EXAMPLE, ROOT
from tests.support.pod_user_namespace import FIRST_USER

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pod's namespaces")

SECURITY = {"security_opt": ["no-new-privileges:true", "seccomp=deploy/seccomp-worker.json"]}
# What container runtimes mask by default, as far as it is there.
MASK = """
set -e
for file in kcore keys latency_stats timer_list timer_stats sched_debug; do
    [ ! -e /proc/$file ] || mount --bind /dev/null /proc/$file
done
for folder in acpi asound scsi; do
    [ ! -d /proc/$folder ] || mount -t tmpfs -o ro,size=0 tmpfs /proc/$folder
done
for path in bus fs irq sys sysrq-trigger; do
    [ ! -e /proc/$path ] || { mount --bind /proc/$path /proc/$path; mount -o remount,bind,ro /proc/$path; }
done
exec "$@"
"""
MASKED = ["unshare", "--mount", "--propagation", "private", "sh", "-c", MASK, "sh"]  # hostUsers: true
OWN_USERS = [sys.executable, "-m", "tests.support.pod_user_namespace"]  # hostUsers: false, procMount: Unmasked


def run(pod: Sequence[str], command: Sequence[str | Path], home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in the namespaces of a pod and with a worker's rights."""
    user = NOBODY + (FIRST_USER if pod == OWN_USERS else 0)
    os.chown(home, user, user)
    own = {"HOME": str(home), "GRADER_CACHE": str(home / "cache"), "GRADER_KEY_FILE": str(home / "key")}
    return subprocess.run(
        [*pod, *confine(SECURITY, NOBODY), *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **own},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def home() -> Iterator[Path]:
    # Not in pytest's own folder, which every session that starts closes to other users.
    with tempfile.TemporaryDirectory(prefix="pod-") as folder:
        yield Path(folder)


def find_remarks(pod: Sequence[str], home: Path) -> list[list[str]]:
    """Return name, whether it holds, and the remark of each layer that has a remark; none of them may be of root."""
    done = run(pod, [sys.executable, "-c", SHOW_LAYERS], home)
    assert done.returncode == 0, done.stderr
    remarks = [line.split(",") for line in done.stdout.splitlines()]
    off = [name for name, holds, *_ in remarks if holds == "False"]
    assert off == LAYERS_OF_ROOT
    return [remark for remark in remarks if remark[0] not in LAYERS_OF_ROOT]


def test_with_a_user_namespace_of_the_pod_every_layer_holds_but_those_of_root(home: Path) -> None:
    assert find_remarks(OWN_USERS, home) == []


def test_without_one_the_same_layers_hold_and_the_file_system_has_no_proc(home: Path) -> None:
    assert find_remarks(MASKED, home) == [["private file system", "True", "without /proc"]]


@pytest.mark.slow
@pytest.mark.parametrize("pod", [OWN_USERS, MASKED], ids=["own users", "masked"])
def test_the_example_gets_the_same_points(pod: Sequence[str], home: Path) -> None:
    program = Path(sys.executable).with_name("grader")
    done = run(pod, [program, "check", EXAMPLE, "--training", "none", "--json", home / "report.json"], home)
    assert done.returncode == 1, done.stdout + done.stderr  # points are missing
    report = json.loads((home / "report.json").read_text("utf-8"))
    assert (report["score"], report["pending_points"]) == (68, 24)
