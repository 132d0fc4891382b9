"""What shows that a notebook was written for other versions, or uses a name in two meanings."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import metadata
from types import ModuleType
from typing import Any

from grader.sandbox.guest.internals.ipython import wrap_statements
from grader.sandbox.guest.own_modules import lies_among_packages

__all__ = ["watch_versions"]

# Python's own functions that code about arrays uses in their usual meaning, the most frequent first.
_FUNCTIONS = ("sum", "max", "min", "abs", "any", "all", "round", "pow")
_STAR = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\*", re.MULTILINE)
_NOT_IMPORTED = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")
_NO_ATTRIBUTE = re.compile(r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'")
_RETIRED = re.compile(r"deprecated|removed|expired|renamed", re.IGNORECASE)
_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
# What notebooks import of newer Pythons.
_ADDED = {
    **dict.fromkeys(("itertools.batched", "math.sumprod", "random.binomialvariate", "collections.abc.Buffer"), "3.12"),
    **dict.fromkeys(("typing.override", "typing.TypeAliasType", "typing.get_protocol_members"), "3.12"),
    **dict.fromkeys(("warnings.deprecated", "copy.replace", "math.fma", "os.process_cpu_count"), "3.13"),
    **dict.fromkeys(("typing.ReadOnly", "typing.TypeIs", "typing.NoDefault", "typing.is_protocol"), "3.13"),
    **dict.fromkeys(("functools.Placeholder", "uuid.uuid7", "string.templatelib", "concurrent.interpreters"), "3.14"),
}

Notify = Callable[[str, str, str], None]


def watch_versions(shell: Any, notify: Notify) -> None:
    """Notice names that an installed package does not have, and functions of Python that an import hides.

    Args:
        shell: IPython's.
        notify: takes a notice, its kind and its subject.
    """
    named: set[str] = set()

    def notify_once(text: str, kind: str, subject: str) -> None:
        if subject not in named:
            named.add(subject)
            notify(text, kind, subject)

    def wrap(run_statement: Callable[..., Any]) -> Callable[..., Any]:
        async def run_and_look(code: Any, result: Any = None, **options: Any) -> Any:
            failed = await run_statement(code, result, **options)
            if failed and result is not None:
                for text, subject in _describe_lost_name(result.error_in_exec):
                    notify_once(text, "version", subject)
            return failed

        return run_and_look

    def look_for_hidden(info: Any) -> None:
        source = str(info.info.raw_cell)
        for line in _STAR.finditer(source) if "*" in source else ():
            for text, subject in _describe_hidden(line[1], source.count("\n", 0, line.start(1)) + 1, shell.user_ns):
                notify_once(text, "hidden name", subject)

    wrap_statements(shell, wrap)
    shell.events.register("post_run_cell", look_for_hidden)


def _describe_lost_name(error: BaseException | None) -> Iterator[tuple[str, str]]:
    """Yield a notice and its subject if an error says that Python or an installed package lacks a name."""
    lost = _find_lost_name(error)
    if lost is None or not lies_among_packages(getattr(lost[0], "__file__", None) or "<frozen "):
        return
    module, name = lost
    top = module.__name__.partition(".")[0]
    if version := _ADDED.get(f"{module.__name__}.{name}"):
        yield f"written for Python {version} or newer; this grader runs {_PYTHON}", f"Python {version}"
        return
    owner, known = ("Python", _PYTHON) if top in sys.stdlib_module_names else (top, _read_version(top))
    public = [other for other in dir(module) if not other.startswith("_")]
    is_misspelt = get_close_matches(name, public, 1, 0.8) and not _RETIRED.search(str(error))
    if known and not is_misspelt:
        what = f"{module.__name__}.{name}" if owner == "Python" else name
        text = f"{owner} {known} has no `{what}`: code that has run elsewhere was written for another version"
        yield text, f"{owner}: {what}"


def _find_lost_name(error: BaseException | None) -> tuple[ModuleType, str] | None:
    """Return a module, and the name that it should have had."""
    if isinstance(error, ModuleNotFoundError):
        parent, _, name = (error.name or "").rpartition(".")
    elif isinstance(error, AttributeError | ImportError):
        pattern = _NO_ATTRIBUTE if isinstance(error, AttributeError) else _NOT_IMPORTED
        match = pattern.search(str(error))
        parent, name = (match["module"], match["name"]) if match else ("", "")
    else:
        return None
    module = sys.modules.get(parent)
    return (module, name) if isinstance(module, ModuleType) else None


def _read_version(package: str) -> str | None:
    """Return the version of the distribution with this name, or None if there is none (Python's own modules)."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _describe_hidden(package: str, line: int, namespace: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield a notice and its subject if `from package import *` has replaced functions of Python."""
    source = vars(sys.modules[package]) if package in sys.modules else {}
    hidden = [
        name
        for name in _FUNCTIONS
        if name in source and source[name] is namespace.get(name) and source[name] is not vars(builtins)[name]
    ]
    if hidden:
        named = (
            f"`{hidden[0]}`" if len(hidden) == 1 else f"{', '.join(f'`{x}`' for x in hidden[:-1])} and `{hidden[-1]}`"
        )
        yield f"`from {package} import *` in line {line} replaces Python's {named}", hidden[0]
