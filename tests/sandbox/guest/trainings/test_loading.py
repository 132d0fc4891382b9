"""Loaders over the data sets give what torch would give, only faster. In quick mode they give the beginning of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grader.models.recipe import Mode
from tests.support.idx_files import write_data_set
from tests.support.notebook_trainings import TRAININGS
from tests.support.paths import ROOT
from tests.support.sandbox_runs import Run

IMPORTS = """
import copy, torch, torchvision
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset, random_split
from torchvision import transforms
from d2l import torch as d2l
from IPython.utils.capture import capture_output
to_tensor = transforms.ToTensor()
train = torchvision.datasets.FashionMNIST('data', transform=to_tensor, download=True)
test = torchvision.datasets.FashionMNIST('data', train=False, transform=to_tensor)
flipped = copy.copy(train)
flipped.transform = transforms.Compose([transforms.RandomHorizontalFlip(), to_tensor])
class Own(torchvision.datasets.FashionMNIST):
    def __getitem__(self, index):
        return torch.zeros(2), index
own = Own('data')
class Endless(IterableDataset):
    def __init__(self):
        self.images = train
    def __iter__(self):
        return (self.images[n] for n in range(1000))
class Wrapped:
    def __init__(self):
        self.images = train
    def __len__(self):
        return len(self.images)
    def __getitem__(self, index):
        image, label = self.images[index]
        return {'image': image, 'label': label}
toy = TensorDataset(torch.zeros(500, 2), torch.zeros(500))
def fast(loader):
    return type(iter(loader)).__module__.startswith('grader.')
def sizes(loader):
    return [len(batch[0]) for batch in loader]
