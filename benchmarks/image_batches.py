"""Time what a batch of images costs the CPU of a kernel, with torch's own path, with ours, and for a GPU.

    python -m benchmarks.image_batches [--batches 20]

Prints CPU microseconds an image for batches of 128, one thread, no worker processes. "for a GPU" is what the CPU does
for a batch that is made on a device: nothing of the device itself, neither its copies nor its kernels.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms  # type: ignore[import-untyped]

from grader.sandbox.guest.trainings.image_batches import read_batch
from grader.training.datasets import find_data_set, make_shown_folder

BATCH = 128
SIDES = {"LeNet": 28, "ResNet-18": 96, "VGG-11": 224}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20, help="how many are timed; the fastest counts")
    arguments = parser.parse_args()
    found = find_data_set()
    if found is None:
        parser.error("Fashion-MNIST is not on this machine: `grader data fetch` gets it")
    torch.set_num_threads(1)
    print(f"{'cell':12}{'torch':>9}{'ours':>9}{'for a GPU':>11}")
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "FashionMNIST", "raw")
        raw.parent.mkdir()
        raw.symlink_to(make_shown_folder(found))
        for name, side in SIDES.items():
            transform = transforms.Compose([transforms.Resize((side, side)), transforms.ToTensor()])
            images = datasets.FashionMNIST(folder, transform=transform)
            costs = [time_batches(images, way, arguments.batches) for way in ("torch", "ours", "lazy")]
            print(f"{name:12}{costs[0]:9.1f}{costs[1]:9.1f}{costs[2]:11.2f}", flush=True)


def time_batches(images: Any, way: str, number: int) -> float:
    """Return CPU microseconds an image: of the fastest of some batches."""
    loader = DataLoader(images, BATCH, shuffle=True)
    stock = iter(loader)
    indices = iter(loader.batch_sampler or ())
    spent = []
    for _ in itertools.repeat(None, number):
        started = time.process_time()
        if way == "torch":
            next(stock)
        else:
            read_batch(images, next(indices), lazy=way == "lazy")
        spent.append(time.process_time() - started)
    return min(spent) / BATCH * 1e6


if __name__ == "__main__":
    main()
