"""Offered data sets are found wherever notebooks look for them. All others have stand-in images, to look at only."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from grader.errors import SandboxFault
from grader.models.recipe import Mode
from grader.results.notice import NoticeKind
from grader.sandbox.host.sandbox import Zygote
from tests.support.sandbox_runs import LIMITS, Ran, Run, ran

LEFT_OUT = {
    "d2l": "data = d2l.FashionMNIST(batch_size=128, resize=(224, 224))\n"
    "class Model(d2l.Classifier):\n"
    "    def __init__(self): super().__init__(); self.lr, self.net = 0.1, nn.LazyLinear(10)\n"
    "d2l.Trainer(max_epochs=1).fit(Model(), data)",
    "a function": "loaders = d2l.load_data_fashion_mnist(256)\ntrain(net, loaders[0])",
    "a loop": "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
    "for X, y in torch.utils.data.DataLoader(FashionMNIST('data', transform=to_tensor), 128, num_workers=2):\n"
    "    optimizer.zero_grad(); nn.functional.cross_entropy(net(X), y).backward(); optimizer.step()\n"
    "    raise AssertionError",
    "steps by hand": "for X, y in torch.utils.data.DataLoader(FashionMNIST('data', transform=to_tensor), 128):\n"
    "    nn.functional.cross_entropy(net(X), y).backward()\n    raise AssertionError",
    "a part": "part, _ = torch.utils.data.random_split(FashionMNIST('data', transform=to_tensor), [50_000, 10_000])\n"
    "train(net, torch.utils.data.DataLoader(part, 128, shuffle=True))",
    "a subclass": "class Mine(FashionMNIST):\n    pass\n"
    "train(net, torch.utils.data.DataLoader(Mine('data', transform=to_tensor), 128))",
    "an own data set": "class Mine(torch.utils.data.Dataset):\n"
    "    def __init__(self): self.images = FashionMNIST('data')\n"
    "    def __len__(self): return 60_000\n    def __getitem__(self, i): return to_tensor(self.images[i][0]), 0\n"
    "train(net, torch.utils.data.DataLoader(Mine(), 128, num_workers=2))",
    "CIFAR10": "images = torchvision.datasets.CIFAR10('data', download=True, transform=to_tensor)\n"
    "train(nn.Sequential(nn.Flatten(), nn.Linear(3_072, 10)), torch.utils.data.DataLoader(images, 128))",
    "an evaluation of a large model": "data = d2l.FashionMNIST(batch_size=128, resize=(224, 224))\n"
    "with torch.no_grad():\n    for X, y in data.val_dataloader():\n        convolution(X)",
}
LOOKED_AT = {
    "a batch": "data = d2l.FashionMNIST(batch_size=64, resize=(96, 96))\nX, y = next(iter(data.train_dataloader()))\n"
    "assert X.shape == (64, 1, 96, 96) and y.dtype == torch.int64 and 0 == X.min() and X.max() == 1\n"
    "data.visualize((X, y))\nassert len(data.train_dataloader()) == 938",
    "tensors": "train = FashionMNIST('data', train=True, download=True)\n"
    "assert train.data.shape == (60_000, 28, 28) and train.data.dtype == torch.uint8\n"
    "assert train.targets.bincount().tolist() == [6_000] * 10 and train.classes[9] == 'Ankle boot'\n"
    "same = train.data[1_280].clone()\ntrain.data[0] = 7\nassert (train.data[1_280] == same).all()\n"
    "assert train.data.view(-1, 784).float().std() > 0",
    "one image": "image, label = FashionMNIST('data', train=False)[3]\n"
    "assert image.size == (28, 28) and type(label) is int",
    "the mean of all images": "loader = torch.utils.data.DataLoader(FashionMNIST('data', transform=to_tensor), 1_000)\n"
    "assert 0 < sum(X.mean() for X, _ in loader) / len(loader) < 1",
    "parts": "parts = torch.utils.data.random_split(FashionMNIST('data', transform=to_tensor), [50_000, 10_000])\n"
    "assert next(iter(torch.utils.data.DataLoader(parts[0], 16)))[0].shape == (16, 1, 28, 28)",
    "workers": "class Mine(torch.utils.data.Dataset):\n"
    "    def __init__(self): self.images = FashionMNIST('data')\n"
    "    def __len__(self): return 60_000\n    def __getitem__(self, i): return 2 * to_tensor(self.images[i][0])\n"
    "assert next(iter(torch.utils.data.DataLoader(Mine(), 8, num_workers=2))).max() == 2",
    "an evaluation": "with torch.no_grad():\n"
    "    assert sum(len(net(X)) for X, y in d2l.load_data_fashion_mnist(256)[1]) == 10_000",
    "shapes layer by layer": "X = next(iter(d2l.load_data_fashion_mnist(256)[0]))[0]\nassert net(X).shape == (256, 10)",
    "a small kernel": "kernel = nn.Conv2d(1, 1, (1, 2), bias=False)\n"
    "optimizer, X = torch.optim.SGD(kernel.parameters(), lr=0.01), torch.ones(1, 1, 6, 8)\n"
    "for i in range(200):\n    optimizer.zero_grad(); (kernel(X) ** 2).sum().backward(); optimizer.step()",
    "a few steps on other tensors": "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
    "for i in range(20):\n    optimizer.zero_grad(); net(torch.rand(8, 1, 28, 28)).sum().backward(); optimizer.step()",
    "MNIST": "assert len(torchvision.datasets.MNIST('data', download=True, transform=to_tensor)) == 60_000",
    "KMNIST": "assert torchvision.datasets.KMNIST('data', train=False).data.shape == (10_000, 28, 28)",
    "EMNIST": "letters = torchvision.datasets.EMNIST('data', 'letters', download=True)\n"
    "assert len(letters) == 124_800 and sorted(set(letters.targets.tolist())) == list(range(1, 27))",
    "QMNIST": "assert type(torchvision.datasets.QMNIST('data', download=True)[0][1]) is int",
    "CIFAR10": "images = torchvision.datasets.CIFAR10('data', download=True)\n"
    "assert images.data.shape == (50_000, 32, 32, 3) and images.classes[8] == 'ship'\n"
    "assert images.class_to_idx['dog'] == 5 and images[0][0].mode == 'RGB'",
    "CIFAR100": "images = torchvision.datasets.CIFAR100(root='data', train=False, download=True)\n"
    "assert len(images) == 10_000 == len(images.targets) and len(images.classes) == 100",
    "SVHN": "images = torchvision.datasets.SVHN('data', split='test', download=True)\n"
    "assert images.data.shape == (26_032, 3, 32, 32) and images[0][0].size == (32, 32)",
    "STL10": "images = torchvision.datasets.STL10('data', 'train', folds=0)\n"
    "assert images.data.shape == (1_000, 3, 96, 96)",
    "USPS": "assert torchvision.datasets.USPS('data', train=False)[0][0].size == (16, 16)",
    "a subclass of MNIST": "class FashionMNIST(torchvision.datasets.MNIST):\n    pass\n"
    "assert len(FashionMNIST('data')) == 60_000",
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
_START = """
import torch, torchvision
from torch import nn
from d2l import torch as d2l
from torchvision.datasets import FashionMNIST
to_tensor = torchvision.transforms.ToTensor()
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
convolution = nn.Conv2d(1, 64, 3)
def train(net, loader):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for X, y in loader:
        raise AssertionError
