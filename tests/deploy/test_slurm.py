"""The batch script for Slurm, run as Slurm runs it: by bash, with Slurm's variables and signals to the script."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from grader.service.settings import Settings
from grader.service.store.database import migrate
from tests.support.parsed_commands import parse
from tests.support.paths import ASSIGNMENTS, ROOT
from tests.support.running_service import RedisServer, until

SCRIPT = ROOT / "deploy" / "slurm" / "grader-worker.sbatch"
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
SECONDS = 60

# In place of `grader`: it writes down how it was called and each SIGTERM, and ends at the one that GRADER_ENDS names.
STAND_IN = """#!/bin/bash
printf '%s\\n' "$*" >> "$NOTES/called"
printf '%s\\n' "$TMPDIR" > "$NOTES/folder"
count=0
trap 'count=$((count + 1)); echo "$count" >> "$NOTES/signals"' TERM
echo ready > "$NOTES/ready"
while [ "$count" -lt "${GRADER_ENDS:-0}" ]; do sleep 0.05; done
exit "${GRADER_CODE:-0}"
"""


class Task:
    """One task of the array, with a folder for what its stand-ins note."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "worker.env"
        self._running: subprocess.Popen[str] | None = None
        self.write_program("grader", STAND_IN)
        self.write_program("scontrol", '#!/bin/sh\necho "$@" >> "$NOTES/requeued"\n')
        self.settings.write_text(f"GRADER_DATABASE='sqlite:///{folder}/a b.sqlite'\n", "utf-8")
        self.settings.chmod(0o600)

    def write_program(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, "utf-8")
        (self.folder / name).chmod(0o755)

    def start(self, **variables: str) -> subprocess.Popen[str]:
        """Start the script with Slurm's variables and these."""
        slurm = {"SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "2", "CUDA_VISIBLE_DEVICES": "0"}
        own = {"NOTES": str(self.folder), "GRADER_SETTINGS": str(self.settings), "TMPDIR": str(self.folder)}
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        self._running = subprocess.Popen(
            ["bash", SCRIPT],
            env={"HOME": str(self.folder), "PATH": path, **slurm, **own, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self._running

    def run(self, **variables: str) -> tuple[int, str]:
        """Run it to its end, and return its exit code and what it wrote to standard error."""
        running = self.start(**variables)
        _, errors = running.communicate(timeout=SECONDS)
        return running.returncode, errors

    def read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text("utf-8").strip() if path.exists() else ""

    def close(self) -> None:
        if self._running and self._running.poll() is None:
            self._running.kill()
            self._running.communicate()


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Task]:
    made = Task(tmp_path)
    yield made
    made.close()


def test_shellcheck_finds_no_mistake_in_any_script() -> None:
    scripts = [SCRIPT, ROOT / ".ci" / "run", *(ROOT / "deploy").rglob("*.sh")]
    scripts += [path for path in (ROOT / "scripts").iterdir() if path.read_bytes().startswith(b"#!/bin/sh")]
    done = subprocess.run([SHELLCHECK, *scripts], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_slurm_is_asked_for_what_the_script_relies_on() -> None:
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SCRIPT.read_text("utf-8"), re.MULTILINE))
    assert {"requeue", "array", "gres", "time", "mem"} <= asked.keys()
    to, _, seconds = asked["signal"].partition("@")
    assert to == "B:TERM", "to the script alone, which passes it on once"
    assert int(seconds) > 3600 + 60, "an hour to finish, and time to give the job back"
    assert "%a" in asked["output"], "each task has a log of its own"


def test_a_worker_gets_the_gpus_of_its_task_and_no_others(task: Task) -> None:
    assert task.run(CUDA_VISIBLE_DEVICES="MIG-1f2e,MIG-77aa") == (0, "")
    assert task.read("called") == "worker --queue gpu --devices MIG-1f2e,MIG-77aa"
    code, errors = task.run(CUDA_VISIBLE_DEVICES="")
    assert code != 0
    assert "no GPU" in errors
    assert task.run(GRADER_QUEUE="cpu", CUDA_VISIBLE_DEVICES="") == (0, "")
    assert task.read("called").splitlines()[1:] == ["worker --queue cpu --processes 2"]
    for line in task.read("called").splitlines():
        assert parse(f"grader {line}")["queue"]


def test_a_container_can_stand_before_the_grader(task: Task) -> None:
    task.write_program("apptainer", '#!/bin/sh\nshift 3\nexec "$@"\n')
    assert task.run(GRADER_COMMAND="apptainer exec --nv image.sif grader") == (0, "")
    assert task.read("called").startswith("worker --queue gpu")


def test_settings_are_read_from_a_file_that_nobody_else_can_read(task: Task) -> None:
    task.write_program("grader", '#!/bin/sh\necho "$GRADER_DATABASE" > "$NOTES/database"\n')
    assert task.run() == (0, "")
    assert task.read("database").endswith("/a b.sqlite")
    task.settings.chmod(0o640)
    code, errors = task.run()
    assert code == 2
    assert "chmod 600" in errors
    task.settings.unlink()
    code, errors = task.run()
    assert code == 2
    assert "GRADER_SETTINGS" in errors


def test_the_task_leaves_no_file_and_no_process(task: Task) -> None:
    task.run()
    folder = Path(task.read("folder"))
    assert folder.parent == task.folder, "a folder of its own in Slurm's"
    assert not folder.exists()


def test_the_first_signal_lets_a_job_finish_and_the_second_gives_it_back(task: Task) -> None:
    running = task.start(GRADER_ENDS="2", GRADER_CODE="5")
    until(lambda: bool(task.read("ready")))
    running.send_signal(signal.SIGTERM)
    until(lambda: task.read("signals") == "1")
    assert running.poll() is None, "the job still runs"
    running.send_signal(signal.SIGTERM)
    assert running.communicate(timeout=SECONDS) == ("", "")
    assert running.returncode == 5, "the worker's"
    assert task.read("signals").split() == ["1", "2"]


def test_a_job_that_does_not_finish_in_time_is_given_back_before_slurm_ends_it(task: Task) -> None:
    running = task.start(GRADER_ENDS="2", GRADER_FINISH_SECONDS="0.2")
    until(lambda: bool(task.read("ready")))
    running.send_signal(signal.SIGTERM)
    assert running.communicate(timeout=SECONDS) == ("", "")
    assert running.returncode == 0
    assert task.read("signals").split() == ["1", "2"]


@pytest.mark.parametrize(("code", "again"), [("0", True), ("2", False), ("3", False)])
def test_a_task_goes_on_after_its_time_unless_it_would_fail_again(task: Task, code: str, again: bool) -> None:
    assert task.run(GRADER_CODE=code)[0] == int(code)
    assert task.read("requeued") == "", "only if it is asked to"
    assert task.run(GRADER_CODE=code, GRADER_REQUEUE="1")[0] == int(code)
    assert task.read("requeued") == ("requeue 17" if again else "")


@pytest.mark.slow
def test_a_real_worker_stops_when_slurm_says_so(task: Task, tmp_path: Path) -> None:
    broker = RedisServer(tmp_path / "redis")
    try:
        settings = Settings(
            database=f"sqlite:///{tmp_path}/grader.sqlite",
            blobs=f"file://{tmp_path}/blobs",
            broker=broker.url,
            assignments=str(ASSIGNMENTS / "doubled"),
        )
        migrate(settings)
        names = ("database", "blobs", "broker", "assignments")
        lines = [f"GRADER_{name.upper()}='{getattr(settings, name)}'\n" for name in names]
        task.settings.write_text("".join(lines), "utf-8")
        program = Path(sys.executable).with_name("grader")
        running = task.start(GRADER_QUEUE="cpu", SLURM_CPUS_PER_TASK="1", GRADER_COMMAND=str(program))
        # Celery has set its handlers by the time it takes messages.
        until(lambda: takes_messages(broker) or running.poll() is not None)
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=SECONDS)
        assert running.returncode == 0, errors
    finally:
        broker.kill()


def takes_messages(broker: RedisServer) -> bool:
    """Return whether a worker waits for the next message."""
    with redis.Redis(port=broker.port) as connection:
        return any(client["cmd"] == "brpop" for client in connection.client_list())
