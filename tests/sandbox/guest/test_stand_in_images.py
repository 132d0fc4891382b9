"""Stand-in images are many, cheap and always the same, and a change of one changes no other."""

from __future__ import annotations

import numpy
import pytest

from grader.sandbox.guest.stand_in_images import make_stand_in_images


@pytest.mark.parametrize(
    ("count", "shape", "classes"),
    [(60_000, (28, 28), 10), (50_000, (32, 32, 3), 100), (26_032, (3, 32, 32), 10), (18_800, (28, 28), 47),
     (7, (16, 16), 10)],
)  # fmt: skip
def test_there_are_as_many_as_asked_for(count: int, shape: tuple[int, ...], classes: int) -> None:
    images, labels = make_stand_in_images(count, shape, classes)
    assert images.shape == (count, *shape)
    assert images.dtype == numpy.uint8
    assert labels.shape == (count,)
    assert len(set(labels.tolist())) == min(count, classes)
    for label in set(labels.tolist()):
        alike = images[labels == label]
        assert (alike[0] == alike[-1]).all()
    assert (images.min(), images.max()) == (0, 255)


def test_every_class_is_as_frequent_as_any_other() -> None:
    _, labels = make_stand_in_images(60_000, (28, 28), 10)
    assert numpy.bincount(labels).tolist() == [6_000] * 10


def test_they_are_the_same_each_time() -> None:
    first, second = (make_stand_in_images(1_000, (28, 28), 10) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


def test_a_change_stays_where_it_is_made() -> None:
    images, _ = make_stand_in_images(60_000, (28, 28), 10)
    before = images.copy()
    images[1_280] = 99
    changed = (images != before).any(axis=(1, 2))
    assert numpy.flatnonzero(changed).tolist() == [1_280]
