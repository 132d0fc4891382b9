"""What grader/sandbox/guest/internals/ipykernel.py relies on in ipykernel."""

from __future__ import annotations

import inspect

import pytest

from tests.support.library_contracts import Library

IPYKERNEL = Library("ipykernel")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("ipykernel.iostream:IOPubThread.schedule", "self f"),
        ("ipykernel.iostream:OutStream.write", "self string"),
        ("ipykernel.iostream:OutStream._flush", "self"),
        ("ipykernel.iostream:OutStream._schedule_flush", "self"),
        ("ipykernel.iostream:OutStream._is_master_process", "self"),
        ("ipykernel.iostream:OutStream.fileno", "self"),
        ("ipykernel.ipkernel:IPythonKernel.start", "self"),
        ("ipykernel.ipkernel:IPythonKernel.dispatch_shell", "self msg subshell_id concurrent"),
        ("ipykernel.ipkernel:IPythonKernel._publish_status", "self status channel parent"),
        ("ipykernel.ipkernel:IPythonKernel._publish_execute_input", "self code parent execution_count"),
        ("ipykernel.ipkernel:IPythonKernel.raw_input", "self prompt"),
        ("ipykernel.ipkernel:IPythonKernel.do_shutdown", "self restart"),
        ("ipykernel.ipkernel:IPythonKernel.getpass", "self prompt stream echo_char"),
        ("ipykernel.kernelapp:IPKernelApp.initialize", "self argv"),
        ("ipykernel.kernelapp:IPKernelApp.init_pdb", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_path", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_shell", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_gui_pylab", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_extensions", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_code", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_blackhole", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_io", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_signal", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_connection_file", "self"),
        ("ipykernel.kernelapp:IPKernelApp.write_connection_file", "self kwargs"),
        ("ipykernel.kernelapp:IPKernelApp.load_config_file", "self suppress_errors"),
        ("ipykernel.kernelapp:IPKernelApp.init_config_files", "self"),
        ("ipykernel.kernelapp:IPKernelApp.init_crash_handler", "self"),
        ("ipykernel.displayhook:ZMQDisplayHook.get_execution_count", "self"),
        ("ipykernel.zmqshell:ZMQInteractiveShell.ask_exit", "self"),
    ],
)
def test_a_method_is_there_with_its_parameters(path: str, parameters: str) -> None:
    IPYKERNEL.check_parameters(path, parameters)


@pytest.mark.parametrize(
    "path",
    [
        "ipykernel.ipkernel:IPythonKernel.shell_stream",
        "ipykernel.ipkernel:IPythonKernel.control_stream",
        "ipykernel.ipkernel:IPythonKernel.shell_channel_thread",
        "ipykernel.ipkernel:IPythonKernel.iopub_thread",
        "ipykernel.ipkernel:IPythonKernel.iopub_socket",
        "ipykernel.ipkernel:IPythonKernel._supports_kernel_subshells",
        "ipykernel.kernelapp:IPKernelApp.iopub_thread",
        "ipykernel.kernelapp:IPKernelApp.iopub_socket",
        "ipykernel.displayhook:ZMQShellDisplayHook.pub_socket",
        "ipykernel.zmqshell:ZMQDisplayPublisher.pub_socket",
        "ipykernel.zmqshell:ZMQInteractiveShell.exit_now",
    ],
)
def test_an_attribute_that_is_set_is_there(path: str) -> None:
    IPYKERNEL.find(path)


@pytest.mark.parametrize(
    ("path", "uses"),
    [
        ("ipykernel.kernelbase:Kernel.__init__", ["self._stdout", "self._stderr"]),
        ("ipykernel.kernelbase:Kernel.execute_request", ["self._execute_sleep", "self._publish_execute_input("]),
        ("ipykernel.kernelbase:Kernel.execute_request", ["self.do_execute", "reply_content,"]),
        ("ipykernel.kernelapp:IPKernelApp.start", ["self.kernel.start()", "self.io_loop.start()"]),
        ("ipykernel.kernelbase:Kernel.dispatch_shell", ["self._supports_kernel_subshells", "self._publish_status("]),
        ("ipykernel.kernelbase:Kernel.dispatch_shell", ["feed_identities(", "deserialize("]),
        ("ipykernel.ipkernel:IPythonKernel.do_execute", ["self.shell_channel_thread.parent_thread"]),
        ("ipykernel.ipkernel:IPythonKernel.do_execute", ['trigger("post_run_cell"', "shell.run_cell("]),
        ("ipykernel.iostream:OutStream.write", ["self._schedule_flush()"]),
        ("ipykernel.iostream:OutStream.flush", ["self._flush()", "self.pub_thread.thread is not None"]),
    ],
)
def test_ipykernel_itself_uses_what_is_replaced(path: str, uses: list[str]) -> None:
    source = inspect.getsource(IPYKERNEL.find(path))
    for use in uses:
        IPYKERNEL.check(use in source, f"{path} uses {use}")


def test_the_pause_after_a_cell_is_an_option() -> None:
    kernel = IPYKERNEL.find("ipykernel.ipkernel:IPythonKernel")
    IPYKERNEL.check("_execute_sleep" in kernel.class_trait_names(config=True), "IPythonKernel._execute_sleep")