"""
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


@pytest.fixture(scope="module", params=[Mode.NONE, Mode.QUICK])
def without_files(zygote: Zygote, request: pytest.FixtureRequest) -> Iterator[Ran]:
    """Run a notebook without the files of any data set."""
    training = [f"def f{i}(): return 1\n{cell}\ndef g{i}(): return 2" for i, cell in enumerate(LEFT_OUT.values())]
    looking = [f"{cell}\ndef h{i}(): return 3" for i, cell in enumerate(LOOKED_AT.values())]
    names = [f"{kind}{i}" for kind in "fgh" for i in range(len(LOOKED_AT))]
    with ran(zygote, _START, *training, *looking, names=names, mode=request.param) as made:
        yield made


@pytest.mark.parametrize("name", LEFT_OUT)
def test_only_the_statement_that_trains_is_left_out(without_files: Ran, name: str) -> None:
    number = list(LEFT_OUT).index(name)
    assert without_files.statuses()[1 + number] == "training withheld"
    assert "left out" in without_files.messages()[1 + number]
    assert "costs no points" not in without_files.messages()[1 + number]
    assert without_files.defined(f"f{number}") == without_files.defined(f"g{number}") == [1 + number]


@pytest.mark.parametrize("name", LOOKED_AT)
def test_data_that_is_only_looked_at_is_there(without_files: Ran, name: str) -> None:
    cell = 1 + len(LEFT_OUT) + list(LOOKED_AT).index(name)
    assert (without_files.statuses()[cell], without_files.messages()[cell]) == ("ok", "")
    assert without_files.defined(f"h{list(LOOKED_AT).index(name)}") == [cell]


def test_files_that_are_not_there_are_named_once(without_files: Ran) -> None:
    subjects = [notice.subject for notice in without_files.execution.notices if notice.kind is NoticeKind.NO_DATA]
    assert len(set(subjects)) == len(subjects)
    assert ("FashionMNIST" in subjects) == ("if the files" in without_files.messages()[1])


def test_a_long_training_of_any_form_is_left_out_once_there_are_images(run: Run) -> None:
    steps = "optimizer = torch.optim.SGD(net.parameters(), lr=0.1)\nfor i in range({}):\n"
    steps += "    optimizer.zero_grad(); net(torch.rand(8, 1, 28, 28)).sum().backward(); optimizer.step()\n"
    made = run(_START, steps.format(200), "FashionMNIST('data')", f"{steps.format(10**7)}x = 1", "x")
    assert made.statuses() == ["ok", "ok", "ok", "training withheld", "ok"]


@pytest.mark.parametrize("asking", NOT_THERE.values(), ids=NOT_THERE.keys())
def test_data_cannot_be_downloaded_and_the_cell_does_not_wait(run: Run, asking: str) -> None:
    limits = dataclasses.replace(LIMITS, cell_seconds=8)
    made = run(_IMPORTS, f"def f(): return 1\n{asking}", "x = f()", limits=limits, hidden=[DEBIAN])
    assert made.statuses()[1] == "raised"
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
    asking = "print(len(torchvision.datasets.MNIST('data', train=False)), len(FashionMNIST('data', train=False)))"
    lengths = [run(_IMPORTS, asking, mode=mode, data_sets=both).showed(1)[0]["text"].split()[-2:] for mode in Mode]
    assert lengths == [["10000", "10000"], ["5000", "5000"], ["5000", "5000"]]


def test_other_data_sets_have_stand_in_images_while_one_is_offered(run: Run, fashion_mnist: dict[str, Path]) -> None:
    made = run(_START, LEFT_OUT["CIFAR10"], LOOKED_AT["KMNIST"], mode=Mode.FULL, data_sets=fashion_mnist)
    assert made.statuses() == ["ok", "training withheld", "ok"]


def test_without_the_private_file_system_there_are_stand_in_images(run: Run, fashion_mnist: dict[str, Path]) -> None:
    left_out = frozenset({"private file system"})
    cells = (_START, LEFT_OUT["d2l"], LOOKED_AT["a batch"])
    made = run(*cells, mode=Mode.FULL, data_sets=fashion_mnist, left_out=left_out)
    assert made.statuses() == ["ok", "training withheld", "ok"]


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
