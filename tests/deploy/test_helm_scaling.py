"""KEDA's objects of the Helm chart: the fields are KEDA's, and a real database answers the queries as it should."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from grader.service.settings import Settings
from grader.service.store.database import Store, migrate
from tests.support.helm import Helm, Objects
from tests.support.postgresql import server
from tests.support.store_content import hand_in, token

# Of keda.sh/v1alpha1, as its resource definitions have them. Kubernetes drops a field that they do not have.
SPEC = {
    *(
        "scaleTargetRef",
        "minReplicaCount",
        "maxReplicaCount",
        "pollingInterval",
        "cooldownPeriod",
        "advanced",
        "triggers",
    )
}
TRIGGER = {"type", "name", "metricType", "metadata", "authenticationRef"}
JOBS = [
    # queue, state, seconds since it was handed in
    *[("gpu", "waiting", age) for age in (10, 899, 901, 5000)],
    *[("gpu", "leased", age) for age in (1, 4000)],
    ("gpu", "graded", 9000),
    ("gpu", "failed", 9000),
    ("gpu", "cancelled", 9000),
    ("gpu-small", "waiting", 9000),
    ("cpu", "waiting", 400),
]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Objects:
    return Helm(tmp_path_factory.mktemp("helm")).render("gpu")


def scaled(objects: Objects) -> dict[str, dict[str, Any]]:
    """Return the specification of each scaled object, by what it scales."""
    found = [item["spec"] for item in objects if item["kind"] == "ScaledObject"]
    return {spec["scaleTargetRef"]["name"]: spec for spec in found}


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection[tuple[int]]]:
    """A migrated database with JOBS, as a role that may read the table `grading` and nothing else."""
    with server() as running:
        url = running.create()
        settings = Settings(database=url, blobs="memory://scaling")
        migrate(settings)
        store = Store.open(settings)
        hand_in(store, token(store, "prof"), len(JOBS))
        store.close()
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            ids = [row[0] for row in connection.execute("SELECT id FROM grading")]
            for job, (queue, state, seconds) in zip(ids, JOBS, strict=True):
                change = "UPDATE grading SET queue = %s, state = %s, created_at = created_at - %s WHERE id = %s"
                connection.execute(change, (queue, state, seconds, job))
            connection.execute("CREATE ROLE scaling")
            connection.execute("GRANT SELECT ON grading TO scaling")
            connection.execute("SET ROLE scaling")
            yield connection


def test_what_is_scaled_has_no_number_of_its_own(objects: Objects) -> None:
    """Otherwise each `helm upgrade` would set it back."""
    deployments = {item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "Deployment"}
    assert scaled(objects).keys() == {"grader-worker-cpu", "grader-worker-gpu"}
    for name, spec in deployments.items():
        assert ("replicas" in spec) is (name not in scaled(objects)), name


def test_every_field_is_one_of_keda_s(objects: Objects) -> None:
    (authentication,) = [item for item in objects if item["kind"] == "TriggerAuthentication"]
    assert authentication["spec"] == {
        "secretTargetRef": [{"parameter": "connection", "name": "grader-scaling", "key": "connection"}]
    }
    for spec in scaled(objects).values():
        assert spec.keys() == SPEC
        names = [trigger["name"] for trigger in spec["triggers"]]
        assert len(set(names)) == len(names)
        for trigger in spec["triggers"]:
            assert trigger.keys() == TRIGGER
            assert trigger["authenticationRef"] == {"name": authentication["metadata"]["name"]}
            assert trigger["metadata"].keys() == {"query", "targetQueryValue"}
            assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA reads text only"


def test_a_busy_worker_is_given_time_before_fewer_are_wanted(objects: Objects) -> None:
    for spec in scaled(objects).values():
        down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] == spec["cooldownPeriod"] == 600
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


@pytest.mark.parametrize(
    ("deployment", "trigger", "wanted"),
    [
        ("gpu", "jobs", 3),  # six waiting or running, two for each worker
        ("gpu", "age", 4),  # two that run, two that have waited for more than 900 s
        ("cpu", "jobs", 1),  # one, four for each worker
        ("cpu", "age", 1),  # it has waited for more than 300 s
    ],
)
def test_the_queries_count_running_jobs_and_those_that_wait_too_long(
    objects: Objects, database: psycopg.Connection[tuple[int]], deployment: str, trigger: str, wanted: int
) -> None:
    spec = scaled(objects)[f"grader-worker-{deployment}"]
    (metadata,) = (each["metadata"] for each in spec["triggers"] if each["name"] == trigger)
    ((value,),) = database.execute(metadata["query"].encode()).fetchall()
    assert -(-value // int(metadata["targetQueryValue"])) == wanted, "as Kubernetes rounds it"
