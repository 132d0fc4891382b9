"""A missing layer is named with its reason and its remedy, in one sentence."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from grader.errors import InputError
from grader.sandbox.host import required_layers
from grader.sandbox.host.required_layers import (
    REQUIRED,
    describe_missing,
    find_missing,
    find_remedy,
    require_layers,
    require_layers_for_device,
)
from grader.sandbox.jail.layer_log import LAYERS
from grader.sandbox.protocol.layers import LayerStatus


def layers(**off: str) -> list[LayerStatus]:
    """Return all layers; those named (with _ for a blank) do not hold, for the given reason."""
    reasons = {name.replace("_", " "): reason for name, reason in off.items()}
    return [LayerStatus(name, name not in reasons, reasons.get(name, "")) for name in LAYERS]


def settings(folder: Path, **values: str) -> Path:
    """Write settings of a kernel; __ stands for a slash."""
    for name, value in values.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{value}\n")
    return folder


def test_every_required_layer_is_a_layer() -> None:
    assert set(REQUIRED) <= set(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_strangers_work_needs_the_required_layers_and_no_others(name: str) -> None:
    held = [LayerStatus(other, other != name, "because" if other == name else "") for other in LAYERS]
    assert [layer.name for layer in find_missing(held)] == ([name] if name in REQUIRED else [])
    refused = pytest.raises(InputError, match=f"no {name} .{name}: because.: .*--unsafe")
    with refused if name in REQUIRED else nullcontext():
        require_layers(held)


def test_the_reason_is_the_first_layer_that_failed() -> None:
    text = describe_missing(
        layers(
            user_namespace="the limit on namespaces is reached",
            mount_namespace="needs the user namespace",
            net_namespace="needs the user namespace",
            private_file_system="needs the mount namespace",
        )
    )
    assert text.startswith(
        "the sandbox on this machine has no mount namespace, net namespace and private file system "
        "(user namespace: the limit on namespaces is reached): "
    )
    assert "\n" not in text


def test_nothing_is_said_if_all_required_layers_hold() -> None:
    assert describe_missing(layers(memory_cgroup="needs root", unprivileged_user="needs root")) == ""


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"kernel__unprivileged_userns_clone": "0"}, "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        ({"user__max_user_namespaces": "0"}, "sudo sysctl -w user.max_user_namespaces=10000"),
        (
            {"kernel__apparmor_restrict_unprivileged_userns": "1"},
            "load the AppArmor profile deploy/apparmor-worker as its first lines say, or "
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"user__max_user_namespaces": "0", "user__max_net_namespaces": "0"},
            "sudo sysctl -w user.max_user_namespaces=10000 user.max_net_namespaces=10000",
        ),
    ],
)
def test_the_remedy_is_the_setting_that_forbids_it(tmp_path: Path, values: dict[str, str], remedy: str) -> None:
    good = {"kernel__unprivileged_userns_clone": "1", "user__max_mnt_namespaces": "96364"}
    folder = settings(tmp_path, **{**good, **values})
    assert find_remedy(LayerStatus("mount namespace", False, "because"), folder) == remedy


@pytest.mark.parametrize(("filtered", "remedy"), [(True, "deploy/seccomp-worker.json"), (False, "grade on a machine")])
def test_without_such_a_setting_it_is_the_container_or_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filtered: bool, remedy: str
) -> None:
    monkeypatch.setattr(required_layers, "_is_filtered", lambda: filtered)
    assert remedy in find_remedy(LayerStatus("net namespace", False, "because"), tmp_path)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_has_a_remedy_if_it_does_not_hold(name: str) -> None:
    assert find_remedy(LayerStatus(name, False, "because"))
    assert find_remedy(LayerStatus(name, True)) == ""


def test_a_device_needs_a_sandbox_with_a_proc_of_its_own() -> None:
    held = layers()
    require_layers_for_device(held)
    remark = LayerStatus("private file system", True, "without /proc: Operation not permitted")
    with pytest.raises(InputError, match=r"no /proc of its own .without /proc: .*systempaths=unconfined"):
        require_layers_for_device([remark if layer.name == remark.name else layer for layer in held])
    with pytest.raises(InputError, match=r"no /proc of its own .needs the mount namespace.: ."):
        require_layers_for_device(layers(private_file_system="needs the mount namespace"))
