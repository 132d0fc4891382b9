"""`grader doctor`: what this machine has, and what to do about the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from grader.cli.completion import complete_assignments
from grader.cli.console import (
    NOT_PASSED,
    PASSED,
    app,
    end_on_interrupt,
    handle_errors,
    refuse_unwritable,
    show_progress,
    write_text,
)
from grader.cli.help_pages import Section
from grader.errors import InputError

if TYPE_CHECKING:
    from grader.gpu.device import GPU
    from grader.gpu.driver import Driver
    from grader.sandbox.host.device_probe import KernelView
    from grader.sandbox.protocol.layers import LayerStatus

__all__ = ["doctor"]


@app.command(
    section=Section.MACHINE,
    examples="""
        grader doctor
        grader doctor --json machine.json
        grader doctor --gpu
    """,
)
def doctor(
    assignment: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The name of an assignment, or the path of its folder.",
            autocompletion=complete_assignments,
        ),
    ] = "hw2",
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Examine the GPUs instead: driver, memory, and what a sandboxed kernel sees.")
    ] = False,
    json_file: Annotated[
        str, typer.Option("--json", help="Write all of this as JSON to this file, - for standard output.")
    ] = "",
) -> None:
    """Show which sandbox layers hold, which packages are installed, what trainings would use, and the key.

    With --gpu, show the driver and the GPUs, and let a kernel in the sandbox compute on each.

    Exit codes: 0 every layer holds without which strangers' work is not graded, and every package can be imported, 1
    one of them does not; with --gpu, 0 every GPU can be used, 1 one cannot, or there is none.
    """
    if gpu:
        raise typer.Exit(PASSED if _examine_gpus(assignment, json_file) else NOT_PASSED)
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.installation_key import describe_key_file
        from grader.sandbox.host.required_layers import find_missing
        from grader.sandbox.host.sandbox import Zygote

        found = find_assignment(assignment)
        refuse_unwritable(json_file)
        progress("starting the sandbox")
        with Zygote(found.packages) as zygote, zygote.sandbox(found.limits) as sandbox:
            progress("")
            layers = _describe_layers(sandbox.layers)
            packages = {package: zygote.missing.get(package, "imported") for package in found.packages}
            complete = not find_missing(sandbox.layers) and not zygote.missing
        if json_file != "-":
            _print_machine(layers, packages)
        with end_on_interrupt():
            from grader.training.inventory import describe_training

        training = dict(describe_training())
        key = describe_key_file()
        if json_file != "-":
            _print_lines({**training, "key": f"{key.id} ({key.place or 'not kept, see GRADER_KEY_FILE'})"})
        if json_file:
            values = {
                "complete": complete,
                "layers": layers,
                "packages": packages,
                "training": training,
                "key": {"id": key.id, "place": key.place},
            }
            write_text(json_file, json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    raise typer.Exit(PASSED if complete else NOT_PASSED)


def _examine_gpus(assignment: str, json_file: str) -> bool:
    """Show or write what there is to know of the GPUs. Return whether all is well."""
    with handle_errors(), show_progress() as progress:
        from grader.assignment import find_assignment
        from grader.cli.gpu_checkup import describe_gpu_checkup, examine_gpus, probe_kernel
        from grader.gpu.nvml import explain_no_driver, open_driver
        from grader.sandbox.host.sandbox import Zygote

        found = find_assignment(assignment)
        refuse_unwritable(json_file)
        with end_on_interrupt():
            import torch

        driver: Driver | str
        try:
            driver = open_driver() or explain_no_driver()
        except InputError as error:
            driver = str(error)

        def probe(gpu: GPU) -> KernelView:
            from grader.gpu.access import find_access, find_library_folders

            assert not isinstance(driver, str)
            progress(f"running a kernel on GPU {gpu.index}")
            device = find_access(gpu)
            with Zygote(found.packages, library_folders=find_library_folders([gpu])) as zygote:
                return probe_kernel(driver, gpu, found.limits, lambda: zygote.sandbox(found.limits, device=device))

        values = examine_gpus(driver, (torch.__version__, torch.version.cuda), probe)
        progress("")
        if json_file != "-":
            for line in describe_gpu_checkup(values):
                _print_line(line)
        if json_file:
            write_text(json_file, json.dumps(values, ensure_ascii=False, indent=1) + "\n")
    return bool(values["complete"])


def _describe_layers(layers: Sequence[LayerStatus]) -> list[dict[str, Any]]:
    from grader.sandbox.host.required_layers import REQUIRED, find_remedy

    return [
        {
            "name": layer.name,
            "on": layer.on,
            "reason": layer.reason,
            "required": layer.name in REQUIRED,
            "remedy": find_remedy(layer),
        }
        for layer in layers
    ]


def _print_machine(layers: Sequence[Mapping[str, Any]], packages: Mapping[str, str]) -> None:
    console = Console(soft_wrap=True)
    for layer in layers:
        required = " (required)" if layer["required"] and not layer["on"] else ""
        console.print(f"{'on ' if layer['on'] else 'off'}  {layer['name']:22}{layer['reason']}{required}", markup=False)
    for remedy in dict.fromkeys(layer["remedy"] for layer in layers if layer["remedy"]):
        names = ", ".join(layer["name"] for layer in layers if layer["remedy"] == remedy)
        console.print(f"for {names}: {remedy}", markup=False)
    for package, state in packages.items():
        console.print(f"{package}: {state}", markup=False)


def _print_lines(lines: Mapping[str, str]) -> None:
    for name, text in lines.items():
        _print_line(f"{name}: {text}")


def _print_line(line: str) -> None:
    from grader.render.text import sanitise_text

    Console(soft_wrap=True).print(sanitise_text(line), markup=False)
