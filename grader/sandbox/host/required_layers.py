"""The layers without which strangers' work is not graded, and what to do about a layer that does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.errors import InputError
from grader.sandbox.protocol.layers import LayerStatus

__all__ = [
    "REQUIRED",
    "accept_any_layers",
    "describe_missing",
    "find_missing",
    "find_remedy",
    "require_layers",
    "require_layers_for_device",
]

# Without one of these, a stranger's code sees files, processes or services of this machine, or is kept from them by a
# single wall. The other layers bound what it uses up, or are second walls.
REQUIRED = (
    "mount namespace",
    "pid namespace",
    "net namespace",
    "private file system",
    "capabilities",
    "no new privileges",
    "resource limits",
    "seccomp",
)
_NEED_NAMESPACES = (
    *("user namespace", "mount namespace", "pid namespace", "net namespace"),
    *("ipc namespace", "uts namespace", "private file system"),
)
# Settings of the kernel that forbid namespaces, each with the value that does, and one that does not.
_FORBIDDING = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    *((f"user.max_{kind}_namespaces", "0", "10000") for kind in ("user", "mnt", "pid", "net", "ipc", "uts")),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
_APPARMOR = "load the AppArmor profile deploy/apparmor-worker as its first lines say, or "
_REMEDIES = {
    "cpu cgroup": "run the grader as root, or grade fewer submissions at once",
    "memory cgroup": "run the grader as root, or bound its memory from outside (systemd: MemoryMax=)",
    "pids cgroup": "run the grader as root, or bound its processes from outside (systemd: TasksMax=)",
    "devices cgroup": "run the grader as root on a machine whose control groups it may make",
    "unprivileged user": "run the grader as root, or as a user who owns nothing else",
    "landlock": "use Linux 5.13 or later, with landlock in the kernel's parameter lsm=",
    "seccomp": "sudo apt-get install libseccomp2, on a kernel with CONFIG_SECCOMP_FILTER",
}
_IN_A_CONTAINER = "start the container with deploy/seccomp-worker.json and deploy/apparmor-worker (docs/operating.md)"
_ELSEWHERE = "grade on a machine whose kernel lets this user make namespaces (docs/operating.md)"


def find_missing(layers: Iterable[LayerStatus]) -> tuple[LayerStatus, ...]:
    """Return the required layers that do not hold."""
    return tuple(layer for layer in layers if layer.name in REQUIRED and not layer.on)


def accept_any_layers(_: Sequence[LayerStatus]) -> None:
    """Accept a sandbox for the user's own work, or because strangers' work may run in it all the same."""


def require_layers(layers: Sequence[LayerStatus]) -> None:
    """Make sure that strangers' work may run in a sandbox with these layers.

    Raises:
        InputError: a required layer does not hold. The message names it, the reason and the remedy.
    """
    if find_missing(layers):
        raise InputError(
            f"students' work is not graded here, because {describe_missing(layers)}, or accept the risk with --unsafe "
            "(GRADER_UNSAFE=1)"
        )


def require_layers_for_device(layers: Sequence[LayerStatus]) -> None:
    """Make sure that CUDA can read and name its own threads in a sandbox with these layers. If not, it does not start.

    Raises:
        InputError: the sandbox has no /proc of its own. The message says why, and what to do.
    """
    files = next(layer for layer in layers if layer.name == "private file system")
    if files.on and "without /proc" not in files.reason:
        return
    unmasked = "start the container with `--security-opt systempaths=unconfined` (Kubernetes: procMount: Unmasked)"
    raise InputError(
        f"a GPU cannot be used in the sandbox on this machine, which has no /proc of its own ({files.reason}): "
        f"{find_remedy(files) or unmasked}"
    )


def describe_missing(layers: Sequence[LayerStatus]) -> str:
    """Return in words which required layers do not hold, why, and what to do about it; "" if all hold."""
    missing = find_missing(layers)
    if not missing:
        return ""
    *others, last = [layer.name for layer in missing]
    names = f"{', '.join(others)} and {last}" if others else last
    causes = [layer for layer in layers if not layer.on and (layer in missing or layer.name == "user namespace")]
    roots = [layer for layer in causes if not layer.reason.startswith("needs the ")]
    reasons = "; ".join(f"{layer.name}: {layer.reason}" for layer in roots)
    remedies = " and ".join(dict.fromkeys(find_remedy(layer) for layer in roots))
    return f"the sandbox on this machine has no {names} ({reasons}): {remedies}"


def find_remedy(layer: LayerStatus, settings: Path = Path("/proc/sys")) -> str:
    """Return what to do about a layer that does not hold, in one line; "" if it holds.

    Args:
        layer: the layer.
        settings: the folder of the kernel's settings.
    """
    if layer.on:
        return ""
    if layer.name not in _NEED_NAMESPACES:
        return _REMEDIES.get(layer.name, "update the kernel")
    found = [f"{name}={good}" for name, bad, good in _FORBIDDING if _read(settings / name.replace(".", "/")) == bad]
    if found:
        return f"{_APPARMOR if 'apparmor' in found[-1] else ''}sudo sysctl -w {' '.join(found)}"
    return _IN_A_CONTAINER if _is_filtered() else _ELSEWHERE


def _is_filtered() -> bool:
    """Return whether this process has a system call filter, as in most containers."""
    return "\nSeccomp:\t2\n" in Path("/proc/self/status").read_text()


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
