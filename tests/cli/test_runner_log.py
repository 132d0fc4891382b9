"""In the log of a CI system, nothing that a student wrote is a command to the runner."""

from __future__ import annotations

import html
import io
import json
import re

import pytest
from rich.console import Console

from grader.cli.runner_log import RunnerLog, escape_commands
from grader.render.terminal import render_terminal
from grader.render.text import defuse_commands
from grader.results.notice import Notice, NoticeKind
from grader.results.report import CellResult, File, ItemResult, Report, Verdict
from tests.support.command_line import Run
from tests.support.notebooks import notebook_bytes

# As in actions/runner, src/Runner.Common/ActionCommand.cs: a line is trimmed and begins with ::, or has ##[ anywhere.
COMMAND = re.compile(r"^\s*::|##\w*\[", re.MULTILINE)
HOSTILE = (
    *("::error::x", "  ::add-mask::a", "\u3000::set-output name=score::100", "##[add-mask]x", "a ##[error]b"),
    *("##vso[task.complete result=Succeeded]", "##teamcity[buildStatus status='SUCCESS']", "###[error]", "::::error::"),
    *("##[##[error]", "x\n::warning::y", "x\n \t::stop-commands::z"),
)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_command_is_broken_and_stays_readable(text: str) -> None:
    assert COMMAND.search(text)
    assert not COMMAND.search(defuse_commands(text))
    assert "".join(defuse_commands(text).split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["a::b", "std::vector", "# title", "## title", "x[0]", "[::2]", "12:30:: no", "#[0]"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert defuse_commands(text) == text


@pytest.mark.parametrize("parts", [["::error", "::x\n"], [" ", "::", "error::x", "\n"], ["##", "[error]x"]])
def test_a_line_that_is_written_in_parts_is_seen_as_one(parts: list[str]) -> None:
    output = io.StringIO()
    log = RunnerLog(output)
    for part in parts:
        log.write(part)
    log.flush()
    assert not COMMAND.search(output.getvalue())


@pytest.mark.parametrize("width", [20, 33, 80, 200])
def test_no_line_of_a_report_is_a_command_wherever_it_is_wrapped(width: int) -> None:
    report = Report(
        "hw2",
        HOSTILE[0],
        "r1",
        tuple(File(text, "0") for text in HOSTILE),
        tuple(
            ItemResult(text, "7.2", text, 0, 4, Verdict.FAILED, f"{'word ' * 9}{text} {text}", text, 1, {"case": text})
            for text in HOSTILE
        ),
        tuple(CellResult(text, 1, "raised", text) for text in HOSTILE),
        limits_hit=HOSTILE,
        notices=tuple(Notice(text, NoticeKind.SKIPPED_FILE, text) for text in HOSTILE),
    )
    plain, guarded = io.StringIO(), io.StringIO()
    render_terminal(report, Console(file=plain, width=width))
    render_terminal(report, Console(file=RunnerLog(guarded), width=width))  # type: ignore[arg-type]
    assert COMMAND.search(plain.getvalue())
    assert not COMMAND.search(guarded.getvalue())


@pytest.mark.parametrize("text", HOSTILE)
def test_documents_keep_their_content(text: str) -> None:
    document = json.dumps({"message": text})
    assert not COMMAND.search(escape_commands(document))
    assert json.loads(escape_commands(document)) == {"message": text}
    page = f"<p>\n{html.escape(text)}</p>"
    assert not COMMAND.search(escape_commands(page))
    assert html.unescape(escape_commands(page)) == html.unescape(page)


@pytest.mark.slow
def test_a_check_in_ci_prints_no_command(run: Run, hw2: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("checked")
    name = "::error::hw.ipynb"
    cell = "raise ValueError('##[add-mask]x\\n::set-output name=score::100')"
    (folder / name).write_bytes(notebook_bytes(cell))
    for arguments in (["check", folder / name], ["check", folder / name, "--json", "-"]):
        ran = run(*arguments, "--training", "none", CI="true", GITHUB_ACTIONS="true")
        assert ran.returncode == 1, ran.stderr
        assert "add-mask" in ran.stdout
        assert not COMMAND.search(ran.stdout + ran.stderr)
    outside = run("check", folder / name, "--training", "none", CI="", GITHUB_ACTIONS="")
    assert COMMAND.search(outside.stdout)
