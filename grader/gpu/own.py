"""Which GPU a process is to use: CUDA_VISIBLE_DEVICES and `grader worker --devices` name it.

CUDA_VISIBLE_DEVICES is read as CUDA reads it, except that a name which CUDA would silently take for no GPU at all is an
error. NVIDIA_VISIBLE_DEVICES is not read: it tells the container toolkit what to put into a container, and the driver
lists only that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from grader.errors import InputError
from grader.gpu.device import GPU
from grader.gpu.driver import Driver
from grader.spelling import offer

__all__ = ["describe_gpus", "find_own_gpu", "list_selected", "list_visible"]

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ORDER = "CUDA_DEVICE_ORDER"
_NONE = ("", "-1", "NoDevFiles", "none", "void")  # the last three: Slurm's, and the container toolkit's by mistake


def find_own_gpu(driver: Driver | None, environ: Mapping[str, str] | None = None) -> GPU | None:
    """Return the GPU that CUDA_VISIBLE_DEVICES names or, if it is not set, the only one.

    Args:
        driver: the driver; None if this machine has none, and then no GPU either.
        environ: the environment, this process's unless given.

    Returns:
        None if there is no GPU, or CUDA_VISIBLE_DEVICES says to use none.

    Raises:
        InputError: there are several, or the one named is not there.
    """
    if driver is None:
        return None
    gpus = list_visible(driver, environ)
    if len(gpus) > 1:
        raise InputError(
            f"one process uses one GPU, and this one may see {len(gpus)}: set {_VISIBLE} to one of them, "
            f"or start one worker for each with: grader worker --devices all\n{describe_gpus(gpus)}"
        )
    return gpus[0] if gpus else None


def list_visible(driver: Driver, environ: Mapping[str, str] | None = None) -> tuple[GPU, ...]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, all if it is not set.

    Args:
        driver: the driver.
        environ: the environment, this process's unless given.

    Raises:
        InputError: one that is named is not there, or its number has no certain meaning.
    """
    environ = os.environ if environ is None else environ
    gpus = driver.list_gpus()
    text = environ.get(_VISIBLE)
    if text is None:
        return gpus
    if text.strip() in _NONE:
        return ()
    names = [name.strip() for name in text.split(",")]
    if "-1" in names:  # CUDA takes what stands before it
        names = names[: names.index("-1")]
    if any(name.isdecimal() for name in names) and not _is_order_certain(gpus, environ):
        raise InputError(
            f"{_VISIBLE}={text} counts the GPUs as CUDA does, the fastest first, and this machine has several kinds: "
            f"set {_ORDER}=PCI_BUS_ID, so that both count as nvidia-smi does, or name a UUID\n{describe_gpus(gpus)}"
        )
    return _find_all(driver, gpus, names, _VISIBLE, one_slice=True)


def list_selected(driver: Driver, selection: str, environ: Mapping[str, str] | None = None) -> tuple[GPU, ...]:
    """Return the GPUs that a selection names, each once.

    Args:
        driver: the driver.
        selection: "all", which is all that CUDA_VISIBLE_DEVICES leaves; or numbers as nvidia-smi counts them, and
            UUIDs or how they begin, separated by commas. The number of a GPU in MIG mode means all of its slices.
        environ: the environment, this process's unless given.

    Raises:
        InputError: there is no GPU, or none of a name.
    """
    if selection.strip() == "all":
        gpus = list_visible(driver, environ)
    else:
        names = [name.strip() for name in selection.split(",") if name.strip()]
        gpus = _find_all(driver, driver.list_gpus(), names, "--devices", one_slice=False)
    if not gpus:
        hint = f"; {_VISIBLE} hides them" if driver.list_gpus() else ""
        raise InputError("\n".join((f"no GPU to use{hint}; `grader doctor --gpu` says more", *driver.list_problems())))
    return gpus


def describe_gpus(gpus: Iterable[GPU]) -> str:
    """Return a line for each GPU: its number, its UUID, its name and its memory."""
    return "\n".join(f"  {gpu.index}  {gpu.uuid}  {gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB" for gpu in gpus)


def _is_order_certain(gpus: tuple[GPU, ...], environ: Mapping[str, str]) -> bool:
    """Return whether CUDA's numbers are the driver's, which counts by PCI bus."""
    return environ.get(_ORDER) == "PCI_BUS_ID" or len({gpu.name for gpu in gpus if not gpu.is_slice}) <= 1


def _find_all(driver: Driver, gpus: tuple[GPU, ...], names: list[str], where: str, one_slice: bool) -> tuple[GPU, ...]:
    found: dict[str, GPU] = {}
    for name in names:
        matches = _match(gpus, name)
        if not matches:
            known = [*(str(index) for index in sorted({gpu.index for gpu in gpus})), *(gpu.uuid for gpu in gpus)]
            near = offer(name, known) if gpus else "the driver lists none"
            raise InputError(
                "\n".join((f"{where}: no GPU {name!r}; {near}", describe_gpus(gpus), *driver.list_problems()))
            )
        if len(matches) > 1 and not (name.isdecimal() and not one_slice):
            what = f"GPU {name} is divided into slices" if name.isdecimal() else f"{name!r} begins several UUIDs"
            raise InputError(f"{where}: {what}, name one by its whole UUID:\n{describe_gpus(matches)}")
        found.update((gpu.uuid, gpu) for gpu in matches)
    return tuple(found.values())


def _match(gpus: tuple[GPU, ...], name: str) -> tuple[GPU, ...]:
    """Return the GPUs that a number or a UUID names. CUDA knows the beginning of a GPU's UUID, not of a slice's."""
    if name.isdecimal():
        return tuple(gpu for gpu in gpus if gpu.index == int(name))
    exact = tuple(gpu for gpu in gpus if gpu.uuid == name)
    if exact or not name.startswith("GPU-") or name == "GPU-":
        return exact
    return tuple(gpu for gpu in gpus if not gpu.is_slice and gpu.uuid.startswith(name))
