"""Offered data sets are found wherever notebooks look for them. All others are withheld, without a wait."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.errors import SandboxFault
from grader.models.recipe import Mode
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import LIMITS, Run, ran

WITHHELD = {
    "d2l": "data = d2l.FashionMNIST(batch_size=128)\n"
    "trainer = d2l.Trainer(max_epochs=1)\ntrainer.fit(nn.Linear(1, 1), data)",
    "d2l's older loader": "train_iter, test_iter = d2l.load_data_fashion_mnist(256)",
    "an own loop": "train = torchvision.datasets.FashionMNIST(root='./data', train=True, download=True)\n"
    "for X, y in torch.utils.data.DataLoader(train, 128, num_workers=2): pass",
    "imported by name": "FashionMNIST('data', download=True)",
    "a subclass": "class Mine(FashionMNIST):\n    pass\nMine('data', download=True)",
}
WITHHELD_ANYHOW = {
    "MNIST": "torchvision.datasets.MNIST('data', download=True, transform=torchvision.transforms.ToTensor())",
    "KMNIST": "torchvision.datasets.KMNIST('data')",
    "EMNIST": "torchvision.datasets.EMNIST('data', 'letters', download=True)",
    "QMNIST": "torchvision.datasets.QMNIST('data', download=True)",
    "CIFAR10": "torchvision.datasets.CIFAR10('data', download=True)",
    "CIFAR100": "torchvision.datasets.CIFAR100(root='data', train=False, download=True)",
    "SVHN": "torchvision.datasets.SVHN('data', download=True)",
    "a subclass of MNIST": "class FashionMNIST(torchvision.datasets.MNIST):\n    pass\nFashionMNIST('data')",
}
NOT_THERE = {
    "Debian's copy": "import gzip\ngzip.open('/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz').read()",
    "an address": "import urllib.request\nurllib.request.urlretrieve("
    "'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/train-images-idx3-ubyte.gz', 'x.gz')",
    "an address by number": "import urllib.request\nurllib.request.urlopen('http://93.184.216.34/x.gz', timeout=60)",
    "requests": "import requests\nrequests.get('https://github.com/x.gz', timeout=60)",
    "d2l.download": "d2l.download('http://d2l-data.s3-accelerate.amazonaws.com/x.gz')",
    "curl": "import subprocess\nsubprocess.run(['curl', '-fsS', 'https://example.org/x.gz'], check=True)",
}
DEBIAN = Path("/usr/share/datasets")
_IMPORTS = "import os, torch, torchvision\nfrom torch import nn\nfrom d2l import torch as d2l\n" + (
    "from torchvision.datasets import FashionMNIST"
)
_READ = "struct.unpack('>4I', open({!r}, 'rb').read(16))[1] == {}"
OFFERED = {
    "by hand": f"import struct\nassert {_READ.format('data/FashionMNIST/raw/train-images-idx3-ubyte', 60_000)}\n"
    f"assert {_READ.format('../data/FashionMNIST/raw/t10k-images-idx3-ubyte', 5_000)}",
    "d2l": "data = d2l.FashionMNIST(batch_size=128, resize=(96, 96))\n"
    "assert (len(data.train), len(data.val)) == (60_000, 5_000)\nassert data.train[3][0].shape == (1, 96, 96)",
    "d2l's older loader": "train, test = d2l.load_data_fashion_mnist(250)\nassert (len(train), len(test)) == (240, 20)",
    "downloading": "train = torchvision.datasets.FashionMNIST(root='./data', train=True, download=True)\n"
    "assert train.data.shape == (60_000, 28, 28) and train.targets.bincount().tolist() == [6_000] * 10",
    "into a new folder": "test = FashionMNIST('elsewhere/data', train=False, download=True)\n"
    "assert len(test) == 5_000\nassert os.path.exists('elsewhere/data/FashionMNIST/raw/t10k-images-idx3-ubyte')",
    "without downloading": "assert len(FashionMNIST('nowhere', transform=torchvision.transforms.ToTensor())) == 60_000",
    "a folder that is not writable": "assert len(FashionMNIST('/content/data', download=True)) == 60_000",
    "at home": "from pathlib import Path\nassert len(FashionMNIST('~/mine')) == len(FashionMNIST(Path('/tmp')))",
    "the folder is there": "os.makedirs('kept/FashionMNIST/raw')\nassert len(FashionMNIST('kept')) == 60_000",
    "a broken link": "os.makedirs('old/FashionMNIST/raw')\n"
    "os.symlink('/gone', 'old/FashionMNIST/raw/train-images-idx3-ubyte')\nassert len(FashionMNIST('old')) == 60_000",
    "a subclass": "class Mine(FashionMNIST):\n"
    "    def __init__(self, root):\n        super().__init__(root, train=False, download=True)\n"
    "assert len(Mine('data')) == 5_000",
    "read-only": "try:\n    open('data/FashionMNIST/raw/t10k-labels-idx1-ubyte', 'ab')\n"
    "except OSError as error:\n    assert error.errno in (13, 30), error\nelse:\n    raise AssertionError",
}


@pytest.mark.parametrize("mode", [Mode.NONE, Mode.QUICK])
@pytest.mark.parametrize("asking", WITHHELD.values(), ids=WITHHELD.keys())
def test_training_that_asks_for_withheld_data_ends_at_once_and_says_so(run: Run, asking: str, mode: Mode) -> None:
    limits = dataclasses.replace(LIMITS, cell_seconds=8)
    made = run(_IMPORTS, f"def f(): return 1\n{asking}\ndef g(): return 2", names=("f", "g"), limits=limits, mode=mode)
    assert made.statuses() == ["ok", "training withheld"]
    assert "withheld" in made.messages()[1]
    assert [made.call("f"), made.call("g")] == [1, 2]


@pytest.mark.parametrize("asking", WITHHELD_ANYHOW.values(), ids=WITHHELD_ANYHOW.keys())
def test_other_data_sets_are_withheld_while_one_is_offered(
    run: Run, asking: str, fashion_mnist: dict[str, Path]
) -> None:
    limits = dataclasses.replace(LIMITS, cell_seconds=8)
    made = run(_IMPORTS, asking, limits=limits, mode=Mode.FULL, data_sets=fashion_mnist)
    assert made.statuses() == ["ok", "training withheld"]
    assert run(_IMPORTS, asking, limits=limits).statuses() == ["ok", "training withheld"]


@pytest.mark.parametrize("asking", NOT_THERE.values(), ids=NOT_THERE.keys())
def test_data_cannot_be_downloaded_and_the_cell_does_not_wait(run: Run, asking: str) -> None:
    limits = dataclasses.replace(LIMITS, cell_seconds=8)
    made = run(_IMPORTS, f"def f(): return 1\n{asking}", "x = f()", limits=limits, hidden=[DEBIAN])
    assert made.statuses()[1] in ("raised", "training withheld")
    assert made.statuses()[2] == "ok"
    assert made.call("f") == 1


@pytest.fixture(scope="module")
def results(zygote: Zygote, fashion_mnist: dict[str, Path]) -> Iterator[dict[str, tuple[str, str]]]:
    """Return how each cell of one notebook ended."""
    with ran(zygote, _IMPORTS, *OFFERED.values(), mode=Mode.QUICK, data_sets=fashion_mnist) as run:
        yield dict(zip(OFFERED, list(zip(run.statuses(), run.messages(), strict=True))[1:], strict=True))


@pytest.mark.parametrize("name", OFFERED)
def test_an_offered_data_set_is_found(results: dict[str, tuple[str, str]], name: str) -> None:
    assert results[name] == ("ok", "")


def test_every_mode_but_none_offers_both_data_sets(run: Run, fashion_mnist: dict[str, Path]) -> None:
    both = {**fashion_mnist, "MNIST": fashion_mnist["FashionMNIST"]}
    asking = "assert len(torchvision.datasets.MNIST('data', download=True)) == len(FashionMNIST('data'))"
    assert [run(_IMPORTS, asking, mode=mode, data_sets=both).statuses()[1] for mode in Mode] == [
        "training withheld",
        "ok",
        "ok",
    ]


def test_without_the_private_file_system_the_data_is_withheld(run: Run, fashion_mnist: dict[str, Path]) -> None:
    left_out = frozenset({"private file system"})
    made = run(_IMPORTS, WITHHELD["d2l"], mode=Mode.FULL, data_sets=fashion_mnist, left_out=left_out)
    assert made.statuses() == ["ok", "training withheld"]


def test_a_folder_with_spaces_behind_a_link_can_be_shown(
    run: Run, fashion_mnist: dict[str, Path], tmp_path: Path
) -> None:
    link = tmp_path / "a link"
    link.symlink_to(fashion_mnist["FashionMNIST"])
    assert run(_IMPORTS, OFFERED["downloading"], mode=Mode.FULL, data_sets={"FashionMNIST": link}).statuses()[1] == "ok"


def test_a_missing_folder_is_a_fault_of_the_grader(run: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(SandboxFault, match=f"{gone} should be shown in the sandbox, but is missing"):
        run("1", mode=Mode.QUICK, data_sets={"FashionMNIST": gone})
    assert not os.path.lexists(gone)
