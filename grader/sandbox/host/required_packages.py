"""Whether the packages that grading needs are installed in the versions that it was tested with.

A self-check (`%grader`) runs with any recent torch, so the package alone installs beside Colab's. What grades is the
extra `grading`, with one version of torch for everybody.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from grader.errors import InputError

__all__ = ["require_grading_packages"]

_PACKAGE, _EXTRA = "notebook-grader", "grading"


@cache
def require_grading_packages() -> None:
    """Compare the installed packages with the extra `grading`, once for each process.

    Raises:
        InputError: one is missing or has another version; the message says how to install it.
    """
    try:
        lines = requires(_PACKAGE) or []
    except PackageNotFoundError:
        return  # a checkout that was never installed: its owner knows what is there
    needed = [requirement for requirement in map(Requirement, lines) if requirement.marker]
    wrong = [_describe_wrong(one) for one in needed if one.marker and one.marker.evaluate({"extra": _EXTRA})]
    if faults := [fault for fault in wrong if fault]:
        raise InputError(
            f"grading needs {'; '.join(faults)}: make an environment for it, and pip install '{_PACKAGE}[{_EXTRA}]' "
            "there (a self-check with %grader needs none of this)"
        )


def _describe_wrong(needed: Requirement) -> str:
    wanted = f"{needed.name}{needed.specifier}"
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        return f"{wanted}, which is not installed"
    return "" if needed.specifier.contains(found, prereleases=True) else f"{wanted}, and {found} is installed"
