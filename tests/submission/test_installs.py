"""Install commands are taken out of a cell's source, and nothing else."""

import time

import pytest

from grader.submission import installs
from grader.submission.installs import neutralise_installs

COMMANDS = [
    "!pip install d2l==1.0.3",
    "! pip install d2l",
    "!!pip install d2l",
    "!pip3 install d2l",
    "!pip3.11 list",
    "!sudo pip install d2l",
    "!sudo -H pip install d2l",
    "!PIP_QUIET=1 pip install d2l",
    "!/usr/bin/pip install d2l",
    "!python -m pip install d2l",
    "!python3 -q -m pip install d2l",
    "!{sys.executable} -m pip install d2l",
    '!"{sys.executable}" -m pip install d2l',
    "!cd /tmp && pip install .",
    "!yes | conda install d2l",
    "!apt-get install -y fonts-nanum",
    "!apt install fonts-nanum",
    "!uv pip install d2l",
    "%pip install d2l",
    "%conda install d2l",
    "%sx pip list",
    "%time !pip install d2l",
    "pip install d2l==1.0.3",
    "pip3 install d2l",
    "pip --version",
    "pip -V",
    "conda install -c pytorch pytorch",
]

OTHERS = [
    "!echo 'pip install d2l'",
    "!ls; nvidia-smi  # pip",
    "!!echo cuda && echo none  # pip",
    "!git clone https://example.org/pip",
    "!python train.py --m pip",
    "%matplotlib inline  # pip",
    "%timeit -n 1 pip(1)",
    "%run pip.py",
    "pip = 3",
    "pip.install('d2l')",
    "pip in names",
    "pip if names else conda",
    "pip - 1",
    "x = pip",
    "x != pip",
    "pipeline = [conda]",
    "import pip",
    "# pip install d2l",
    "print('!pip install d2l')",
    "subprocess.run(['pip', 'install', 'd2l'])",
]


def test_the_public_names_are_sorted() -> None:
    assert installs.__all__ == sorted(installs.__all__)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_install_command_is_replaced(command: str) -> None:
    source, removed = neutralise_installs(f"import sys\n{command}\nx = 1")
    assert source == "import sys\npass\nx = 1"
    assert removed == (command,)


@pytest.mark.parametrize("command", COMMANDS)
def test_an_install_command_keeps_its_indentation(command: str) -> None:
    source, removed = neutralise_installs(f"try:\n    import d2l\nexcept ImportError:\n    {command}")
    assert source.split("\n")[-1] == "    pass"
    compile(source, "cell", "exec")
    assert removed == (command,)


@pytest.mark.parametrize("line", OTHERS)
def test_any_other_line_stays(line: str) -> None:
    source = f"{line}\nx = 1"
    assert neutralise_installs(source) == (source, ())


def test_what_an_install_prints_becomes_an_empty_list() -> None:
    assert neutralise_installs("found = !pip list\nlen(found)")[0] == "found = []\nlen(found)"
    assert neutralise_installs("found = %sx pip list")[0] == "found = []"


def test_continued_lines_go_with_their_command_and_line_numbers_stay() -> None:
    source, removed = neutralise_installs("!pip install \\\n  d2l \\\n  torch\nx = 1")
    assert source == "pass\n\n\nx = 1"
    assert removed == ("!pip install \\",)


@pytest.mark.parametrize("quotes", ["'''", '"""'])
def test_lines_in_a_long_string_stay(quotes: str) -> None:
    text = f"text = {quotes}a\npip install d2l\n!pip install it's \\{quotes}\n{quotes}"
    assert neutralise_installs(text) == (text, ())
    assert neutralise_installs(f"{text}\npip install d2l")[0] == f"{text}\npass"


@pytest.mark.parametrize(
    "line", ["'#'", "it = \"'''\"", "# '''", "'a' '''b'''", "''", r"'\''", "!echo '''", "%env A='''"]
)
def test_quotes_that_open_no_long_string_hide_nothing(line: str) -> None:
    assert neutralise_installs(f"{line}\npip install d2l") == (f"{line}\npass", ("pip install d2l",))


@pytest.mark.parametrize("magic", ["%%bash", "%%sh", "%%script bash", "%%capture\n%%bash", "\n%%bash -e"])
def test_in_a_shell_cell_an_install_does_nothing(magic: str) -> None:
    source, removed = neutralise_installs(f"{magic}\nif true; then\n  pip install \\\n  d2l\nfi\necho done")
    assert source == f"{magic}\nif true; then\n  :\n\nfi\necho done"
    assert removed == ("pip install \\",)


@pytest.mark.parametrize("magic", ["%%time", "%%capture out", "%%timeit -n 1 -r 1"])
def test_magics_that_run_python_are_looked_into(magic: str) -> None:
    assert neutralise_installs(f"{magic}\n!pip install d2l")[0] == f"{magic}\npass"


@pytest.mark.parametrize("magic", ["%%writefile setup.sh", "%%html", "%%markdown"])
def test_the_body_of_any_other_cell_magic_stays(magic: str) -> None:
    source = f"{magic}\npip install d2l"
    assert neutralise_installs(source) == (source, ())


@pytest.mark.slow
@pytest.mark.parametrize(
    "part", ["'", "\"'''", "\n", " ", "a=", "a=a ", "!;", ";a", "&", "\\", "%time ", "%%time\n", "!pip ", "pip \n"]
)
def test_the_time_taken_grows_no_faster_than_the_source(part: str) -> None:
    started = time.process_time()
    for start in ("pip ", "!", "!pip ", "x = !", "%", "%%sh\n"):
        neutralise_installs(start + part * (900_000 // len(part)) + "\npip")
    assert time.process_time() - started < 20


def test_a_source_that_nobody_wrote_is_not_searched() -> None:
    source = "!pip install d2l\n" + "#" * 1_000_000
    assert neutralise_installs(source) == (source, ())
