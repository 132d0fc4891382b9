"""Which reports `grader check` writes, and where to: the options --json, --html, --format and --out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.cli.formats import FORMATS_FOR_CI, ReportFormat
from grader.cli.output_files import refuse_unwritable
from grader.errors import InputError
from grader.spelling import did_you_mean

__all__ = ["ReportTarget", "choose_targets"]

_STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class ReportTarget:
    """A report to write.

    Attributes:
        form: its format.
        file: the file it goes to, "-" for standard output.
        option: the option that asked for it.
    """

    form: ReportFormat
    file: str
    option: str

    @property
    def is_for_ci(self) -> bool:
        """Whether the format is one of a system that grades what others hand in."""
        return self.form in FORMATS_FOR_CI


def choose_targets(json_file: str, html_file: str, formats: Sequence[str], out: Sequence[str]) -> list[ReportTarget]:
    """Return the reports to write.

    Args:
        json_file: the value of --json, "" if it was not given.
        html_file: the value of --html, "" if it was not given.
        formats: the values of --format: a format, or a format and its file as in "junit=grader.xml".
        out: the values of --out: the files of the formats without one, in the same order.

    Raises:
        InputError: there is no such format, a format has no file or a file has no format, two reports go to one file or
            to standard output, or a file cannot be written.
    """
    targets = []
    if json_file:
        targets.append(ReportTarget(ReportFormat.JSON, json_file, f"--json {json_file}"))
    if html_file:
        targets.append(ReportTarget(ReportFormat.HTML, html_file, f"--html {html_file}"))
    targets += _pair(formats, out)
    printed = [target.option for target in targets if target.file == _STANDARD_OUTPUT]
    if len(printed) > 1:
        raise InputError(
            f"{' and '.join(printed)} would both go to standard output: give each but one a file of its own"
        )
    refuse_unwritable(*(target.file for target in targets))
    return targets


def _pair(formats: Sequence[str], out: Sequence[str]) -> list[ReportTarget]:
    pairs = [(_read_format(name), file, mark) for name, mark, file in (text.partition("=") for text in formats)]
    without = [form for form, _, mark in pairs if not mark]
    if empty := [form for form, file, mark in pairs if mark and not file]:
        raise InputError(f"--format {empty[0]}= has no file after the =: give --format {empty[0]}=FILE")
    if len(out) > len(without):
        raise InputError("--out needs --format: give --format as well, or use --json FILE or --html FILE")
    if out and len(out) < len(without):
        forms = " ".join(f"--format {form}=FILE" for form in without)
        raise InputError(f"{len(without)} formats and {len(out)} --out: give each format its file, {forms}")
    files = iter(out)
    targets = []
    for form, file, mark in pairs:
        target = file if mark else next(files, _STANDARD_OUTPUT)
        targets.append(ReportTarget(form, target, f"--format {form}"))
    return targets


def _read_format(name: str) -> ReportFormat:
    try:
        return ReportFormat(name)
    except ValueError:
        question = did_you_mean(name, ReportFormat)
        known = ", ".join(ReportFormat)
        raise InputError(f"--format: '{name}' is not one of {known}{f'; {question}' if question else ''}") from None
