"""`grader doctor --gpu`: the driver, the GPUs, and what a kernel in the sandbox makes of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grader.errors import InputError, SystemFault

if TYPE_CHECKING:
    from grader.gpu.checkup import GPUCheckup
    from grader.gpu.device import GPU
    from grader.gpu.driver import Driver
    from grader.sandbox.host.device_probe import KernelView
    from grader.sandbox.host.sandbox import Sandbox
    from grader.sandbox.protocol.limits import Limits

__all__ = ["ProbeKernel", "describe_gpu_checkup", "examine_gpus", "probe_kernel"]

ProbeKernel = Callable[["GPU"], "KernelView"]


def examine_gpus(driver: Driver | str, torch: tuple[str, str | None], probe: ProbeKernel) -> dict[str, Any]:
    """Return all that is known of the GPUs as plain values; "complete" says whether all is well.

    Args:
        driver: the driver, or why there is none.
        torch: torch's version, and the version of CUDA that it was built with, if any.
        probe: computes on a GPU in a sandbox.
    """
    values: dict[str, Any] = {"complete": False, "driver": None, "torch": torch[0], "cuda_of_torch": torch[1]}
    if isinstance(driver, str):
        return {**values, "problems": [driver], "gpus": []}
    from grader.gpu.checkup import check_gpus
    from grader.gpu.own import list_visible

    checkup = check_gpus(driver, torch[1])
    problems = list(checkup.problems)
    try:
        visible = list_visible(driver)
    except InputError as error:
        visible = ()
        problems.append(str(error))
    if checkup.gpus and not visible and problems == list(checkup.problems):
        problems.append("CUDA_VISIBLE_DEVICES hides all GPUs")
    gpus = [_examine(item, probe, item.gpu in visible) for item in checkup.gpus]
    complete = not problems and not any(gpu["problems"] for gpu in gpus)
    return {
        **values,
        "complete": complete,
        "driver": checkup.driver,
        "cuda": checkup.cuda,
        "problems": problems,
        "gpus": gpus,
    }


def probe_kernel(
    driver: Driver, gpu: GPU, limits: Limits, open_sandbox: Callable[[], AbstractContextManager[Sandbox]]
) -> KernelView:
    """Compute on a GPU in a sandbox, and see to what is left there.

    Args:
        driver: the driver.
        gpu: the GPU.
        limits: the limits of the sandbox.
        open_sandbox: starts a sandbox with access to the GPU.

    Raises:
        InputError: a worker uses the GPU, or something that access to it needs is missing.
        SystemFault: the sandbox broke, or the GPU, or its memory did not come back.
    """
    from grader.gpu.exclusive import hold_gpu
    from grader.gpu.health import check_health
    from grader.gpu.memory import require_memory_back
    from grader.sandbox.host.device_probe import probe_device

    with hold_gpu(gpu):
        with require_memory_back(driver, gpu), open_sandbox() as sandbox:
            view = probe_device(sandbox, limits, gpu.uuid)
        check_health(driver, gpu)
    return view


def _examine(checkup: GPUCheckup, probe: ProbeKernel, is_visible: bool) -> dict[str, Any]:
    problems, view = list(checkup.problems), None
    if is_visible and not problems:  # what is known to be broken is not asked to compute
        try:
            view = probe(checkup.gpu)
        except (InputError, SystemFault) as error:
            problems.append(f"in the sandbox: {error}")
        else:
            problems += [f"in the sandbox: {view.problem}"] if view.problem else []
    return {
        **asdict(checkup.gpu),
        "used_bytes": checkup.used_bytes,
        "processes": [asdict(process) for process in checkup.processes],
        "settings": asdict(checkup.settings),
        "kernel": None if view is None else asdict(view),
        "hidden": not is_visible,
        "problems": problems,
        "advice": list(checkup.advice),
    }


def describe_gpu_checkup(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of `examine_gpus` as lines, and at the end what to do."""
    built = f"built with CUDA {values['cuda_of_torch']}" if values["cuda_of_torch"] else "built without CUDA"
    if values["driver"] is not None:
        yield f"driver: {values['driver']}, for CUDA up to {values['cuda']}; torch {values['torch']} was {built}"
    for gpu in values["gpus"]:
        yield from _describe(gpu)
    for problem in values["problems"]:
        yield f"to do: {problem}"
    for gpu in values["gpus"]:
        yield from (f"to do for {_name(gpu)}: {problem}" for problem in gpu["problems"])
        yield from (f"advice for {_name(gpu)}: {advice}" for advice in gpu["advice"])


def _name(gpu: Mapping[str, Any]) -> str:
    return f"{'slice of ' if gpu['gpu_instance'] is not None else ''}GPU {gpu['index']} ({gpu['uuid']})"


def _describe(gpu: Mapping[str, Any]) -> Iterator[str]:
    used = "" if gpu["used_bytes"] is None else f", {_gib(gpu['used_bytes'])} in use"
    states = "".join(f", {text}" for text in _describe_settings(gpu["settings"]))
    yield f"{_name(gpu)}: {gpu['name']}, {_gib(gpu['memory_bytes'])}{used}{states}"
    for process in gpu["processes"]:
        size = "" if process["used_bytes"] is None else f", {_gib(process['used_bytes'])}"
        yield f"  used by process {process['pid']}{size}"
    view = gpu["kernel"]
    if view is None:
        yield f"  no kernel was run: {'CUDA_VISIBLE_DEVICES hides it' if gpu['hidden'] else 'see below'}"
    elif view["difference"] is not None:
        yield (
            f"  a kernel in the sandbox saw {', '.join(view['devices'])}; a product of matrices there differs by "
            f"{view['difference']:.1e} from the CPU's; {view['seconds']:.1f} s; memory given back"
        )


def _describe_settings(settings: Mapping[str, Any]) -> Sequence[str]:
    names = {"mig": "MIG", "ecc": "ECC", "persistence": "persistence mode"}
    switches = [f"{names[key]} {'on' if settings[key] else 'off'}" for key in names if settings[key] is not None]
    mode = settings["compute_mode"]
    return [*switches, *([f"compute mode {mode}"] if mode not in (None, "default") else [])]


def _gib(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
