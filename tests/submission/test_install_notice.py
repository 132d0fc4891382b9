"""The notice on an install command says what of it is here."""

from __future__ import annotations

import time
from importlib.metadata import version

import pytest

from grader.submission.install_notice import describe_installs

TORCH = version("torch")
ASKED = {
    "!pip install torchsummary": f"Installed in this grader: torchsummary {version('torchsummary')}.",
    "!pip install -q nntools einops": f"Installed in this grader: einops {version('einops')}. "
    "Not installed here: nntools.",
    "!pip install torch==1.13.1": f"Installed in this grader: torch {TORCH} instead of 1.13.1.",
    "!conda install -y -c pytorch pytorch=1.2": f"Installed in this grader: pytorch {TORCH} instead of 1.2.",
    "!pip install 'torch>=2' > /dev/null 2>&1": f"Installed in this grader: torch {TORCH}.",
    "!pip install 'nntools[all]'; pip install sklearn | tail -1": "Installed in this grader: sklearn "
    f"{version('scikit-learn')}. Not installed here: nntools[all].",
    "!{sys.executable} -m pip install nntools": "Not installed here: nntools.",
    "!pip install -r requirements.txt": "Not fetched: -r requirements.txt.",
    "!pip install git+https://example.org/x.git": "Not fetched: git+https://example.org/x.git.",
    "!pip install --index-url https://example.org nntools": "Not installed here: nntools.",
    "!pip install 'unclosed": "Not fetched: 'unclosed.",
}


@pytest.mark.parametrize("command", ASKED)
def test_what_is_here_and_what_is_not(command: str) -> None:
    start = f"`{command}` was not run, because there is no network while this is graded. "
    assert describe_installs([command]) == start + ASKED[command]


@pytest.mark.parametrize("command", ["!apt-get install -y fonts-nanum", "!pip list", "%pip install"])
def test_a_command_that_names_no_package_of_python_is_only_said_not_to_run(command: str) -> None:
    assert describe_installs([command]).endswith("was not run, because there is no network while this is graded.")


def test_several_commands_are_one_sentence() -> None:
    text = describe_installs(["!pip install nntools", "!pip install nnother nntools"])
    assert text.startswith("`!pip install nntools` and 1 more were not run")
    assert text.endswith("Not installed here: nntools, nnother.")


@pytest.mark.parametrize("part", ["a ", ">", " >", ";", "'", "-r ", "=", "a=", "\\"])
def test_a_long_command_takes_no_long_time(part: str) -> None:
    started = time.process_time()
    assert len(describe_installs(["!pip install " + part * 100_000])) < 3000
    assert time.process_time() - started < 5
