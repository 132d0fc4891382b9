"""Lines about a notebook's environment end no cell: Colab, extensions, magics, folders, backends of figures."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.results.notice import NoticeKind
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import Ran, ran

CELLS = {
    "Colab's drive": "from google.colab import drive\ndrive.mount('/content/drive', force_remount=True)\n"
    "drive.flush_and_unmount()",
    "Colab's files": "from google.colab import files\nassert files.upload() == {}\nfiles.download('x')",
    "the rest of Colab": "import google.colab, google.colab._message\nfrom google.colab import output, userdata, auth\n"
    "from google.colab.widgets import TabBar\nauth.authenticate_user()\nassert userdata.get('KEY') == ''",
    "Colab's pictures": "import numpy\nfrom google.colab.patches import cv2_imshow\ncv2_imshow(numpy.zeros((4, 4, 3)))",
    "google's own": "import google.protobuf",
    "a Drive's folder": "import os\nbefore = os.getcwd()\nos.chdir('/content/drive/MyDrive/DL')\n%cd /content/nowhere\n"
    "assert os.getcwd() == before",
    "a folder that is guarded": "try:\n    os.chdir('/content')\nexcept OSError:\n    missing = True\nassert missing",
    "a folder that is there": "os.mkdir('sub')\nos.chdir('sub')\nassert os.getcwd() != before\nos.chdir('..')",
    "extensions": "%load_ext watermark\n%watermark -v -p torch\n%reload_ext line_profiler\nloaded = 1",
    "tensorboard": "%load_ext tensorboard\n%tensorboard --logdir runs",
    "autoreload": "%load_ext autoreload\n%autoreload 2",
    "unknown magics": "%wandb login\nx = %nothing here\nassert x is None",
    "magics as they are exported": "get_ipython().magic('matplotlib inline')\n"
    "get_ipython().run_line_magic('load_ext', 'watermark')",
    "an unknown cell magic over Python": "%%wandb\nran = 3",
    "what it ran": "assert ran == 3",
    "an unknown cell magic over something else": "%%mermaid\ngraph TD; A-->B",
    "configurations": "%config InlineBackend.figure_format = 'retina'\n%config Completer.use_jedi = False\n"
    "%config IPCompleter.greedy = True\n%config Nothing.at_all = 1",
    "removed names": "from IPython.core.display import display, HTML, clear_output\n"
    "from IPython.display import set_matplotlib_formats\nset_matplotlib_formats('png')\ndisplay(HTML('<b>'))",
    "JavaScript": "%%javascript\nalert(1)",
    "shells": "!nvidia-smi\n!wget -q http://example.org/x\n!ls",
    "windows": "import matplotlib\nmatplotlib.use('TkAgg')\nimport matplotlib.pyplot as plt\n"
    "plt.switch_backend('Qt5Agg')\n"
    "matplotlib.use('WebAgg')\nassert 'inline' in matplotlib.get_backend()",
    "windows by magic": "%matplotlib qt\n%matplotlib widget\n%matplotlib notebook\n%matplotlib tk\n%gui qt\n"
    "assert 'inline' in matplotlib.get_backend()",
    "files only": "matplotlib.use('Agg')\nassert matplotlib.get_backend().lower() == 'agg', matplotlib.get_backend()\n"
    "plt.plot([1]); plt.savefig('a.png')",
}


@pytest.fixture(scope="module")
def made(zygote: Zygote) -> Iterator[Ran]:
    with ran(zygote, *CELLS.values()) as run:
        yield run


@pytest.mark.parametrize("name", CELLS)
def test_a_line_about_the_environment_holds(made: Ran, name: str) -> None:
    cell = list(CELLS).index(name)
    assert (made.statuses()[cell], made.messages()[cell]) == ("ok", "")


def test_the_cell_says_what_did_nothing(made: Ran) -> None:
    printed = str(made.showed(list(CELLS).index("a Drive's folder")))
    assert "there is no folder /content/drive/MyDrive/DL here" in printed
    assert "(%tensorboard shows nothing while this is graded)" in str(made.showed(list(CELLS).index("tensorboard")))


def test_a_missing_extension_is_named(made: Ran) -> None:
    missing = [n.subject for n in made.execution.notices if n.kind is NoticeKind.MISSING_PACKAGE]
    assert missing == ["watermark", "line_profiler"]
