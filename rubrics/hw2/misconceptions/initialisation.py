"""Typical mistakes with the initialisation of weights: d2l.ai section 7.6.1."""

from torch import nn

from grader.testing import misconception


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn leaves the convolutions as they were",
    look="look at the kinds of layers that it checks for",
)
def convolutions_left_out(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn leaves the fully connected layers as they were",
    look="look at the kinds of layers that it checks for",
)
def linear_layers_left_out(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn draws from a narrow normal distribution",
    look="the book's is uniform, and its width depends on how many inputs and outputs the layer has",
)
def normal_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.normal_(module.weight, std=0.01)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn draws from Xavier's normal distribution",
    look="Xavier initialisation comes in two forms, and the section uses the uniform one",
)
def xavier_normal_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_normal_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn draws as Kaiming He proposed for ReLU",
    look="the section initialises LeNet, whose activations are sigmoids, by another method",
)
def kaiming_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.kaiming_uniform_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn draws uniformly between 0 and 1, whatever the layer's size is",
    look="Xavier's bound lies on both sides of zero and depends on the number of inputs and outputs",
)
def weights_between_zero_and_one(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.uniform_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn sets all weights to zero",
    look="units that start alike stay alike, which is why weights are drawn at random",
)
def weights_of_zero(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.zeros_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn sets the biases and does not touch the weights",
    look="it is the weights whose scale decides how signals pass through the network",
)
def only_biases(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
        nn.init.zeros_(module.bias)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn draws the weight of every layer that has one, and that of normalisation layers has one dimension",
    look="check the kind of the layer instead",
)
def whatever_has_a_weight(module: nn.Module) -> None:
    weight = getattr(module, "weight", None)
    if weight is not None:
        nn.init.xavier_uniform_(weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn resets normalisation layers as well",
    look="only two kinds of layers are initialised in the section",
)
def normalisation_reset_too(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.xavier_uniform_(module.weight)
    elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn never changes a weight, neither of a fully connected layer nor of a convolution",
    look="check its condition, and that it calls a function of nn.init whose name ends with an underscore",
)
def nothing_drawn(module: nn.Module) -> None:
    if isinstance(module, nn.Linear) and isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn applies Xavier initialisation to the bias, which has one dimension only",
    look="it is meant for the weight",
)
def xavier_for_the_bias(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)) and module.bias is not None:
        nn.init.xavier_uniform_(module.bias)


@misconception(
    "init_cnn",
    breaks=("init_cnn",),
    says="init_cnn draws as Kaiming He proposed for ReLU, from a normal distribution",
    look="the section initialises LeNet, whose activations are sigmoids, by another method, and from a uniform one",
)
def kaiming_normal_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.kaiming_normal_(module.weight)
