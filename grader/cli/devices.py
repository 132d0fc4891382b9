"""The option `--devices` of commands that grade: the GPUs that notebooks and trainings may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import typer

from grader.errors import InputError

if TYPE_CHECKING:
    from grader.gpu.device import GPU

__all__ = ["DEVICES", "hold_one", "hold_selected"]

DEVICES: Any = typer.Option(
    metavar="LIST",
    help="GPUs to use in mode full, each for one submission at a time: all, or numbers or UUIDs with commas. The "
    "assignment decides whether cells may use them; see docs/gpu.md.",
    show_default="none for cells",
)


@contextmanager
def hold_selected(devices: str) -> Iterator[tuple[GPU, ...]]:
    """Yield the selected GPUs, which no other grader on this machine has meanwhile; none if nothing is selected.

    Args:
        devices: what the option was given; "" for nothing.

    Raises:
        InputError: there is no driver or no such GPU, or another grader has one of them.
    """
    if not devices:
        yield ()
        return
    from grader.gpu.exclusive import hold_gpu
    from grader.gpu.nvml import explain_no_driver, open_driver
    from grader.gpu.own import list_selected

    driver = open_driver()
    if driver is None:
        raise InputError(f"--devices {devices}: {explain_no_driver()}")
    with ExitStack() as held:
        gpus = list_selected(driver, devices)
        for gpu in gpus:
            held.enter_context(hold_gpu(gpu))
        yield gpus


@contextmanager
def hold_one(devices: str) -> Iterator[GPU | None]:
    """Yield the selected GPU, which no other grader on this machine has meanwhile; None if nothing is selected.

    Raises:
        InputError: more than one GPU is selected, or `hold_selected` raises it.
    """
    with hold_selected(devices) as gpus:
        if len(gpus) > 1:
            listed = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in gpus)
            raise InputError(
                f"--devices {devices} stands for several GPUs, and one submission uses one: give one of {listed}"
            )
        yield gpus[0] if gpus else None
