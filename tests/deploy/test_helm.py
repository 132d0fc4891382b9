"""The Helm chart, rendered by helm for each example: the objects are Kubernetes', locked in, and fit together."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from ruamel.yaml import YAML

from grader.service.settings import Settings
from tests.support.helm import CHART, Helm, Objects
from tests.support.parsed_commands import parse
from tests.support.paths import ROOT

EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))
SECRET = {"GRADER_DATABASE", "GRADER_BROKER"}
SETTINGS = {f"GRADER_{field.name.upper()}" for field in dataclasses.fields(Settings)}
OTHERS = {"FORWARDED_ALLOW_IPS", "TMPDIR", "GRADER_CACHE", "NVIDIA_DRIVER_CAPABILITIES"}
NAME = "app.kubernetes.io/component"

Pod = Mapping[str, Any]


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return Helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module", params=EXAMPLES)
def objects(helm: Helm, request: pytest.FixtureRequest) -> Objects:
    """What helm makes of one example; Kubernetes' schema has accepted it."""
    return helm.render(request.param)


@pytest.fixture(scope="module")
def gpu(helm: Helm) -> Objects:
    return helm.render("gpu")


def kinds(objects: Objects, kind: str) -> list[dict[str, Any]]:
    return [item for item in objects if item["kind"] == kind]


def pods(objects: Objects) -> Iterator[tuple[str, Mapping[str, str], Pod]]:
    """Yield component, labels and specification of the pods of each Deployment and Job."""
    for item in kinds(objects, "Deployment") + kinds(objects, "Job"):
        template = item["spec"]["template"]
        yield template["metadata"]["labels"][NAME], template["metadata"]["labels"], template["spec"]


def find_worker(objects: Objects, name: str) -> Pod:
    (spec,) = (spec for component, _, spec in pods(objects) if component == f"worker-{name}")
    return spec


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a selector selects what has these labels."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    return wanted and all(
        rule["operator"] == "In" and labels.get(rule["key"]) in rule["values"]
        for rule in selector.get("matchExpressions", [])
    )


