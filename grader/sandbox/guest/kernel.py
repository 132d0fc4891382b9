"""The student's kernel: ipykernel in a process that is already forked and confined, on one line to its runner.

The application, the kernel and its shell need no sockets and are made once, in the warm process. Making them in each
fork would take 50 ms, nearly all of it for 9,000 pages that are copied because something in them is touched.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from IPython.core.application import BaseIPythonApplication
from traitlets.config import Config

from grader.models.recipe import Mode
from grader.sandbox.guest import data_sets, devices
from grader.sandbox.guest.debuggers import skip_prompts
from grader.sandbox.guest.definition_tracker import DefinitionTracker
from grader.sandbox.guest.descriptors import DescriptorOutput
from grader.sandbox.guest.host_copies import HostCopies
from grader.sandbox.guest.internals import ipython
from grader.sandbox.guest.internals.ipykernel import WarmKernelApp, make_app
from grader.sandbox.guest.internals.matplotlib import forget_folders
from grader.sandbox.guest.internals.multiprocessing import set_original_folder
from grader.sandbox.guest.internals.platform import forget_machine
from grader.sandbox.guest.internals.torch_devices import show_gpu
from grader.sandbox.guest.messages import MessageLine
from grader.sandbox.guest.seeding import seed_generators
from grader.sandbox.guest.statements import StatementRunner
from grader.sandbox.guest.surroundings.install import install_surroundings, prepare_surroundings
from grader.sandbox.guest.trainings.hooks import TrainingHooks
from grader.sandbox.guest.trainings.left_out import LeftOutTrainings
from grader.sandbox.protocol.limits import Limits
from grader.sandbox.protocol.stops import pack_stops

__all__ = ["prepare_kernel", "run_kernel"]


def prepare_kernel() -> None:
    """Make the kernel that forks of this warm process run."""
    config = Config()
    ipython.configure(config)
    with tempfile.TemporaryDirectory(prefix="grader-profile-") as folder:
        ipython.set_option(config, BaseIPythonApplication, "ipython_dir", folder)
        app = make_app(config)
        prepare_surroundings(app.shell)
        _rehearse(app.shell)
    forget_folders()
    forget_machine()
    ipython.transform_magics_only(app.shell)
    statements = StatementRunner(app.shell)
    statements.install()
    app.kernel.list_stops = lambda: pack_stops(statements.take_stops())
    app.kernel.cell_files = statements.files


def _rehearse(shell: Any) -> None:
    """Do once what IPython and torch put off until it is first needed. Each fork would do it anew."""
    torch: Any = sys.modules.get("torch")
    shell.display_formatter.format(torch.zeros(1) if torch else 0)
    shell.run_cell("None", silent=True)


def run_kernel(line: socket.socket, tracker_socket: socket.socket, order: dict[str, Any], limits: Limits) -> None:
    """Serve the requests on a line until it ends.

    Args:
        line: leads to the runner.
        tracker_socket: leads from the definition tracker to the trusted side.
        order: what the trusted side sends for a kernel run (`host/kernel_run.py`).
        limits: the assignment's.
    """
    _reset_inherited_state(order["seed"])
    if order["gpu"]:
        show_gpu(order["gpu"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    written = {descriptor: DescriptorOutput(descriptor, limits.cell_output_bytes) for descriptor in (1, 2)}
    app: Any = WarmKernelApp.instance()
    app.connect(MessageLine(line), {descriptor: output.read for descriptor, output in written.items()})
    _prepare_shell(app.shell, shown=order["shown"])
    tracker = DefinitionTracker(app.shell, tracker_socket, order, app.kernel.cell_files)
    install_surroundings(app.shell, limits.cell_output_bytes, order, tracker.notice)
    app.kernel.end = tracker.end
    tracker.watch(*_install_training_hooks(app.shell, tracker, order))
    if order["gpu"]:
        tracker.keep_on_host(HostCopies(limits.memory_bytes // 2, tracker.notice))
    else:
        devices.serve_on_cpu(app.shell, tracker.notice)
    app.serve()


def _prepare_shell(shell: Any, *, shown: bool) -> None:
    """Give the shell what a stock one has from its start, except a keyboard."""
    shell.user_ns["_dh"][:] = [os.getcwd()]  # of %dhist; the warm process has another folder
    ipython.keep_stored_values_in(shell, Path(os.environ["HOME"]))
    skip_prompts(shell)
    if shown:
        ipython.show_lines_in_tracebacks(shell)


def _install_training_hooks(
    shell: Any, tracker: DefinitionTracker, order: dict[str, Any]
) -> tuple[LeftOutTrainings, TrainingHooks | None]:
    """Offer the data sets, and return what leaves trainings out and what follows the others (None in mode `none`)."""
    mode = Mode(order["mode"])
    left_out = LeftOutTrainings(mode)
    left_out.install()
    data_sets.offer_data_sets(mode, order["data_sets"], tracker.notice)
    loading: Any = sys.modules.get("grader.sandbox.guest.trainings.loading")  # imported if torchvision is there
    if loading:
        loading.install_fast_loading(shell, mode, left_out, with_gpu=bool(order["gpu"]))
    if mode is Mode.NONE:
        return left_out, None
    hooks = TrainingHooks(mode, loading.LatestBatch.latest if loading else lambda: None)
    hooks.install()
    return left_out, hooks


def _reset_inherited_state(seed: int) -> None:
    """Undo what all forks of one process share."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tempfile.tempdir = os.environ["TMPDIR"]  # looking for one would create and remove a file
    os.environ.pop("JPY_PARENT_PID", None)
    sources = os.environ.pop("PYTHONPATH", "")  # the grader's; what a kernel needs of it is imported already
    sys.path[:] = [entry for entry in sys.path if entry != sources]
    home = os.getcwd()
    os.environ.update(HOME=home, USER="student", LOGNAME="student", PWD=home, MPLCONFIGDIR=f"{home}/.matplotlib")
    ipython.add_working_folder(sys.path)
    set_original_folder(home)
    sys.argv[:] = ["notebook"]
    seed_generators(seed)
