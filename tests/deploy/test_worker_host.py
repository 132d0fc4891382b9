"""docker-compose.worker.yml, a host for workers alone: it agrees with docker-compose.yml, and holds nothing else."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.compose import Services, configure
from tests.support.paths import ROOT

FILE = "docker-compose.worker.yml"
EXAMPLE = (ROOT / "deploy" / "compose" / "worker.env.example").read_text("utf-8")
SECRETS = {
    "GRADER_DATABASE": "postgresql+psycopg://worker:secret@db.example/grader",
    "GRADER_BROKER": "rediss://:secret@redis.example:6379/0",
    "GRADER_BLOBS": "s3://grader/blobs",
}
# What differs between the two files on purpose: where a worker's data is, when it starts, and whether it is asked for.
OWN = {"environment", "networks", "depends_on", "volumes", "profiles"}


def fill(values: dict[str, str]) -> str:
    """Return the example with these variables set."""
    text = EXAMPLE
    for name, value in values.items():
        text = re.sub(f"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return text


@pytest.fixture(scope="module")
def services() -> Services:
    return configure(FILE, fill(SECRETS), "cpu", "gpu")


@pytest.mark.parametrize("missing", SECRETS)
def test_nothing_starts_without_what_the_service_is_reached_by(missing: str) -> None:
    with pytest.raises(ValueError, match=f"{missing} is missing a value"):
        configure(FILE, fill({**SECRETS, missing: ""}), "cpu")


def test_the_host_has_workers_only_and_each_kind_if_it_is_asked_for(services: Services) -> None:
    assert set(services) == {"worker-cpu", "worker-gpu"}
    assert set(configure(FILE, fill(SECRETS), "cpu")) == {"worker-cpu"}
    assert set(configure(FILE, fill(SECRETS), "gpu")) == {"worker-gpu"}


def test_a_worker_is_as_locked_in_as_beside_the_service(services: Services) -> None:
    settings = (ROOT / ".env.example").read_text("utf-8").replace("POSTGRES_PASSWORD=", "POSTGRES_PASSWORD=secret")
    beside = configure("docker-compose.yml", settings, "gpu")
    for name, service in services.items():
        assert {key: value for key, value in service.items() if key not in OWN} == {
            key: value for key, value in beside[name].items() if key not in OWN
        }, name
        assert not service.get("ports"), name
        assert [volume["target"] for volume in service["volumes"]] == ["/var/cache/grader"], name


def test_a_gpu_worker_gets_the_gpus_that_env_names_and_nvml(services: Services) -> None:
    def devices(service: Services) -> object:
        (device,) = service["deploy"]["resources"]["reservations"]["devices"]
        return device["count"]

    assert devices(services["worker-gpu"]) == -1, "all"
    two = configure(FILE, fill({**SECRETS, "GRADER_GPUS": "2", "GRADER_GPU_QUEUE": "gpu-small"}), "gpu")["worker-gpu"]
    assert devices(two) == 2
    assert "gpu-small" in two["command"]
    assert "utility" in two["environment"]["NVIDIA_DRIVER_CAPABILITIES"].split(",")
    assert "devices" not in services["worker-cpu"]["deploy"]["resources"].get("reservations", {})


def test_a_variable_of_the_object_store_that_env_leaves_out_is_not_set(services: Services) -> None:
    assert services["worker-cpu"]["environment"]["AWS_ENDPOINT_URL"] is None
    with_endpoint = configure(FILE, fill(SECRETS) + "AWS_ENDPOINT_URL=https://store.example\n", "cpu")
    assert with_endpoint["worker-cpu"]["environment"]["AWS_ENDPOINT_URL"] == "https://store.example"


def test_no_system_call_that_cuda_is_known_to_make_is_forbidden() -> None:
    """The driver is asked with ioctl; the rest is about memory and where it lies (NUMA), threads and events."""
    profile = json.loads((ROOT / "deploy" / "seccomp-worker.json").read_text("utf-8"))
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    (forbidden,) = (set(rule["names"]) for rule in profile["syscalls"])
    calls = "ioctl mmap munmap mremap madvise mlock mbind get_mempolicy set_mempolicy sched_setaffinity memfd_create"
    assert not forbidden & {*calls.split(), "eventfd2", "poll", "pipe2", "socketpair", "sendmsg", "recvmsg", "clone3"}
