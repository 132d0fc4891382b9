"""What grader/sandbox/guest/internals/nbclient.py relies on in nbclient."""

from __future__ import annotations

import inspect

import pytest

from tests.support.library_contracts import Library

NBCLIENT = Library("nbclient")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("nbclient:NotebookClient.__init__", "self nb km kw"),
        ("nbclient:NotebookClient.output", "self outs msg display_id cell_index"),
        ("nbclient:NotebookClient._update_display_id", "self display_id msg"),
        ("nbclient:NotebookClient.async_execute_cell", "self cell cell_index execution_count store_history"),
    ],
)
def test_a_method_is_there_with_its_parameters(path: str, parameters: str) -> None:
    NBCLIENT.check_parameters(path, parameters)


@pytest.mark.parametrize(
    "option",
    [
        *("timeout_func", "interrupt_on_timeout", "allow_errors", "coalesce_streams", "iopub_timeout"),
        *("store_widget_state", "record_timing", "on_cell_executed"),
    ],
)
def test_an_option_is_there(option: str) -> None:
    NBCLIENT.check(option in NBCLIENT.find("nbclient:NotebookClient").class_trait_names(), f"the option {option}")


def test_it_asks_of_kernel_and_client_only_what_they_have() -> None:
    source = inspect.getsource(NBCLIENT.find("nbclient:NotebookClient"))
    for use in (
        *("self.kc.execute(", "self.kc.shell_channel.get_msg(", "self.kc.iopub_channel.get_msg(", "self.kc.is_alive("),
        *("self.km.interrupt_kernel", "except Empty", "self.output("),
    ):
        NBCLIENT.check(use in source, f"NotebookClient uses {use}")


def test_an_update_goes_to_the_cells_that_the_map_of_displays_names() -> None:
    source = inspect.getsource(NBCLIENT.find("nbclient:NotebookClient._update_display_id"))
    NBCLIENT.check("self._display_id_map[display_id].items()" in source, "NotebookClient._display_id_map")
    process = inspect.getsource(NBCLIENT.find("nbclient:NotebookClient.process_message"))
    NBCLIENT.check("self._update_display_id(display_id, msg)" in process, "process_message updates displays")
