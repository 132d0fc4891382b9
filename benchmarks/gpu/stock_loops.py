"""Seconds an epoch of the book's trainings: with torchvision's data loader, as d2l does, and by our trainer's loop."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms  # type: ignore[import-untyped]
from torchvision.datasets import FashionMNIST  # type: ignore[import-untyped]

from benchmarks.gpu.machine import prepare_torch
from benchmarks.gpu.recipe_trainer import RecipeTrainer
from benchmarks.gpu.rows import CheckRow, attempt
from benchmarks.gpu.settings import CheckSettings
from benchmarks.trainings import MODELS
from grader.assignment import find_assignment
from grader.models.recipe import Mode, Recipe
from grader.training.datasets import DataSet, make_shown_folder

__all__ = ["run"]

_EPOCH = 60_000
_MOST_STEPS = 150  # three times as many are not more than an epoch
_WORKERS = 4  # d2l's default


@dataclass(frozen=True)
class LoopSize:
    """How much is timed: steps at most, and seconds at most."""

    steps: int
    seconds: float


def run(settings: CheckSettings) -> Iterator[CheckRow]:
    """Time some hundred steps of each training both ways."""
    device = prepare_torch(settings)
    trains = RecipeTrainer.open(settings)
    size = LoopSize(3, 5.0) if settings.rehearse else LoopSize(400, 9.0)
    for item in find_assignment("hw2").trained:
        recipe = item.recipes[Mode.FULL]
        if settings.rehearse:
            recipe = replace(recipe, batch=16, side=min(recipe.side, 32))
        yield attempt(item.id.partition(".")[0], partial(_compare, trains, item.id, recipe, device, size))


def _compare(trains: RecipeTrainer, item: str, recipe: Recipe, device: torch.device, size: LoopSize) -> CheckRow:
    stock, steps = _time_stock(trains.data, MODELS[item][0], recipe, device, size)
    ours = _time_ours(trains, item, recipe, min(steps, _MOST_STEPS))
    in_epoch = _EPOCH / recipe.batch
    detail = (
        f"an epoch {stock * in_epoch:.2f} s as d2l does, {ours * in_epoch:.2f} s ours: {stock / ours:.1f} times as fast"
    )
    return CheckRow(
        "", detail=f"{detail} ({steps} steps of {recipe.batch} at {recipe.side})", data={"stock": stock, "ours": ours}
    )


def _time_stock(
    data: DataSet, make: Callable[[], nn.Module], recipe: Recipe, device: torch.device, size: LoopSize
) -> tuple[float, int]:
    """Return the seconds of a step, and how many were timed: d2l.Trainer's loop, without its drawing."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "FashionMNIST", "raw")
        raw.parent.mkdir()
        raw.symlink_to(make_shown_folder(data))
        transform = transforms.Compose([transforms.Resize((recipe.side, recipe.side)), transforms.ToTensor()])
        images = FashionMNIST(folder, train=True, transform=transform, download=False)
        loader = DataLoader(images, recipe.batch, shuffle=True, num_workers=_WORKERS)
        torch.manual_seed(0)
        model = make().to(device)
        batches = iter(loader)
        X, _ = next(batches)
        model(X.to(device))
        model.apply(_initialise)
        optimizer = torch.optim.SGD(model.parameters(), lr=recipe.lr)
        model.train()
        started, steps = time.perf_counter(), 0
        for X, y in batches:
            loss = F.cross_entropy(model(X.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            steps += 1
            if steps == 1:  # the workers have started, and the kernels are chosen
                float(loss)
                started, first = time.perf_counter(), steps
            if steps > size.steps or (steps > 2 and time.perf_counter() - started > size.seconds):
                break
        float(loss)
        return (time.perf_counter() - started) / (steps - first), steps - first


def _time_ours(trains: RecipeTrainer, item: str, recipe: Recipe, steps: int) -> float:
    """Return the seconds of a step of our trainer: of a long training less a short one, so that its start drops out."""
    few, many = (replace(recipe, images=count * recipe.batch, epochs=1, judged=64) for count in (steps, 3 * steps))
    short, long = (trains.train({item: part})[item].seconds for part in (few, many))
    return (long - short) / (2 * steps)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(layer.weight)
