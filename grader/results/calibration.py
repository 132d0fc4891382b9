"""The accuracies that right models reach in training, and the threshold that follows from them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from grader.models.recipe import Mode, Recipe

__all__ = ["Calibration", "Distribution"]

_DEVIATIONS = 4  # below the mean of the right model that learns least
_GOAL = 1e-4  # how often a right model may fail all tries


@dataclass(frozen=True)
class Distribution:
    """The accuracies of one graph over the seeds; `submissions` names the submissions that have this graph."""

    graph: str
    submissions: tuple[str, ...]
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return statistics.fmean(self.accuracies)

    @property
    def deviation(self) -> float:
        """The standard deviation of the prediction for one more training."""
        return statistics.stdev(self.accuracies) * math.sqrt(1 + 1 / len(self.accuracies))

    def below(self, threshold: float) -> float:
        """Return the probability that one training stays below a threshold, assuming a normal distribution."""
        return statistics.NormalDist(self.mean, max(self.deviation, 1e-6)).cdf(threshold)


@dataclass(frozen=True)
class Calibration:
    """The calibration of one item in one mode."""

    item: str
    mode: Mode
    recipe: Recipe
    distributions: tuple[Distribution, ...]

    @property
    def threshold(self) -> float:
        """The threshold in whole hundredths: below every training, and four deviations below each mean."""
        lowest = min(
            min(graph.mean - _DEVIATIONS * graph.deviation, min(graph.accuracies) - graph.deviation)
            for graph in self.distributions
        )
        return math.floor(100 * lowest) / 100

    @property
    def false_fail(self) -> float:
        """The probability that the right model that learns least fails all tries, assuming a normal distribution."""
        return float(max(graph.below(self.threshold) for graph in self.distributions) ** self.recipe.seeds)

    @property
    def good(self) -> bool:
        """Whether right models fail less often than once in 10,000."""
        return self.threshold > 0.2 and self.false_fail < _GOAL
