"""Typical mistakes with edge detection and with learning its kernel: d2l.ai sections 7.2.3 and 7.2.4."""

import torch
from torch import Tensor, nn

from grader.testing import misconception

EDGES = ("edge_detection", "learned_kernel")


@misconception(
    "edge_image",
    breaks=("edge_detection",),
    says="the image has a fifth black column",
    look="the first column has the number 0, and a slice begins with its first number: columns 2 to 5 are 2:6",
)
def fifth_black_column() -> Tensor:
    X = torch.ones(6, 8)
    X[:, 1:6] = 0
    return X


@misconception(
    "edge_image",
    breaks=EDGES,
    says="one of the four black columns is missing",
    look="a slice excludes its end: columns 2 to 5 are 2:6",
)
def black_column_missing() -> Tensor:
    X = torch.ones(6, 8)
    X[:, 2:5] = 0
    return X


@misconception(
    "edge_image",
    breaks=EDGES,
    says="the image is black where it should be white",
    look="its middle four columns are 0, all others are 1",
)
def black_and_white_swapped() -> Tensor:
    X = torch.zeros(6, 8)
    X[:, 2:6] = 1
    return X


@misconception(
    "edge_image",
    breaks=EDGES,
    says="rows of the image are black instead of columns",
    look="the first index of a tensor is the row, the second the column",
)
def black_rows() -> Tensor:
    X = torch.ones(6, 8)
    X[2:6, :] = 0
    return X


@misconception(
    "edge_kernel",
    breaks=EDGES,
    says="the edge kernel's signs are swapped",
    look="the edge from white to black gives 1, the one from black to white -1",
)
def edges_of_the_other_sign() -> Tensor:
    return torch.tensor([[-1.0, 1.0]])


@misconception(
    "edge_kernel",
    breaks=EDGES,
    says="the edge kernel is vertical",
    look="a vertical edge shows between neighbours in a row, so the kernel has one row and two columns",
)
def upright_edge_kernel() -> Tensor:
    return torch.tensor([[1.0], [-1.0]])


@misconception(
    "edge_kernel",
    breaks=EDGES,
    says="the edge kernel adds the two neighbours",
    look="only their difference is 0 if the colour stays the same",
)
def sum_of_the_neighbours() -> Tensor:
    return torch.tensor([[1.0, 1.0]])


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the kernel is never updated",
    look="backward only computes the gradients; the step comes after it",
)
def step_forgotten(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    for _ in range(10):
        layer.zero_grad()
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        loss.backward()
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the kernel makes one step only",
    look="the book's loop makes ten",
)
def one_step_only(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
    loss.backward()
    assert layer.weight.grad is not None
    layer.weight.data -= 3e-2 * layer.weight.grad
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the step goes up the gradient",
    look="the loss falls against the gradient: subtract it",
)
def gradient_added(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    for _ in range(10):
        layer.zero_grad()
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        loss.backward()
        assert layer.weight.grad is not None
        layer.weight.data += 3e-2 * layer.weight.grad
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the gradients of all steps add up",
    look="set them to zero before each backward",
)
def gradients_never_zeroed(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    for _ in range(10):
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        loss.backward()
        assert layer.weight.grad is not None
        layer.weight.data -= 3e-2 * layer.weight.grad
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the learning rate is too small for ten steps",
    look="the book's is 3e-2",
)
def learning_rate_too_small(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=3e-4)
    for _ in range(10):
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the learning rate is so large that the loss grows",
    look="the book's is 3e-2",
)
def learning_rate_too_large(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.3)
    for _ in range(10):
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the loss is averaged over the pixels, and ten steps are not enough",
    look="the book sums the squared errors, which makes the steps 42 times as long",
)
def loss_averaged(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=3e-2)
    for _ in range(10):
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the loss is cut off from the kernel",
    look="no gradient passes .detach(), so backward raises an error",
)
def loss_detached(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=3e-2)
    for _ in range(10):
        loss = ((layer(X[None, None]).detach() - Y[None, None]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer


@misconception(
    "learn_kernel",
    breaks=("learned_kernel",),
    says="the layer's kernel has two rows and one column",
    look="kernel_size is (height, width), and the edge kernel is 1x2",
)
def upright_kernel_learned(X: Tensor, Y: Tensor) -> nn.Conv2d:
    layer = nn.Conv2d(1, 1, kernel_size=(2, 1), bias=False)
    optimizer = torch.optim.SGD(layer.parameters(), lr=3e-2)
    for _ in range(10):
        loss = ((layer(X[None, None]) - Y[None, None]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return layer
