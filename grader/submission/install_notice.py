"""What the report says of an install command that was not run: what of it is here, in which version."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

__all__ = ["describe_installs"]

_SHOWN_COMMAND = 120
_LONGEST_COMMAND = 2000
_MAX_PACKAGES = 12
_INSTALLERS = ("pip", "conda", "mamba", "micromamba", "uv")
_REDIRECTION = re.compile(r"\s(?:\d|&)?>{1,2}(?!=)\s*\S+")
# Options that take the next word.
_WITH_VALUE = (
    *("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-i", "--index-url", "--extra-index-url"),
    *("-f", "--find-links", "-t", "--target", "--channel", "--platform", "--python", "--prefix", "--root", "--src"),
    *("-n", "--name", "--trusted-host", "--proxy", "--timeout", "--retries"),
)
_FROM_ELSEWHERE = ("-r", "--requirement", "-e", "--editable")
# Names that are installed under another one here, or whose command names the module.
_OTHER_NAMES = {
    "cv2": "opencv-python-headless",
    "opencv-contrib-python": "opencv-python-headless",
    "opencv-python": "opencv-python-headless",
    "pil": "pillow",
    "pytorch": "torch",
    "sklearn": "scikit-learn",
}


def describe_installs(commands: Sequence[str]) -> str:
    """Return a sentence on install commands, the first of which is quoted."""
    first = commands[0] if len(commands[0]) <= _SHOWN_COMMAND else f"{commands[0][:_SHOWN_COMMAND]}…"
    what = f"`{first}` was" if len(commands) == 1 else f"`{first}` and {len(commands) - 1} more were"
    asked = dict.fromkeys(name for command in commands for name in _read_arguments(command))
    found = {name: _describe_installed(name) for name in list(asked)[:_MAX_PACKAGES]}
    sentences = [f"{what} not run, because there is no network while this is graded."]
    for start, chosen in (
        ("Installed in this grader", [text for text in found.values() if text]),
        ("Not installed here", [name for name, text in found.items() if text is None]),
        ("Not fetched", [name for name, text in found.items() if text == ""]),
    ):
        if chosen:
            sentences.append(f"{start}: {', '.join(chosen)}.")
    return " ".join(sentences)


def _read_arguments(command: str) -> Iterator[str]:
    """Yield what a command installs: requirements as pip takes them, and whatever else it is given."""
    for part in re.split(r"[;&|]+", _REDIRECTION.sub(" ", command[:_LONGEST_COMMAND])):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:  # quotes that do not end
            words = part.split()
        while words and words[0].lstrip("!%").rpartition("/")[2].rstrip(".0123456789") not in _INSTALLERS:
            del words[0]
        if "install" in words:
            yield from _leave_out_options(words[words.index("install") + 1 :])


def _leave_out_options(words: Sequence[str]) -> Iterator[str]:
    option = ""
    for word in words:
        if option in _FROM_ELSEWHERE:
            yield f"{option} {word}"[:_SHOWN_COMMAND]
        elif not option and not word.startswith("-"):
            yield word[:_SHOWN_COMMAND]
        option = word if word in _WITH_VALUE and not option else ""


def _describe_installed(name: str) -> str | None:
    """Return the name and the version of what is installed for a requirement.

    None if nothing is; "" for what names no package, such as a folder or an address.
    """
    try:
        requirement = Requirement(re.sub(r"(?<![=<>!~])=(?!=)", "==", name))  # conda's form has one sign
    except InvalidRequirement:
        return ""
    package = canonicalize_name(requirement.name)
    version = _read_version(_OTHER_NAMES.get(package, package))
    if version is None:
        return None
    fits = requirement.specifier.contains(version, prereleases=True)
    return f"{requirement.name} {version}" + ("" if fits else f" instead of {requirement.specifier}".replace("==", ""))


@cache
def _read_version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
