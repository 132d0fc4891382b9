"""The deployment without a Docker engine: the files agree, and what they start works when it is started by hand.

The processes run with the commands, the environment, the order and the rights that docker-compose.yml gives them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grader.results.report import Report
from tests.support.compose import Services, configure
from tests.support.container_rights import LAYERS_OF_ROOT, NOBODY, SHOW_LAYERS, confine
from tests.support.paths import ROOT
from tests.support.postgresql import server

PROGRAMS = Path(sys.executable).parent
SECONDS = 120


@pytest.fixture(scope="module")
def services() -> Services:
    """What Docker's own program makes of docker-compose.yml and of .env.example with a password."""
    return configured("gpu")


def configured(*profiles: str, password: str = "secret") -> Services:
    example = (ROOT / ".env.example").read_text("utf-8")
    settings = example.replace("POSTGRES_PASSWORD=", f"POSTGRES_PASSWORD={password}")
    return configure("docker-compose.yml", settings, *profiles)


def test_nothing_starts_without_a_password() -> None:
    with pytest.raises(ValueError, match="POSTGRES_PASSWORD is missing a value"):
        configured(password="")


def test_the_gpu_worker_is_there_when_asked_for_and_has_a_device(services: Services) -> None:
    assert services.keys() - configured().keys() == {"worker-gpu"}
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert device["count"] == -1, "all"


