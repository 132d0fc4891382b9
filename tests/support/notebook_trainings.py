"""Trainings as notebooks have them, in a process of their own.

Run it with `python -m tests.support.notebook_trainings stock|fast|device FOLDER`. It
prints for each its name, what iterated over its loader, and a digest of the weights and of torch's generator.
On the device (the stand-in) the training hooks are in place, too.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torchvision  # type: ignore[import-untyped]
from d2l import torch as d2l
from torch import nn
from torch.utils.data import DataLoader, RandomSampler, Subset, random_split
from torchvision import transforms

from grader.models.recipe import Mode

__all__ = ["TRAININGS", "main"]

PLACE = {"device": "cpu"}
NORMALIZED = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))])


def fashion_mnist(root: str, transform: Any = NORMALIZED, train: bool = True) -> Any:
    return torchvision.datasets.FashionMNIST(root, train=train, transform=transform, download=True)


def small_net(side: int = 28) -> nn.Module:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=side // 14), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
        nn.LazyLinear(10),
    )  # fmt: skip
    net(torch.zeros(2, 1, side, side))  # the stand-in device takes no lazy layers
    return net


def own_loop(loader: Any, net: nn.Module, epochs: int, after_epoch: Callable[[], Any] = lambda: None) -> nn.Module:
    """Train as students write it."""
    net.to(PLACE["device"])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for _ in range(epochs):
        net.train()
        for images, labels in loader:
            X, y = images.to(PLACE["device"]), labels.to(PLACE["device"])
            optimizer.zero_grad()
            criterion(net(X), y).backward()
            optimizer.step()
        after_epoch()
    return net


def lenet_of_d2l(root: str) -> tuple[Any, Any]:
    """Train the book's LeNet as in section 7.6.2, for 2 epochs of 40 steps; the board draws."""
    data = d2l.FashionMNIST(batch_size=16)
    model = d2l.LeNet(lr=0.1)
    model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
    d2l.Trainer(max_epochs=2, num_gpus=1).fit(model, data)
    return data.get_dataloader(True), model


def resized_by_d2l(root: str) -> tuple[Any, Any]:
    """Train on images of 96x96 for a few steps."""
    data = d2l.FashionMNIST(batch_size=64, resize=(96, 96))
    model = d2l.Classifier()
    model.lr, model.net = 0.1, small_net(96)
    model.apply_init([next(iter(data.get_dataloader(True)))[0]], d2l.init_cnn)
    d2l.Trainer(max_epochs=1, num_gpus=1).fit(model, data)
    return data.get_dataloader(True), model


def own_workers(root: str) -> tuple[Any, Any]:
    """Train with two workers, in three epochs, and validate after each."""
    loader = DataLoader(fashion_mnist(root), batch_size=32, shuffle=True, num_workers=2)
    test = DataLoader(fashion_mnist(root, train=False), batch_size=50, num_workers=1)
    net = small_net()
    return loader, own_loop(loader, net, 3, lambda: [net(X.to(PLACE["device"])) for X, _ in test])


def in_process(root: str) -> tuple[Any, Any]:
    """Train without workers, leaving out the last batch, with a pinned memory that is not there."""
    loader = DataLoader(fashion_mnist(root), batch_size=48, shuffle=True, drop_last=True)
    return loader, own_loop(loader, small_net(), 2)


def split(root: str) -> tuple[Any, Any]:
    """Train on a part, with a generator for the loader."""
    part, _ = random_split(fashion_mnist(root), [400, 240])
    generator = torch.Generator().manual_seed(3)
    loader = DataLoader(part, batch_size=32, shuffle=True, num_workers=2, generator=generator)
    return loader, own_loop(loader, small_net(), 2)


def kept_workers(root: str) -> tuple[Any, Any]:
    """Train with workers that stay from epoch to epoch and hold more batches than usual."""
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "prefetch_factor": 3}
    loader = DataLoader(fashion_mnist(root), batch_size=64, shuffle=True, **options)
    return loader, own_loop(loader, small_net(), 3)