"""


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, tuple[str, str]]]:
    """Run each training by torch's path, by ours, and on a device, in own processes. Return iterators and digests."""
    root = tmp_path_factory.mktemp("data")
    write_data_set(root / "FashionMNIST" / "raw", 640, 200)
    environment = {**os.environ, "MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for way in ("stock", "fast", "device"):
        command = [sys.executable, "-m", "tests.support.notebook_trainings", way, str(root)]
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        lines = [line.split() for line in done.stdout.splitlines() if line.startswith("trained ")]
        found[way] = {name: (iterator, digest) for _, name, iterator, digest in lines}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fast", "device"])
@pytest.mark.parametrize("name", TRAININGS)
def test_weights_are_those_of_a_stock_training_bit_for_bit(
    digests: dict[str, dict[str, tuple[str, str]]], name: str, way: str
) -> None:
    iterator, expected = digests["stock"][name]
    assert iterator in ("_MultiProcessingDataLoaderIter", "_SingleProcessDataLoaderIter")
    assert digests[way][name] == ("_FastPass", expected)


def test_batches_of_recognised_data_sets_are_made_in_this_process(run: Run, fashion_mnist: dict[str, Path]) -> None:
    cell = """
    import multiprocessing
    for loader in (
        DataLoader(train, 128, shuffle=True, num_workers=4),
        DataLoader(test, batch_size=100, drop_last=True, pin_memory=True),
        DataLoader(random_split(train, [50_000, 10_000])[0], batch_size=64, num_workers=1, persistent_workers=True),
        DataLoader(train, batch_sampler=[[1, 2], [3]], num_workers=2),
        d2l.FashionMNIST(batch_size=64, resize=(32, 32)).train_dataloader(),
        *d2l.load_data_fashion_mnist(256, resize=96),
    ):
        assert fast(loader), loader.dataset
        X, y = next(iter(loader))
        assert X.dtype == torch.float32 and y.dtype == torch.int64 and X.shape[:2] == (len(y), 1)
        assert multiprocessing.active_children() == []
    assert len(sizes(DataLoader(test, 64))) == 79 and sizes(DataLoader(test, 64, drop_last=True)) == [64] * 78
    """
    assert run(IMPORTS, cell, mode=Mode.FULL, data_sets=fashion_mnist).statuses() == ["ok", "ok"]


def test_other_loaders_are_left_to_torch_in_full_mode(run: Run, fashion_mnist: dict[str, Path]) -> None:
    cell = """
    for loader in (
        DataLoader(train, 4, collate_fn=lambda items: items),
        DataLoader(train, 4, num_workers=1, worker_init_fn=lambda worker: None),
        DataLoader(train, batch_size=None),
        DataLoader(flipped, 4, num_workers=2),
        DataLoader(own, 4),
        DataLoader(Endless(), 4),
        DataLoader(ConcatDataset([train, test]), 4),
        DataLoader(Wrapped(), 4),
        DataLoader(toy, 4, shuffle=True, num_workers=1),
    ):
        assert not fast(loader), loader.dataset
    assert next(iter(DataLoader(train, 4, collate_fn=len))) == 4
    assert torch.equal(next(iter(DataLoader(own, 4)))[1], torch.arange(4))
    assert sum(sizes(DataLoader(Endless(), 64))) == 1000
    assert sum(sizes(DataLoader(Subset(flipped, range(70)), 16, num_workers=2))) == 70
    """
    assert run(IMPORTS, cell, mode=Mode.FULL, data_sets=fashion_mnist).statuses() == ["ok", "ok"]


def test_in_quick_mode_a_cell_gets_a_few_batches_and_one_notice(run: Run, fashion_mnist: dict[str, Path]) -> None:
    notice = "graded with --training quick: this training sees a few batches only\n"
    seen = f"assert seen.stdout == {notice!r}\n"
    begin = "with capture_output() as seen:\n"
    cells = {
        "an own loop": f"loader = DataLoader(train, 128, shuffle=True, num_workers=2)\n{begin}"
        "    assert [sizes(loader) for epoch in range(3)] == [[64] * 4, [64], [64]]\n"
        f"assert len(loader) == 469 and len(loader.dataset) == 60_000\n{seen}",
        "the next cell": f"{begin}    assert sizes(loader) == [64] * 4\n{seen}",
        "one batch to begin with": f"{begin}    next(iter(loader))\n    assert sizes(loader) == [64] * 3\n{seen}",
        "validation first": f"{begin}    assert sizes(DataLoader(test, 256)) == [64]\n"
        f"    assert [n for n, _ in enumerate(DataLoader(train, 32))] == [0, 1, 2, 3]\n{seen}",
        "large images": f"data = d2l.FashionMNIST(batch_size=128, resize=(96, 96))\n{begin}"
        "    assert [sizes(data.train_dataloader()) for epoch in range(2)] == [[8] * 4, [4]]\n"
        f"    assert sizes(data.val_dataloader()) == [4]\n{seen}",
        "larger images": f"data = d2l.FashionMNIST(batch_size=128, resize=(224, 224))\n{begin}"
        f"    assert [sizes(data.train_dataloader()) for epoch in range(2)] == [[4] * 4, [2]]\n{seen}",
        "augmented": f"{begin}    assert sizes(DataLoader(flipped, 64, num_workers=2)) == [4] * 4\n{seen}",
        "kept workers": f"loader = DataLoader(train, 64, num_workers=2, persistent_workers=True)\n{begin}"
        f"    assert [sizes(loader) for epoch in range(3)] == [[64] * 4, [64], [64]]\n{seen}",
        "an own collation": f"{begin}    assert list(DataLoader(own, 64, collate_fn=len)) == [4] * 4\n{seen}",
        "parts": f"{begin}    assert sizes(DataLoader(Subset(train, range(70)), 64)) == [64, 6]\n{seen}",
        "in a stream": f"{begin}    assert sizes(DataLoader(Endless(), 64, num_workers=2)) == [4] * 4\n{seen}",
        "one by one": f"{begin}    assert len(list(DataLoader(train, batch_size=None))) == 4\n{seen}",
        "one large": f"{begin}    assert len(list(DataLoader(Wrapped(), 16))[0]['label']) == 4\n{seen}",
        "joined": f"{begin}    assert sizes(DataLoader(ConcatDataset([train, test]), 16)) == [4] * 4\n{seen}",
        "own batches": f"batches = [range(100), list(range(100)), torch.arange(100), torch.arange(100).numpy()] * 3\n"
        f"{begin}    assert sizes(DataLoader(train, batch_sampler=batches)) == [64] * 4\n{seen}",
        "a toy": f"{begin}    assert sizes(DataLoader(toy, 100, num_workers=1)) == [100] * 5\nassert not seen.stdout",
    }
    made = run(IMPORTS, *cells.values(), mode=Mode.QUICK, data_sets=fashion_mnist)
    assert dict(zip(cells, zip(made.statuses()[1:], made.messages()[1:], strict=True), strict=True)) == dict.fromkeys(
        cells, ("ok", "")
    )


def test_in_quick_mode_a_training_of_the_book_sees_a_few_batches_and_succeeds(
    run: Run, fashion_mnist: dict[str, Path]
) -> None:
    model = """
    model = d2l.LeNet(lr=0.1)
    data = d2l.FashionMNIST(batch_size=128)
    model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
    trainer = d2l.Trainer(max_epochs=10)
    trainer.fit(model, data)
    assert (trainer.train_batch_idx, trainer.val_batch_idx, trainer.num_train_batches) == (12, 10, 469)
    """
    assert run(IMPORTS, model, mode=Mode.QUICK, data_sets=fashion_mnist).statuses() == ["ok", "ok"]


@pytest.mark.parametrize("mode", [Mode.QUICK, Mode.FULL])
def test_the_last_training_batch_is_known_with_its_indices(
    run: Run, fashion_mnist: dict[str, Path], mode: Mode
) -> None:
    cells = [
        """
        from grader.sandbox.guest.trainings.loading import LatestBatch
        assert LatestBatch.latest() is None
        part = Subset(train, range(1000, 2000))
        X, y = next(iter(DataLoader(part, 32, shuffle=True, num_workers=2)))
        kept = LatestBatch.latest()
        assert kept.images is X and kept.labels is y and kept.data_set is train
        assert torch.equal(train.targets[list(kept.indices)], y) and min(kept.indices) >= 1000
        assert torch.equal(torch.stack([train[n][0] for n in kept.indices]), X)
        """,
        "next(iter(DataLoader(test, 32)))\nassert LatestBatch.latest() is kept",
        "next(iter(DataLoader(toy, 32)))\nassert LatestBatch.latest() is kept",
        "next(iter(DataLoader(Wrapped(), 32)))\nassert LatestBatch.latest() is None",
    ]
    made = run(IMPORTS, *cells, mode=mode, data_sets=fashion_mnist)
    assert list(zip(made.statuses(), made.messages(), strict=True)) == [("ok", "")] * 5


def test_in_quick_mode_the_last_training_batch_is_known_for_other_transforms_too(
    run: Run, fashion_mnist: dict[str, Path]
) -> None:
    cell = """
    from grader.sandbox.guest.trainings.loading import LatestBatch
    X, y = next(iter(DataLoader(flipped, 32, shuffle=True)))
    kept = LatestBatch.latest()
    assert kept.images is X and torch.equal(flipped.targets[list(kept.indices)], y)
    """
    made = run(IMPORTS, cell, mode=Mode.QUICK, data_sets=fashion_mnist)
    assert made.statuses() == ["ok", "ok"], made.messages()


def test_without_data_torch_is_left_as_it_is(run: Run, fashion_mnist: dict[str, Path]) -> None:
    cell = "import torch\nassert type(iter(torch.utils.data.DataLoader([1, 2]))).__module__.startswith('torch.')"
    assert run(cell).statuses() == ["ok"]
    assert run(cell, mode=Mode.NONE, data_sets=fashion_mnist).statuses() == ["ok"]