def test_no_container_can_do_more_than_it_needs(services: Services) -> None:
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert not service.get("cap_add"), name
        assert not service.get("privileged"), name
        assert "no-new-privileges:true" in service["security_opt"], name
        # Our image has a user of its own; the others would start as root.
        assert service.get("user") or service["image"].startswith("notebook-grader"), name
        assert {"cpus", "memory", "pids"} <= service["deploy"]["resources"]["limits"].keys(), name
    assert re.search(r"^USER 10001:10001$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    loosened = {name for name, service in services.items() if len(service["security_opt"]) > 1}
    assert loosened == {"worker-cpu", "worker-gpu"}


def test_only_the_api_can_be_reached_and_only_from_this_host(services: Services) -> None:
    published = {name: service["ports"] for name, service in services.items() if service.get("ports")}
    assert list(published) == ["api"]
    assert [port["host_ip"] for port in published["api"]] == ["127.0.0.1"]
    assert {name for name, service in services.items() if "outside" in service["networks"]} == {"api"}


def test_everything_that_runs_on_is_watched_and_given_time_to_end(services: Services) -> None:
    for name, service in services.items():
        once = service["restart"] == "no"
        assert once or service["healthcheck"]["test"][0].startswith("CMD"), name
    assert {name for name, service in services.items() if service["restart"] == "no"} == {"migrate"}
    assert services["worker-cpu"]["stop_grace_period"] == "20m0s"


def test_redis_drops_nothing_and_keeps_what_it_has(services: Services) -> None:
    command = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert services["redis"]["volumes"][0]["target"] == "/data"


def test_the_example_names_every_setting_without_a_secret() -> None:
    asked_for = re.findall(r"\$\{(\w+):?\?", (ROOT / "docker-compose.yml").read_text("utf-8"))
    example = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert set(asked_for) == {name for name, value in example.items() if not value} == {"POSTGRES_PASSWORD"}
    assert ".env" not in (ROOT / ".dockerignore").read_text("utf-8")  # a list of what goes in, so it stays out


def test_the_image_has_the_versions_that_everybody_has() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = project["optional-dependencies"]["grading"]
    assert {f"torch=={arguments['TORCH']}", f"torchvision=={arguments['TORCHVISION']}"} <= set(needed)
    for line in re.findall(r"pip install (.*?)(?: \\)?$", dockerfile, re.MULTILINE):
        own = ("--index-url", "--no-deps --require-hashes", "--no-deps --no-build-isolation --editable .")
        assert line.startswith(own), "nothing is installed without a hash, but another build of PyTorch"


def test_the_image_asks_for_no_gpu_by_itself() -> None:
    """NVIDIA's own images ask for all of them, and CPU workers on such a host would have them, too."""
    assert "NVIDIA_" not in (ROOT / "Dockerfile").read_text("utf-8")


def test_the_image_is_given_every_file_that_it_copies() -> None:
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    paths = {path for line in copied for path in line.split()}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert {path.partition("/")[0] for path in paths} == let_in
    assert all((ROOT / path).exists() for path in paths)


@pytest.mark.slow
def test_every_command_and_file_that_the_operators_page_names_is_there() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    asked = set(re.findall(r"(?:^    |`| )grader ((?:token |database |rubric )?[a-z]+)", page, re.MULTILINE))
    assert {"submit", "token create", "rubric verify"} <= asked
    for command in sorted(asked):
        told = subprocess.run([PROGRAMS / "grader", *command.split(), "--help"], capture_output=True, check=False)
        assert told.returncode == 0, command
    for path in re.findall(r"`((?:deploy|docs|grader|benchmarks)/[\w./-]+)`", page):
        assert (ROOT / path).exists(), path


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_understands_its_units(tmp_path: Path) -> None:
    for unit in (ROOT / "deploy" / "systemd").glob("*.service"):
        copy = tmp_path / unit.name.replace("@", "@cpu.1")
        copy.write_text(unit.read_text("utf-8").replace("/opt/grader/.venv/bin/grader", "/bin/true"), "utf-8")
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_worker_in_its_container_has_every_layer_of_the_sandbox_but_those_of_root(services: Services) -> None:
    done = subprocess.run(
        [*confine(services["worker-cpu"], NOBODY), sys.executable, "-c", SHOW_LAYERS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/tmp"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split(",")[:2] for line in done.stdout.splitlines()] == [[name, "False"] for name in LAYERS_OF_ROOT]


class Containers:
    """Services started by hand; Docker's names of hosts and places are replaced by this machine's."""

    def __init__(self, services: Services, places: Mapping[str, str], user: int, folder: Path) -> None:
        self._services, self._places, self._user, self._folder = services, places, user, folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, name: str, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in a service's container until it ends, as `docker compose exec` and healthchecks do."""
        return subprocess.run(
            self._command(name, command), **self._setting(name), capture_output=True, text=True, timeout=SECONDS
        )

    def start(self, name: str) -> None:
        """Start a service; what it depends on runs by then."""
        command = self._command(name, self._services[name]["command"])
        with open(self._folder / f"{name}.log", "wb") as log:
            self._running[name] = subprocess.Popen(command, **self._setting(name), stdout=log, stderr=log)

    def until_healthy(self, name: str) -> None:
        """Wait for a service's healthcheck."""
        kind, *command = self._services[name]["healthcheck"]["test"]
        shell = ["sh", "-c", *command] if kind == "CMD-SHELL" else command
        while (told := self.run(name, shell)).returncode != 0:
            assert self._running[name].poll() is None, self.log(name) + told.stderr

    def stop(self, name: str) -> int:
        """Stop a service as `docker compose stop` does, and return its exit code."""
        running = self._running.pop(name)
        running.send_signal(signal.SIGTERM)
        return running.wait(SECONDS)

    def log(self, name: str) -> str:
        """Return what a service wrote."""
        return (self._folder / f"{name}.log").read_text("utf-8", "replace")

    def here(self, text: str) -> str:
        """Replace Docker's names of hosts and places by this machine's."""
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text

    def close(self) -> None:
        """End what still runs."""
        for running in self._running.values():
            running.kill()
            running.wait()

    def _command(self, name: str, command: Sequence[str]) -> list[str]:
        own = {"grader": str(PROGRAMS / "grader"), "python": sys.executable}
        first, *others = (self.here(part) for part in command)
        return [*confine(self._services[name], self._user), own.get(first, first), *others]

    def _setting(self, name: str) -> dict[str, Any]:
        told = {key: self.here(value) for key, value in self._services[name].get("environment", {}).items()}
        image = {"PATH": f"{PROGRAMS}:{os.defpath}", "HOME": str(self._folder), "PYTHONPATH": str(ROOT)}
        return {"cwd": "/", "env": {**image, "GRADER_CACHE": str(self._folder / "cache"), **told}}


@pytest.fixture
def containers(services: Services) -> Iterator[Containers]:
    """All but PostgreSQL and the network as compose has them, in a folder of the user that PostgreSQL runs as."""
    with ExitStack() as stack:
        database = stack.enter_context(server()).create()
        user = Path(parse_qs(urlsplit(database).query)["host"][0]).stat().st_uid
        folder = Path(tempfile.mkdtemp(prefix="deployment-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        os.chown(folder, user, user)
        redis, api = (str(free_port()) for _ in range(2))
        places = {
            "postgresql+psycopg://grader:secret@postgres/grader": database,
            "redis://redis:6379": f"redis://127.0.0.1:{redis}",
            "redis-cli": f"redis-cli -p {redis}",
            "file:///var/lib/grader/blobs": f"file://{folder}/blobs",
            "/var/lib/grader/uploads": str(folder),
            "127.0.0.1:8000": f"127.0.0.1:{api}",
            "8000": api,
            "0.0.0.0": "127.0.0.1",
        }
        here = ["--port", redis, "--bind", "127.0.0.1", "--dir", str(folder)]
        by_hand = {**services, "redis": {**services["redis"], "command": [*services["redis"]["command"], *here]}}
        made = Containers(by_hand, places, user, folder)
        stack.callback(made.close)
        yield made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.mark.slow
def test_the_example_is_handed_in_watched_and_fetched(
    containers: Containers, services: Services, tmp_path: Path
) -> None:
    assert services["api"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    too_early = containers.run("api", services["api"]["command"])
    assert too_early.returncode == 2
    assert "grader database upgrade" in too_early.stderr
    containers.start("redis")
    containers.until_healthy("redis")
    for _ in range(2):  # every `up` runs it again
        migrated = containers.run("migrate", services["migrate"]["command"])
        assert migrated.returncode == 0, migrated.stderr
    for name in ("api", "worker-cpu"):
        containers.start(name)
        containers.until_healthy(name)
    token = containers.run("api", ["grader", "token", "create", "prof", "--role", "instructor"]).stdout.strip()
    url = containers.here("http://127.0.0.1:8000")
    grader = teacher(url, token, tmp_path)

    submitted = grader(
        *("submit", ROOT / "examples" / "hw2.ipynb", "--training", "none", "--json", "batch.json", "--watch")
    )
    assert submitted.returncode == 0, submitted.stderr + containers.log("worker-cpu")
    assert "1 of 1 done" in submitted.stderr
    batch = json.loads((tmp_path / "batch.json").read_text("utf-8"))["batch"]
    assert grader("fetch", batch, "--out", "out").returncode == 0
    (found,) = (tmp_path / "out" / "reports").glob("*.json")
    report = Report.from_json(found.read_text("utf-8"))
    assert (report.score, report.pending_points) == (68, 24)
    assert [layer.name for layer in report.layers if not layer.on] == LAYERS_OF_ROOT

    with urllib.request.urlopen(f"{url}/metrics") as answer:
        metrics = answer.read().decode()
    for name in re.findall(r"^\| `(grader_\w+)", (ROOT / "docs" / "operating.md").read_text("utf-8"), re.MULTILINE):
        assert name in metrics
    assert containers.stop("worker-cpu") == 0, containers.log("worker-cpu")
    # uvicorn ends its requests, then by the signal that it was sent.
    assert containers.stop("api") == -signal.SIGTERM, containers.log("api")
    assert "Application shutdown complete" in containers.log("api")
    assert token not in containers.log("api") + containers.log("worker-cpu")


def teacher(url: str, token: str, folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs a command on a teacher's own machine."""
    variables = {"GRADER_SERVER": url, "GRADER_TOKEN": token}

    def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAMS / "grader", *arguments],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    return call
