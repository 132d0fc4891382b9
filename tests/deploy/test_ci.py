"""What lies ready for course repositories and for Gradescope: the files fit their schemas, and their lines are run."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from ruamel.yaml import YAML

from tests.support.notebooks import CORR2D, CORR2D_POINTS, notebook_bytes
from tests.support.paths import ROOT

CI = ROOT / "deploy" / "ci"
GRADESCOPE = ROOT / "deploy" / "gradescope"
PROGRAMS = Path(sys.executable).parent
RESULTS = json.loads((ROOT / "tests" / "render" / "gradescope.schema.json").read_text("utf-8"))
YAML_FILES = ("action.yml", "workflow.yml", "classroom.yml")
SECONDS = 300

Ran = subprocess.CompletedProcess[str]


def read(name: str) -> Any:
    return YAML(typ="safe").load(CI / name)


def bash(lines: str, folder: Path, variables: Mapping[str, str]) -> Ran:
    """Run lines as a runner runs those of a step with `shell: bash`."""
    script = folder.parent / "step.sh"
    script.write_text(lines, "utf-8")
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    environment = {**os.environ, **variables}
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("action.yml", "github-actions"),
        ("workflow.yml", "github-workflows"),
        ("classroom.yml", "github-workflows"),
        ("gitlab.yml", "gitlab-ci"),
    ],
)
def test_a_file_fits_the_schema_of_those_who_read_it(name: str, schema: str) -> None:
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", f"vendor.{schema}", str(CI / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["workflow.yml", "classroom.yml"])
def test_a_workflow_gives_the_action_what_it_takes(name: str) -> None:
    action = read("action.yml")
    steps = [step for job in read(name)["jobs"].values() for step in job["steps"]]
    (ours,) = [step for step in steps if step.get("uses", "").startswith("OWNER/notebook-grader/deploy/ci@")]
    assert ours.get("with", {}).keys() <= action["inputs"].keys()
    used = re.findall(r"steps\.(\w+)\.outputs\.([\w-]+)", (CI / name).read_text("utf-8"))
    assert all(step == ours["id"] and output in action["outputs"] for step, output in used)


def test_every_action_of_others_is_pinned_to_a_commit_and_ours_to_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    found = []
    for name in YAML_FILES:
        for line in (CI / name).read_text("utf-8").splitlines():
            if match := re.match(r"^ *(?:- )?uses: *(\S+?)@(\S+)(.*)$", line):
                found.append(match[1])
                if match[1] == "OWNER/notebook-grader/deploy/ci":
                    assert match[2] == f"v{version}", line
                else:
                    assert re.fullmatch(r"[0-9a-f]{40}", match[2]), line
                    assert re.fullmatch(r" # v\d+(\.\d+)*", match[3]), line
    assert len(found) == sum((CI / name).read_text("utf-8").count("uses:") for name in YAML_FILES) - 1  # a comment
    assert {"actions/checkout", "actions/setup-python", "actions/cache"} <= set(found)


@pytest.mark.parametrize("name", ["workflow.yml", "classroom.yml"])
def test_no_workflow_runs_a_strangers_work_with_rights_or_with_a_token(name: str) -> None:
    workflow = read(name)
    triggers = workflow.get("on", workflow.get(True))
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers)
    assert workflow["permissions"]["contents"] == "read"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 30
        (checkout,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert checkout["with"] == {"persist-credentials": False}


def test_the_action_keeps_what_pip_downloads_for_the_next_run() -> None:
    steps = read("action.yml")["runs"]["steps"]
    (cache,) = [step for step in steps if step.get("uses", "").startswith("actions/cache@")]
    (install,) = [step for step in steps if step.get("id") == "install"]
    assert install["env"]["PIP_CACHE_DIR"] == cache["with"]["path"]
    assert "steps.versions.outputs.hash" in cache["with"]["key"]
    assert read("action.yml")["inputs"]["torch-index-url"]["default"].endswith("/whl/cpu")


def test_no_input_becomes_part_of_a_script() -> None:
    for step in read("action.yml")["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


def test_the_reporter_is_told_where_the_result_is() -> None:
    *_, grade, report = read("classroom.yml")["jobs"]["run-autograding-tests"]["steps"]
    assert report["with"]["runners"] == grade["id"]
    assert report["env"] == {f"{grade['id'].upper()}_RESULTS": f"${{{{ steps.{grade['id']}.outputs.result }}}}"}


def test_every_script_is_one_that_its_shell_can_read() -> None:
    for shell, script in (("sh", CI / "install.sh"), ("bash", GRADESCOPE / "setup.sh")):
        assert subprocess.run([shell, "-n", script], capture_output=True, check=False).stderr == b""
    for script in (CI / "install.sh", GRADESCOPE / "setup.sh", GRADESCOPE / "run_autograder"):
        assert os.access(script, os.X_OK), script


def test_an_environment_has_the_versions_that_everybody_has(tmp_path: Path) -> None:
    # A Python whose environment has a pip that writes down what it is asked for.
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\nmkdir -p "$3/bin"\nprintf \'#!/bin/sh\\necho "$@" >> {tmp_path}/asked\\n\' > "$3/bin/pip"\n'
        'chmod +x "$3/bin/pip"\n'
    )
    python.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name != "TORCH_INDEX_URL"}
    for index in ({}, {"TORCH_INDEX_URL": ""}, {"TORCH_INDEX_URL": "https://index.example"}):
        command = [CI / "install.sh", tmp_path / "made"]
        subprocess.run(command, env={**environment, "PYTHON": str(python), **index}, check=True)
    asked = (tmp_path / "asked").read_text("utf-8").splitlines()
    assert "--index-url https://download.pytorch.org/whl/cpu torch" in asked[0]
    assert "--index-url" not in asked[3]
    torch, grader, d2l = asked[6:]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = project["optional-dependencies"]["grading"]
    pinned = [each for each in needed if each.startswith("torch")]
    assert len(pinned) == 2
    assert torch.endswith(f"--index-url https://index.example {' '.join(pinned)}")
    assert grader.endswith(f"--editable {ROOT}[colab,course,grading]")
    assert d2l.endswith(
        re.findall(r"^(d2l==\S+)", (ROOT / "requirements" / "d2l.txt").read_text("utf-8"), re.MULTILINE)[0]
    )


class Step:
    """The action's step that grades, in a repository and a runner of its own."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.runner = folder / "repository", folder / "runner"
        self.repository.mkdir()
        self.runner.mkdir()
        (self.step,) = [step for step in read("action.yml")["runs"]["steps"] if step.get("id") == "grade"]
        self.inputs = {name: given["default"] for name, given in read("action.yml")["inputs"].items()}

    def run(self, **inputs: str) -> Ran:
        """Run its lines, with the environment that it declares."""
        given = self.inputs | {name.replace("_", "-"): value for name, value in inputs.items()}
        known = {f"inputs.{name}": value for name, value in given.items()} | {"runner.temp": str(self.runner)}
        declared = {
            name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], value)
            for name, value in self.step["env"].items()
        }
        link = self.runner / "grader" / "bin"
        link.mkdir(parents=True, exist_ok=True)
        if not (link / "grader").exists():
            (link / "grader").symlink_to(PROGRAMS / "grader")
        files = {name: str(self.runner / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        others = {"GITHUB_WORKSPACE": str(self.repository), "RUNNER_TEMP": str(self.runner)}
        return bash(self.step["run"], self.repository, {**declared, **files, **others})


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


@pytest.mark.slow
def test_the_action_grades_annotates_and_gives_its_outputs(step: Step) -> None:
    (step.repository / "week 2").mkdir()
    (step.repository / "week 2" / "my hw2.ipynb").write_bytes((ROOT / "examples" / "hw2.ipynb").read_bytes())
    ran = step.run(notebooks="no such*.ipynb\n**/*.ipynb\n")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    (wrong,) = [line for line in ran.stdout.splitlines() if "title=pool2d.max" in line]
    assert wrong.startswith("::error file=week 2/my hw2.ipynb,line=")
    assert "| pool2d.max |" in (step.runner / "GITHUB_STEP_SUMMARY").read_text("utf-8")
    outputs = dict(line.split("=", 1) for line in (step.runner / "GITHUB_OUTPUT").read_text("utf-8").splitlines())
    assert read("action.yml")["outputs"].keys() == outputs.keys()
    assert json.loads(base64.b64decode(outputs["result"]))["max_score"] == float(outputs["max-score"])
    assert step.run(notebooks="week 2/my hw2.ipynb", min_score="80%").returncode == 0


def test_the_action_says_that_there_is_no_notebook(step: Step) -> None:
    ran = step.run()
    assert ran.returncode == 2
    assert ran.stdout.startswith("::error title=Grader::no file matches")


def test_what_could_not_be_graded_is_told_and_a_files_name_commands_nothing(step: Step) -> None:
    (step.repository / "a\n::error::x ##[set-output name=result]x.ipynb").write_bytes(b"{")
    ran = step.run()
    assert ran.returncode == 2
    assert "no valid JSON" in ran.stdout
    commands = [line for line in ran.stdout.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    first, second = commands
    assert first.startswith(
        "::error title=Nothing was graded::a%0A::error::x # #[set-output name=result]x.ipynb: no valid"
    )
    assert second == "::error title=Grader::not graded: see the log of this step"
    assert ran.stderr == ""
    assert not (step.runner / "GITHUB_OUTPUT").exists()


@pytest.mark.slow
def test_gitlabs_job_leaves_the_reports_that_it_names(tmp_path: Path) -> None:
    job = read("gitlab.yml")["grade"]
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    for least, code in (("", 1), (str(CORR2D_POINTS), 0)):
        ran = bash("\n".join(job["script"]), folder, {**job["variables"], "GRADER_MIN_SCORE": least, "PATH": path})
        assert ran.returncode == code, ran.stderr
    report = folder / job["artifacts"]["reports"]["junit"]
    xmlschema.XMLSchema(ROOT / "tests" / "render" / "junit.xsd").validate(report)
    assert all((folder / name).stat().st_size for name in job["artifacts"]["paths"])


class Autograder:
    """Gradescope's folders, with the files that a zip for it has."""

    def __init__(self, root: Path) -> None:
        self.root, self.results = root, root / "results" / "results.json"
        for name in ("source", "submission", "results"):
            (root / name).mkdir()
        (root / "source" / "options").write_bytes((GRADESCOPE / "options").read_bytes())
        (root / "source" / "notebook-grader" / ".venv").mkdir(parents=True)
        (root / "source" / "notebook-grader" / ".venv" / "bin").symlink_to(PROGRAMS)

    def run(self) -> tuple[Any, str]:
        """Run what Gradescope runs; return the result, after the schema had its say, and what staff see beside it."""
        done = subprocess.run(
            [GRADESCOPE / "run_autograder"],
            cwd=self.root,
            env={**os.environ, "AUTOGRADER_ROOT": str(self.root)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        values = json.loads(self.results.read_text("utf-8"))
        jsonschema.validate(values, RESULTS)
        assert [path.name for path in self.results.parent.iterdir()] == ["results.json"]
        return values, done.stdout + done.stderr


@pytest.fixture
def autograder(tmp_path: Path) -> Autograder:
    return Autograder(tmp_path)


def ungraded(values: Mapping[str, Any], *parts: str) -> None:
    """Require that a result gives no points, and says why."""
    assert "score" not in values
    assert not any("score" in test for test in values["tests"])
    assert all(part in values["output"] for part in parts)


@pytest.mark.slow
def test_gradescope_gets_the_points_of_the_example(autograder: Autograder) -> None:
    inner = autograder.root / "submission" / "my homework"
    for folder in (inner, inner / ".ipynb_checkpoints", autograder.root / "submission" / "__MACOSX"):
        folder.mkdir()
    (inner / "hw2.ipynb").write_bytes((ROOT / "examples" / "hw2.ipynb").read_bytes())
    (inner / ".ipynb_checkpoints" / "hw2-checkpoint.ipynb").write_bytes(b"{")
    (autograder.root / "submission" / "__MACOSX" / "._hw2.ipynb").write_bytes(b"\x00")
    (inner / "answers.ipynb").symlink_to(ROOT / "examples" / "hw2.ipynb")
    values, _ = autograder.run()
    scores = {test["extra_data"]["id"]: test.get("score") for test in values["tests"]}
    assert (scores["corr2d.values"], scores["pool2d.max"], scores["lenet.training"]) == (6, 0, None)
    assert values["score"] == sum(filter(None, scores.values()))


def test_gradescope_is_told_of_a_file_that_is_no_notebook_and_of_none_at_all(autograder: Autograder) -> None:
    values, _ = autograder.run()
    ungraded(values, "there is no notebook in it")
    (autograder.root / "submission" / "hw2.ipynb").write_bytes(b"{")
    values, shown = autograder.run()
    ungraded(values, "hw2.ipynb", "no valid JSON", "save it again")
    assert "no valid JSON" in shown


@pytest.mark.parametrize("program", [None, "exit 3", "kill -9 $$", "exit 0"])
def test_a_grader_that_fails_is_never_a_zero(autograder: Autograder, program: str | None) -> None:
    (autograder.root / "submission" / "hw2.ipynb").write_bytes(notebook_bytes(CORR2D))
    programs = autograder.root / "source" / "notebook-grader" / ".venv" / "bin"
    programs.unlink()
    if program:
        programs.mkdir()
        (programs / "grader").write_text(f"#!/bin/sh\necho secret >&2\n{program}\n")
        (programs / "grader").chmod(0o755)
    values, shown = autograder.run()
    ungraded(values, "The grader failed, not your submission")
    assert "secret" not in json.dumps(values)
    assert "secret" in shown or program is None


def test_the_zip_for_gradescope_has_what_gradescope_looks_for(tmp_path: Path) -> None:
    (command,) = re.findall(
        r"^    (git archive (?:.*\\\n)*.*)$", (GRADESCOPE / "README.md").read_text("utf-8"), re.MULTILINE
    )
    done = subprocess.run(
        ["sh", "-c", command.replace("autograder.zip", str(tmp_path / "autograder.zip"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert {"setup.sh", "run_autograder", "options"} <= modes.keys()
    assert all(modes[name] & 0o111 for name in ("setup.sh", "run_autograder", "notebook-grader/deploy/ci/install.sh"))
    assert "notebook-grader/rubrics/hw2/rubric.toml" in modes


def test_every_option_and_file_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "ci.md").read_text("utf-8")
    told = subprocess.run(
        [PROGRAMS / "grader", "check", "--help"], env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True
    ).stdout
    options = set(re.findall(r"--[a-z][a-z-]+", page))
    assert {"--format", "--min-score", "--visibility"} <= options
    assert all(option in told for option in options)
    for path in re.findall(r"`((?:deploy|docs|grader)/[\w./-]+)`", page):
        assert (ROOT / path).exists(), path
