"""The corpus: cells of all kinds, in sections. Every section runs in the kernel that the sections before it left."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from tests.support.fidelity_differences import DIFFERENCES

__all__ = ["CORPUS", "CorpusCell"]


@dataclass(frozen=True)
class CorpusCell:
    """A cell, and the name of the difference by design that it may show (`fidelity_differences.py`)."""

    source: str
    differs: str = ""

    def __post_init__(self) -> None:
        assert not self.differs or self.differs in DIFFERENCES


def _section(*cells: str | CorpusCell) -> tuple[CorpusCell, ...]:
    return tuple(CorpusCell(dedent(cell).strip("\n")) if isinstance(cell, str) else cell for cell in cells)


def _differs(name: str, *sources: str) -> CorpusCell:
    return CorpusCell("\n".join(sources), name)


# By name; the order is the order in which the sections run.
CORPUS: dict[str, tuple[CorpusCell, ...]] = {
    "expressions": _section(
        "6 * 7",
        "_ + 1",
        "Out[1], In[1], _1",
        "x = 3\nx;",
        "None",
        "a, b = divmod(17, 5)\na\nb",
        "print('no', 'newline', end='')",
        "{'nested': [1, (2, 3)], 'text': 'é 한 \\N{SNOWMAN}'}",
    ),
    "errors": _section(
        """
        def share(cake, guests):
            crumbs = 0
            portion = cake / guests
            return portion + crumbs

        def party(guests):
            return share(12, guests)
        """,
        _differs("statements", "print('before')\nparty(0)\nparty(1)"),
        """
        try:
            int('seven')
        except ValueError as error:
            raise RuntimeError('no number') from error
        """,
        "if True print('never')",
        "  def f(:\n    pass",
        "undefined_name",
        "assert 1 == 2, 'not equal'",
        "class Odd(Exception):\n    pass\nraise Odd('odd', 3)",
        "raise ExceptionGroup('two', [ValueError(1), KeyError('k')])",
        "import json\njson.loads('{')",
        "{}['absent']",
        "'é' * 2 + 3",
        "import torch\ntorch.zeros(2, 3) @ torch.zeros(2, 3)",
        "raise MemoryError('a wish')",
        _differs("tracebacks", "def down(n):\n    return down(n + 1) if n else 1 / 0\ndown(40)"),
    ),
    "streams": _section(
        "print('one')\nprint('two')",
        "import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out again')",
        "print('loud', file=sys.stderr, flush=True)\nsys.stdout.write('written\\n')",
        _differs("streams", "import os\nprint('first')\nos.system('echo second')\nprint('third')"),
        "import subprocess\nsubprocess.run(['echo', 'from a child'])\nsubprocess.run('echo it >&2', shell=True);",
        "print(subprocess.run(['echo', 'captured'], capture_output=True, text=True).stdout)",
        "print(subprocess.check_output('echo checked', shell=True).decode())",
        "os.write(1, b'raw bytes\\n')\nos.write(2, b'raw bytes to stderr\\n');",
        "import ctypes\nc = ctypes.CDLL(None)\nc.puts(b'from C')\nc.fflush(None);",
        "!echo from a shell\n!echo and its errors >&2",
        "lines = !printf 'a\\nb\\n'\nlines",
        "name = 'world'\n!echo hello {name} $name",
        "os.system('echo to a path > /dev/stderr');",
        "isinstance(sys.stdout.fileno(), int), isinstance(sys.stderr.fileno(), int)",
        "sys.stdout.isatty(), sys.stdout.encoding, sys.stdout.writable(), hasattr(sys.stdout, 'buffer')",
        "sys.stdout.name, sys.stderr.name, sys.__stdout__.name, sys.__stdout__.fileno()",
        "print('to the first stream', file=sys.__stdout__, flush=True)",
        """
        import contextlib, io
        with contextlib.redirect_stdout(io.StringIO()) as held:
            print('held back')
        held.getvalue()
        """,
        """
        with contextlib.redirect_stderr(sys.stdout):
            print('joined', file=sys.stderr)
        """,
        """
        saved = os.dup(1)
        with open('captured.txt', 'w') as file:
            os.dup2(file.fileno(), 1)
            os.system('echo into a file')
            os.dup2(saved, 1)
        os.close(saved)
        print(open('captured.txt').read())
        """,
        "import faulthandler\nfaulthandler.enable()\nfaulthandler.is_enabled()",
        "for step in range(3):\n    print(f'\\r{step} of 2', end='')\nprint()",
        "print('\\x1b[31mred\\x1b[0m and \\x1b[1mbold\\x1b[0m')",
        "print('back\\b\\bspace', 'bell\\a')",
        """
        import time
        for part in ('slow', 'prints'):
            print(part)
            time.sleep(0.3)
        """,
        _differs("descriptors", "subprocess.run(['echo', 'to a descriptor'], stdout=sys.stdout).returncode"),
        "_stdout = sys.stdout\nsys.stdout = io.StringIO()\nprint('into the air')\nsys.stdout = _stdout\nprint('back')",
    ),
    "logging": _section(
        "import logging\nlogging.warning('by the root logger')\nlogging.info('not shown')",
        "logging.basicConfig(level=20, format='%(levelname)s %(message)s', force=True)\nlogging.info('shown')",
        "logging.getLogger('homework').error('by name')",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.error('with its trace', exc_info=False)",
        "logging.basicConfig(level=logging.WARNING, stream=sys.stdout, force=True)\nlogging.warning('to stdout')",
    ),
    "warnings": _section(
        "import warnings\nwarnings.warn('mind the step')",
        "def old():\n    warnings.warn('old is old', DeprecationWarning, stacklevel=2)\nold()\nold()",
        "for _ in range(3):\n    warnings.warn('only once a place', FutureWarning)",
        "warnings.warn('not by default', ImportWarning)",
        "from torch import nn\nnn.MSELoss()(torch.zeros(3, 1), torch.zeros(3))",
        "nn.MSELoss()(torch.zeros(3, 1), torch.zeros(3))",
        "nn.functional.softmax(torch.zeros(2), dim=None)",
        "import numpy as np\nnp.array([1.0]) / 0",
        "np.log(np.array([-1.0]))",
        "'\\d'",
        "1 is 1",
        "with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n    warnings.warn('unheard')",
        """
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter('always')
            warnings.warn('recorded')
        len(heard)
        """,
        "with warnings.catch_warnings():\n    warnings.simplefilter('error')\n    warnings.warn('an error now')",
        "torch.meshgrid(torch.arange(2), torch.arange(2))[0]",
        _differs(
            "imports",
            "sorted({(action, kind.__name__) for action, _, kind, module, _ in warnings.filters if module is None})",
        ),
        "warnings.filterwarnings('ignore')\nwarnings.warn('ignored from here on')",
        "warnings.resetwarnings()\nwarnings.filterwarnings('default')",
    ),
    "display": _section(
        "from IPython.display import *\ndisplay('text', 3)",
        "display(HTML('<b>bold</b> and <i>italic</i>'))",
        "Markdown('# heading\\n\\n- **bold**\\n- `code`')",
        "Latex(r'$\\sum_i x_i^2$')",
        "Math(r'\\frac{1}{2}')",
        "Image(data=bytes.fromhex('89504e470d0a1a0a') + bytes(20), format='png')",
        'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><circle r="2"/></svg>\')',
        _differs("kinds", "JSON({'a': [1, 2]})"),
        "display({'text/plain': 'raw', 'text/html': '<em>raw</em>'}, raw=True)",
        """
        class Both:
            def __repr__(self):
                return 'as text'
            def _repr_html_(self):
                return '<p>as <code>html</code></p>'
        Both()
        """,
        "class Broken:\n    def __repr__(self):\n        raise ValueError('no text for this')\nBroken()",
        "print('above')\ndisplay('between')\nprint('below')",
        _differs("kinds", "Javascript('alert(1)')"),
        "print('gone')\nclear_output()\nprint('stays')",
        "print('gone too')\nclear_output(wait=True)\nprint('in its place')",
        "display(Pretty('pretty'))",
        "list(range(2000))[:1500]",
        "'long ' * 500",
    ),
    "updates": _section(
        "bar = display('0 %', display_id='bar')",
        "bar.update('50 %')",
        "update_display('100 %', display_id='bar')",
        "handle = display('a', display_id=True)\nhandle.update('b')",
        "display('once more', display_id='bar')",
        "bar.update(HTML('<b>done</b>'))",
        "update_display('of nobody', display_id='unknown')",
    ),
    "pandas": _section(
        "import pandas as pd\ntable = pd.DataFrame({'name': ['a', 'b'], 'score': [1.5, None]})\ntable",
        "display(table.describe())",
        "table.style.highlight_max(subset=['score'])",
        "table['score']",
        "table.groupby('name').mean()",
        "table['absent']",
        "print(table)",
        "table.to_csv('table.csv', index=False)\n!cat table.csv",
    ),
    "matplotlib": _section(
        "%matplotlib inline\nimport matplotlib.pyplot as plt",
        "plt.plot([1, 3, 2])\nplt.show()",
        "plt.plot([1, 3, 2]);",
        "figure, axes = plt.subplots(1, 2)\nprint('drawn')",
        "plt.imshow([[0, 1], [1, 0]])",
        "plt.gcf().number",
        "plt.plot([1], [1])\nplt.savefig('figure.png')\nplt.close()\nos.path.exists('figure.png')",
        "plt.title('한국어')\nplt.show()",
        "plt.get_backend()",
    ),
    "asynchronous": _section(
        "import asyncio\nawait asyncio.sleep(0.01)\nprint('awake')",
        "async def double(number):\n    await asyncio.sleep(0)\n    return number * 2",
        "await asyncio.gather(double(1), double(2))",
        "double(3).close()",
        """
        job = double(4)
        try:
            asyncio.run(job)
        except RuntimeError as error:
            print(error)
        job.close()
        """,
        "task = asyncio.ensure_future(double(5))",
        "await task",
        "[number async for number in (lambda: (_ async for _ in ()))()]",
        "loop = asyncio.get_event_loop()\nloop.is_running()",
    ),
    "magics": _section(
        "%time sum(range(10))",
        "%%time\ntotal = sum(range(10))\ntotal",
        "%timeit -n 1 -r 1 pass",
        "%%timeit -n 2 -r 2\npass",
        "%%capture held_output\nprint('captured')",
        "held_output.stdout",
        _differs("magics", "%%capture\n1 / 0"),
        "only_here = 1\n%who_ls int",
        "%who str",
        "%whos float",
        "%%writefile written.py\nprint('run from a file')\nvalue = 5",
        "%run written.py",
        "value",
        "%%writefile -a written.py\nvalue += 1",
        "%cat written.py",
        "%load written.py",
        "%pwd\n%mkdir folder",
        _differs("surroundings", "%cd folder"),
        _differs("surroundings", "%cd .."),
        "%ls folder",
        "%%bash\necho in bash\necho err >&2",
        "%%sh\nexit 3",
        "%%script python3\nprint('in another Python')",
        "%%html\n<p>a paragraph</p>",
        "%%markdown\n*emphasis*",
        "%%latex\n$x$",
        _differs("kinds", "%%javascript\nalert(1)"),
        "%env HOMEWORK=2\nos.environ['HOMEWORK']",
        _differs("surroundings", "%env"),
        "%precision 3\n3.14159",
        "%precision %r",
        "%pprint\n%pprint",
        "%xmode Minimal\n1 / 0",
        "%xmode Context\n1 / 0",
        _differs("magics", "%no_such_magic"),
        _differs("magics", "%%no_such_cell_magic\nx"),
        _differs("magics", "%load_ext no_such_extension"),
        "%load_ext autoreload\n%autoreload 2",
        "%reload_ext autoreload",
        "%config InlineBackend.figure_format = 'png'",
        "%config Application.no_such_option = 3",
        "%alias greet echo hi\n%greet",
        "%store only_here",
        "del only_here\n%store -r only_here\nonly_here",
        "%history -n",
        "%hist 1",
        "%macro again 1",
        "%psearch pri*t",
        "%pdoc len",
        _differs("colours", "%pdef share"),
        "%psource share",
        "%pfile share",
        "%quickref",
        "%lsmagic",
        "%prun -q pass",
        "%system echo as a list",
        "%sx echo a list",
        "%%prun -q\npass",
        "%reset_selective -f only_here",
        "%unload_ext autoreload",
        _differs("kinds", "%autosave 60"),
        _differs("magics", "%tb"),
        "%autocall 1",
        "%automagic off",
        _differs("surroundings", "%dhist"),
        _differs("installing", "%conda list"),
        "%colors nocolor",
        "get_ipython().run_line_magic('time', '1')",
        "get_ipython().run_cell('print(\"a cell in a cell\")\\n5')",
        "get_ipython().system('echo by the shell')",
        "get_ipython().__class__.__name__",
        "exec('print(1)\\nhidden = 1 / 0')",
        "eval('1 +')",
    ),
    "help": _section(
        "len?",
        "share?",
        "share??",
        "?pri*",
        "absent?",
        "help(len)",
        "help(share)",
        "import torch.nn as tn\ntn.Linear?",
        "np?",
    ),
    "keyboard": _section(
        _differs("keyboard", "answer = input('How many? ')"),
        _differs("keyboard", "import getpass\nsecret = getpass.getpass()"),
        _differs("debuggers", "breakpoint()\nprint('after it')"),
        _differs("debuggers", "import pdb; pdb.set_trace()\nprint('after it')"),
        _differs("debuggers", "try:\n    1 / 0\nexcept ZeroDivisionError:\n    pdb.post_mortem()\nprint('after it')"),
        _differs("debuggers", "%debug"),
        _differs("debuggers", "%debug 1 + 1"),
        _differs("debuggers", "%pdb on\n1 / 0"),
        "%pdb off",
        _differs("debuggers", "from IPython.core.debugger import set_trace\nset_trace()\nprint('after it')"),
        _differs("debuggers", "for step in range(3):\n    breakpoint()\nprint('after it')"),
        _differs("network", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')"),
        "sys.stdin.read()",
        "sys.stdin.readline()",
        "for line in sys.stdin:\n    print(line)",
        "subprocess.run(['cat']).returncode",
    ),
    "threads": _section(
        "import threading\nthread = threading.Thread(target=print, args=('a',))\nthread.start()\nthread.join()",
        """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(2) as pool:
            print(sorted(pool.map(abs, [-1, 2])))
        """,
        """
        def fail():
            raise ValueError('in a thread')
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        """,
        "threading.current_thread().name, threading.current_thread() is threading.main_thread()",
        "timer = threading.Timer(0.05, print, ['later'])\ntimer.start()\ntimer.join()",
        "threading.Thread(target=time.sleep, args=(0.2,), daemon=True).start()",
    ),
    "processes": _section(
        "import multiprocessing as mp\nmp.get_start_method()",
        "with mp.get_context('fork').Pool(2) as pool:\n    print(pool.map(abs, [-1, -2]))",
        """
        def shout(word):
            print(word.upper(), flush=True)
        process = mp.get_context('fork').Process(target=shout, args=('hello',))
        process.start()
        process.join()
        process.exitcode
        """,
        "%%writefile squares.py\ndef square(number):\n    return number ** 2",
        """
        import squares
        process = mp.get_context('spawn').Process(target=squares.square, args=(3,))
        process.start()
        process.join(20)
        process.exitcode
        """,
        "with mp.get_context('spawn').Pool(1) as pool:\n    print(pool.map(squares.square, [2, 3]))",
        """
        process = mp.get_context('spawn').Process(target=shout, args=('hello',))
        process.start()
        process.join(20)
        process.exitcode
        """,
        """
        from torch.utils.data import DataLoader, TensorDataset
        loader = DataLoader(TensorDataset(torch.arange(4.)), batch_size=2, num_workers=2)
        [batch[0].tolist() for batch in loader]
        """,
        "subprocess.run([sys.executable, '-c', 'print(6 * 7)'], capture_output=True, text=True).stdout",
        '!python3 -c "print(6 * 7)"',
        "child = os.fork()\nif child == 0:\n    os._exit(3)\nos.waitpid(child, 0)[1] >> 8",
        "subprocess.run(['no-such-program'])",
        "subprocess.run(['false'], check=True)",
    ),
    "surroundings": _section(
        "__name__, '__file__' in globals()",
        "sys.argv[:1] == [], isinstance(sys.argv[0], str)",
        "sys.path[0]",
        "os.path.isdir(os.getcwd())",
        "import signal\nsignal.getsignal(signal.SIGINT).__name__",
        "sys.modules['__main__'].__dict__ is globals()",
        "get_ipython().ast_node_interactivity",
        "type(sys.stdout).__name__, type(sys.stdout).__mro__[-3].__name__",
        "sys.stdout.buffer",
        "import random\nisinstance(random.random(), float)",
        "open('note.txt', 'w').write('kept')\nopen('note.txt').read()",
        "import tempfile\nwith tempfile.TemporaryDirectory() as folder:\n    print(os.path.isdir(folder))",
        "torch.get_num_threads() >= 1",
        "from IPython import get_ipython as shell\nshell() is get_ipython()",
        "get_ipython().ast_node_interactivity = 'all'\n1\n2",
        "get_ipython().ast_node_interactivity = 'last_expr'",
        "%%capture only_out --no-stderr\nprint('a')",
        "import atexit\natexit.register(print, 'at the end');",
        "sys.excepthook.__name__",
        "sys.displayhook.__class__.__name__ != ''",
        "import gc\ngc.isenabled()",
        "sys.getrecursionlimit(), sys.flags.interactive",
        _differs("exit", "exit()"),
        "print('after exit')",
    ),
}