def sampled_as_it_goes(root: str) -> tuple[Any, Any]:
    """Train with a sampler that draws from the generator that dropout draws from."""

    class Drawing:
        def __iter__(self) -> Iterator[int]:
            return (int(torch.randint(600, ())) for _ in range(320))

        def __len__(self) -> int:
            return 320

    loader = DataLoader(fashion_mnist(root), batch_size=16, sampler=Drawing(), num_workers=2)
    return loader, own_loop(loader, small_net(), 2)


def batches_drawn_at_once(root: str) -> tuple[Any, Any]:
    """Train with a batch sampler that draws when it is asked for an iterator, which torch does twice with workers."""

    class Drawing:
        def __iter__(self) -> Iterator[list[int]]:
            return iter(torch.randperm(640)[:320].view(-1, 16).tolist())

        def __len__(self) -> int:
            return 20

    loader = DataLoader(fashion_mnist(root), batch_sampler=Drawing(), num_workers=1)
    return loader, own_loop(loader, small_net(), 2)


def with_replacement(root: str) -> tuple[Any, Any]:
    """Train on some images more than once, and break off in the middle."""
    part = Subset(fashion_mnist(root), range(200))
    loader = DataLoader(part, batch_size=16, sampler=RandomSampler(part, replacement=True), num_workers=2)
    for _ in zip(range(3), loader, strict=False):
        pass
    return loader, own_loop(loader, small_net(), 2)


TRAININGS = {
    training.__name__: training
    for training in (
        lenet_of_d2l, resized_by_d2l, own_workers, in_process, split, kept_workers, sampled_as_it_goes,
        batches_drawn_at_once, with_replacement,
    )
}  # fmt: skip


def digest_of(net: nn.Module) -> str:
    """Return what tells one trained model, and what the generators give out after it, from any other."""
    digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    for name, value in net.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


def main(way: str, root: str) -> None:
    """Run all, by torch's own path or by ours."""
    d2l.DataModule.__init__.__defaults__ = (root, 2)  # instead of ../data and 4 workers
    follow: Callable[[], AbstractContextManager[Any]] = nullcontext
    if way != "stock":
        from grader.sandbox.guest.trainings import left_out, loading

        with_gpu = way == "device"
        loading.install_fast_loading(None, Mode.FULL, left_out.LeftOutTrainings(Mode.FULL), with_gpu=with_gpu)
        if with_gpu:
            follow = prepare_device(loading.LatestBatch.latest)
    for name, training in TRAININGS.items():
        torch.manual_seed(5)
        with follow():
            loader, net = training(root)
        digest = digest_of(net)
        print("\ntrained", name, type(iter(loader)).__name__, digest)  # noqa: T201


def prepare_device(latest: Callable[[], Any]) -> Callable[[], AbstractContextManager[Any]]:
    """Let trainings run on the stand-in device, and return what follows one of them."""
    from grader.sandbox.guest.trainings.hooks import TrainingHooks
    from tests.support.stand_in_device import NAME

    PLACE["device"] = NAME
    d2l.num_gpus, d2l.gpu = (lambda: 1), (lambda _: torch.device(NAME))
    hooks = TrainingHooks(Mode.FULL, latest)
    hooks.install()

    @contextmanager
    def follow() -> Iterator[None]:
        with hooks.statement(time.monotonic(), 600) as trained:
            yield
        (loop,) = trained
        seen = loop.trajectory
        assert (seen.steps > 0, seen.ended, len(seen.recorded)) == (True, "", 4)
        assert all(step.labels for step in seen.recorded)
        assert not any(step.cosine < 0.999 for step in seen.recorded[:2])  # not a number if the images are large
        assert (seen.cleared, seen.kept) == (seen.backward_passes - 1, 0)

    return follow


if __name__ == "__main__":
    main(sys.argv[1], str(Path(sys.argv[2])))