@pytest.mark.parametrize("example", EXAMPLES)
def test_helm_finds_nothing_to_complain_about(helm: Helm, example: str) -> None:
    done = helm.run("lint", "--strict", ".", "--values", f"examples/{example}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_nothing_is_installed_without_what_has_no_default(helm: Helm) -> None:
    done = helm.run("template", "grader", ".")
    assert done.returncode != 0
    for missing in ("repository", "/secrets/api", "/secrets/workers", "/secrets/migrations", "GRADER_BLOBS"):
        assert missing in done.stderr
    for peer in ("database", "broker"):
        assert f"/network/{peer}/to" in done.stderr, "an empty list would be everywhere"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("settings.GRADER_DATABASE=postgresql://x", "GRADER_DATABASE"),  # a secret
        ("settings.GRADER_LEASE=60", "GRADER_LEASE"),
        ("workers[0].queue=gpu_small", "pattern"),
        ("workers[0].gpus.count=1", "/workers/0"),  # queue cpu
        ("workers[1].gpus=null", "gpus"),  # queue gpu
        ("workers[0].replicas=2", "oneOf"),  # beside `scaling`
        ("workers[0].privileged=true", "privileged"),
        ("secrets.scaling=", "secrets.scaling"),
        ("ingress.enabled=true", "/ingress"),  # without a host
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(helm: Helm, value: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        helm.render("gpu", "--set", value)


@pytest.mark.parametrize("everywhere", ["[]", "[{}]", '[{"podSelector": {}}]'])
def test_a_destination_that_would_be_everywhere_is_refused(helm: Helm, everywhere: str) -> None:
    with pytest.raises(ValueError, match="/network/database/to"):
        helm.render("gpu", "--set-json", f"network.database.to={everywhere}")


def test_no_pod_can_do_more_than_it_needs(objects: Objects) -> None:
    for component, _, spec in pods(objects):
        assert spec["automountServiceAccountToken"] is False, component
        assert spec["enableServiceLinks"] is False, "GRADER_... of a service would be read as a setting"
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys(), component
        assert spec["securityContext"]["runAsNonRoot"] is True, component
        assert spec["securityContext"]["runAsUser"] == 10001, component  # as in the Dockerfile
        assert all({"emptyDir", "persistentVolumeClaim"} & volume.keys() for volume in spec["volumes"]), component
        (container,) = spec["containers"]
        rights = container["securityContext"]
        assert not rights.get("privileged"), component
        assert rights["allowPrivilegeEscalation"] is False, component
        assert rights["readOnlyRootFilesystem"] is True, component
        assert rights["capabilities"] == {"drop": ["ALL"]}, component
        assert {"cpu", "memory", "ephemeral-storage"} <= container["resources"]["limits"].keys(), component
        worker = component.startswith("worker-")
        if worker:
            memory = [container["resources"][bound]["memory"] for bound in ("requests", "limits")]
            assert memory[0] == memory[1], "a worker that exceeds what it asked for would be the first to go"
        assert (spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault") is not worker, component


def test_proc_is_unmasked_only_in_a_user_namespace_of_the_pod_s_own(objects: Objects) -> None:
    """Kubernetes refuses one without the other."""
    for component, _, spec in pods(objects):
        unmasked = spec["containers"][0]["securityContext"].get("procMount") == "Unmasked"
        assert unmasked == (spec.get("hostUsers") is False), component


def test_a_gpu_worker_can_run_where_pod_security_is_restricted(helm: Helm) -> None:
    """The rules of the level `restricted`, as far as the other tests here do not require more."""
    profile = '{"type": "Localhost", "localhostProfile": "grader-worker"}'
    spec = find_worker(helm.render("gpu", "--set-json", f"sandbox.appArmorProfile={profile}"), "gpu")
    (container,) = spec["containers"]
    for security in (spec["securityContext"], container["securityContext"]):
        assert security.get("appArmorProfile", {"type": "Localhost"})["type"] == "Localhost"
        assert security.get("seccompProfile", {"type": "Localhost"})["type"] == "Localhost"
        assert not {"procMount", "seLinuxOptions", "sysctls", "windowsOptions"} & security.keys()
    assert "ports" not in container


def test_the_profile_that_nodes_need_is_the_one_of_docker(objects: Objects) -> None:
    profiles = {
        spec["securityContext"]["seccompProfile"]["localhostProfile"]
        for component, _, spec in pods(objects)
        if component.startswith("worker-")
    }
    (profile,) = profiles
    assert (ROOT / "deploy" / profile.rpartition("/")[2]).exists()


def test_every_command_is_one_of_the_grader_s(objects: Objects) -> None:
    for component, _, spec in pods(objects):
        options = parse(spec["containers"][0]["args"])
        if component.startswith("worker-"):
            assert options["queue"], component
        elif component == "api":
            assert options["port"] == 8000


def test_every_variable_is_a_setting_and_secrets_stay_in_secrets(objects: Objects) -> None:
    assert not kinds(objects, "Secret")
    for component, _, spec in pods(objects):
        variables = {item["name"]: item for item in spec["containers"][0]["env"]}
        assert variables.keys() <= SETTINGS | OTHERS, component
        assert len(variables) == len(spec["containers"][0]["env"]), "no variable is there twice"
        secret = {"migrations": "grader-migrations", "api": "grader-api"}.get(component, "grader-workers")
        for name in SECRET & variables.keys():
            assert variables[name]["valueFrom"]["secretKeyRef"] == {"name": secret, "key": name}, component
        assert (variables.keys() & SECRET == SECRET) == (component != "migrations"), component


def test_a_worker_keeps_its_cache_in_a_folder_that_it_makes_itself(objects: Objects) -> None:
    """The folder of a volume belongs to root and is open to everybody."""
    for component, _, spec in pods(objects):
        if component.startswith("worker-"):
            (container,) = spec["containers"]
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            (cache,) = (item["value"] for item in container["env"] if item["name"] == "GRADER_CACHE")
            assert cache.startswith(f"{mounts['cache']}/"), component


def test_the_schema_of_values_knows_the_settings() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    known = set(schema["properties"]["settings"]["propertyNames"]["enum"])
    assert known == SETTINGS - SECRET


def test_the_api_is_restarted_only_if_it_does_not_answer(objects: Objects) -> None:
    ((_, _, spec),) = (each for each in pods(objects) if each[0] == "api")
    (container,) = spec["containers"]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert paths == {"startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready"}
    routes = "".join(path.read_text("utf-8") for path in (ROOT / "grader" / "service" / "api" / "routes").glob("*.py"))
    assert all(f'"{path}"' in routes for path in set(paths.values()))
    assert spec["terminationGracePeriodSeconds"] > 20 + 5, "the time that `grader serve` gives, and the sleep"


def test_a_worker_is_asked_what_compose_asks_it_and_never_restarted(objects: Objects) -> None:
    parts = YAML(typ="safe").load(ROOT / "deploy" / "compose" / "parts.yml")
    _, *command = parts["services"]["worker"]["healthcheck"]["test"]
    for component, _, spec in pods(objects):
        if component.startswith("worker-"):
            (container,) = spec["containers"]
            assert container["readinessProbe"]["exec"]["command"] == command, component
            assert container["readinessProbe"]["timeoutSeconds"] == 20, (
                "the default of 1 s is over before torch is there"
            )
            assert "livenessProbe" not in container, "the job that runs would be lost"


def test_selectors_select_their_own_pods_and_no_others(objects: Objects) -> None:
    components = {component: labels for component, labels, _ in pods(objects)}
    for deployment in kinds(objects, "Deployment"):
        own = deployment["spec"]["template"]["metadata"]["labels"][NAME]
        chosen = [name for name, labels in components.items() if selects(deployment["spec"]["selector"], labels)]
        assert chosen == [own]
    budgets = [
        [name for name, labels in components.items() if selects(budget["spec"]["selector"], labels)]
        for budget in kinds(objects, "PodDisruptionBudget")
    ]
    assert sorted(budgets) == sorted([name] for name in components if name != "migrations")
    for budget in kinds(objects, "PodDisruptionBudget"):
        assert "minAvailable" not in budget["spec"], "with one replica no node could be drained"
    with_pods = [item for item in kinds(objects, "Service") if "selector" in item["spec"]]
    (service,) = with_pods
    assert [
        name for name, labels in components.items() if selects({"matchLabels": service["spec"]["selector"]}, labels)
    ] == ["api"]


def test_workers_reach_only_what_they_need_and_nothing_reaches_them(objects: Objects) -> None:
    policies = kinds(objects, "NetworkPolicy")
    for component, labels, _ in pods(objects):
        (policy,) = (each["spec"] for each in policies if selects(each["spec"]["podSelector"], labels))
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        for rule in policy["egress"] + policy["ingress"]:
            peers = rule.get("to") or rule.get("from")
            assert peers, "a rule without peers is about the whole world"
            assert all(peers), component
            assert rule["ports"], component
        assert bool(policy["ingress"]) <= (component == "api"), component


def test_egress_is_to_the_ports_of_the_values(helm: Helm, gpu: Objects) -> None:
    def ports(objects: Objects) -> dict[str, list[int]]:
        return {
            policy["metadata"]["name"]: [port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]]
            for policy in kinds(objects, "NetworkPolicy")
        }

    service = [53, 53, 5432, 6380, 443]
    assert ports(gpu) == {"grader-api": service, "grader-workers": service, "grader-migrations": [53, 53, 5432]}
    assert ports(helm.render("kata"))["grader-workers"] == [53, 53, 5432, 6379], "blobs are on a volume"
    assert not ports(helm.render("gpu", "--set", "network.policies=false"))


def test_the_metrics_are_not_behind_the_ingress(helm: Helm) -> None:
    objects = helm.render("cpu")
    (ingress,) = kinds(objects, "Ingress")
    services = {item["metadata"]["name"]: item["spec"] for item in kinds(objects, "Service")}
    (rule,) = ingress["spec"]["rules"]
    leads = {path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]}
    assert "selector" not in services[leads["/metrics"]]
    assert services[leads["/"]]["selector"][NAME] == "api"
    assert not kinds(helm.render("kata"), "Ingress")


def test_the_tables_are_migrated_before_anything_else_by_their_owner(objects: Objects) -> None:
    (job,) = kinds(objects, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    spec = job["spec"]["template"]["spec"]
    made = {item["metadata"]["name"] for item in objects}
    assert spec.get("serviceAccountName", "default") not in made, "the hook runs before the chart's objects are there"
    assert parse(spec["containers"][0]["args"]) == {}


def test_a_gpu_worker_has_its_device_and_time_to_finish(gpu: Objects) -> None:
    for name, resource in (("gpu", "nvidia.com/gpu"), ("gpu-small", "nvidia.com/mig-1g.10gb")):
        spec = find_worker(gpu, name)
        (container,) = spec["containers"]
        assert container["resources"]["limits"][resource] == 1
        assert container["args"] == ["grader", "worker", "--queue", name, "--devices", "all"]
        variables = {item["name"]: item.get("value") for item in container["env"]}
        assert variables["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
        assert spec["terminationGracePeriodSeconds"] == 3600, "as in compose"
    spec = find_worker(gpu, "cpu")
    assert not [key for key in spec["containers"][0]["resources"]["limits"] if "nvidia" in key]
    assert "NVIDIA_DRIVER_CAPABILITIES" not in {item["name"] for item in spec["containers"][0]["env"]}


def test_blobs_on_a_volume_are_mounted_where_the_setting_says(helm: Helm) -> None:
    for component, _, spec in pods(helm.render("kata")):
        if component != "migrations":
            (container,) = spec["containers"]
            url = next(item["value"] for item in container["env"] if item["name"] == "GRADER_BLOBS")
            mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
            assert url == f"file://{mounts['blobs']}"
            assert {"name": "blobs", "persistentVolumeClaim": {"claimName": "grader-blobs"}} in spec["volumes"]


def test_the_notes_name_each_kind_of_worker_and_what_it_lacks(helm: Helm) -> None:
    done = helm.run("install", "grader", ".", "--dry-run=client", "--values", "examples/gpu.yaml")
    assert done.returncode == 0, done.stderr
    _, _, notes = done.stdout.partition("NOTES:")
    for name in ("cpu", "gpu", "gpu-small"):
        assert f"deploy/grader-worker-{name} -- grader doctor\n" in notes
        assert (f'Workers "{name}" have no user namespace' in notes) is (name != "cpu")
    assert "There are no network policies" not in notes


def test_the_chart_is_of_this_version() -> None:
    chart = YAML(typ="safe").load(CHART / "Chart.yaml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert chart["kubeVersion"] == ">=1.30.0-0", "as in tests/support/helm.py"
    assert (chart["version"], chart["appVersion"]) == (project["version"], project["version"])
