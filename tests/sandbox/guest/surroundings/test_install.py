"""What a notebook finds around it: a missing keyboard, plots, shells, worker processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import ran

CELLS = {
    "input": "assert input('your name? ') == ''",
    "getpass": "import getpass\nassert getpass.getpass() == ''\n"
    "from getpass import getpass as ask\nassert ask('x') == ''",
    "inline plots": "import matplotlib, matplotlib.pyplot as plt\n"
    "assert 'inline' in matplotlib.get_backend(), matplotlib.get_backend()",
    "a figure is shown": "from IPython.display import publish_display_data\nshown = []\n"
    "publisher = get_ipython().display_pub\nkept = publisher.publish\n"
    "publisher.publish = lambda data, *a, **k: shown.extend(data)\n"
    "plt.plot([1, 2]); plt.show()\npublisher.publish = kept\nassert 'image/png' in shown, shown",
    "a figure is shown without asking": "plt.plot([1, 2])",
    "timing": "%%time\nx = sum(range(10))",
    "the time of one line": "%timeit -n1 -r1 sum(range(10))",
    "a shell's output": "out = !echo hello\nassert out == ['hello'], out",
    "a shell": "!echo hello > file.txt",
    "a shell's list": "!!ls",
    "a shell's script": "%%bash\nls file.txt && exit 0",
    "help": "len?",
    "source": "import textwrap\ntextwrap.dedent??",
    "a file of one's own": "%%writefile mine.py\nvalue = 5",
    "an import of one's own": "import mine\nassert mine.value == 5",
    "pandas": "import pandas as pd\npd.DataFrame({'a': [1, 2]}).to_csv('x.csv')\npd.read_csv('x.csv')",
    "data loader": "import torch\ndata = torch.utils.data.TensorDataset(torch.arange(8.0))\n"
    "loader = torch.utils.data.DataLoader(data, batch_size=2, num_workers=2)\n"
    "assert sorted(float(x) for (b,) in loader for x in b) == [float(n) for n in range(8)]",
    "a pool": "import multiprocessing, os\nwith multiprocessing.Pool(2) as pool:\n"
    "    assert pool.map(abs, [-1, -2]) == [1, 2]",
    "threads": "import threading\nt = threading.Thread(target=print, args=('hello',)); t.start(); t.join()",
    "temporary files": "import tempfile\nwith tempfile.NamedTemporaryFile('w') as file:\n    file.write('x')\n"
    "assert tempfile.gettempdir() == '/tmp'",
    "home": "from pathlib import Path\nassert Path.home() == Path.cwd()\nassert list(Path.home().iterdir())",
    "training without data": "net = torch.nn.Linear(1, 1)\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
    "for _ in range(3):\n    optimizer.zero_grad(); net(torch.ones(1, 1)).sum().backward(); optimizer.step()",
    "d2l's plots": "from d2l import torch as d2l\nd2l.plot([1, 2], [[1, 2]], 'x', 'y')",
    "await": "import asyncio\nawait asyncio.sleep(0)",
    "async": "async def later(): return 1\nassert await later() == 1",
    "markdown": "from IPython.display import Markdown, clear_output\nclear_output()\nMarkdown('# hello')",
    "warnings": "import warnings\nwarnings.warn('careful')",
    "a progress bar": "import sys\nfor n in range(3): sys.stderr.write(f'\\r{n}'); sys.stderr.flush()",
}


@pytest.fixture(scope="module")
def results(zygote: Zygote) -> Iterator[dict[str, tuple[str, str]]]:
    """Return how each cell of one notebook ended."""
    with ran(zygote, *CELLS.values()) as run:
        yield dict(zip(CELLS, zip(run.statuses(), run.messages(), strict=True), strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_what_homework_uses_works(results: dict[str, tuple[str, str]], name: str) -> None:
    assert results[name] == ("ok", "")
