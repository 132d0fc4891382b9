"""Where the sandbox differs from a stock Jupyter kernel by design. docs/notebooks.md has the same list."""

from __future__ import annotations

__all__ = ["DIFFERENCES"]

# By name: what is different, and why.
DIFFERENCES: dict[str, str] = {
    "statements": (
        "The statements below one that raised are run all the same, so that a line that fails costs no definition."
    ),
    "magics": (
        "A magic or an extension that is unknown costs its own line, and a folder that is not there leaves the "
        "notebook where it is."
    ),
    "keyboard": "`input()` and `getpass()` answer an empty line and say so. Jupyter without a keyboard raises.",
    "debuggers": "`breakpoint()`, `pdb` and `%debug` say that they do not stop, and the cell goes on.",
    "exit": (
        "`exit()`, `quit()` and restarts of the kernel do nothing and say so. The cells below would not be run "
        "otherwise."
    ),
    "parts": "A cell that is no Python as a whole is run in parts, without the statements that are none.",
    "caught": (
        "A cell in which `%%capture` or `run_cell` caught an exception counts as raised, so that the report names "
        "the line."
    ),
    "network": "There is no network, and the errors of connections differ.",
    "installing": "Lines that install packages are not run, and neither is any other line of `%pip` and `%conda`.",
    "imports": (
        "The packages of the course are imported before the first cell. Their filters of warnings are there from the "
        "start, and an import shows no warning."
    ),
    "surroundings": "The working folder, the home, the environment and the numbers of processes are the sandbox's own.",
    "descriptors": (
        "What a child prints to `sys.stdout.fileno()` appears in the cell, and not in the terminal of a server."
    ),
    "html": (
        "HTML keeps its text and its form: tables, lists, headings, bold. Scripts, styles, links, pictures, forms and "
        "attributes are left out."
    ),
    "kinds": "Of other outputs, such as JavaScript, JSON and widgets, the plain text is kept.",
    "colours": "Tracebacks and help are made without colours, and control characters are taken out of all text.",
    "tracebacks": "The middle of a traceback of more than 16 frames is left out; formatting it takes seconds.",
    "streams": (
        "Standard output and standard error keep the order in which they were written. In Jupyter it depends on timing."
    ),
}
