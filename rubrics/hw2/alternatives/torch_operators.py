"""torch's own convolution and pooling for everything, 1x1 kernels and averages by convolution among it."""

import torch
from torch import nn
from torch.nn import functional as F


def corr2d(X, K):
    dtype = torch.promote_types(X.dtype, K.dtype)
    return torch.conv2d(X.to(dtype)[None, None], K.to(dtype)[None, None]).squeeze(0).squeeze(0)


class Conv2D(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        layer = nn.Conv2d(1, 1, kernel_size)
        self.weight = nn.Parameter(layer.weight.detach()[0, 0].clone())
        self.bias = nn.Parameter(layer.bias.detach().clone())

    def forward(self, x):
        return corr2d(x, self.weight) + self.bias


def corr2d_multi_in(X, K):
    return F.conv2d(X.unsqueeze(0), K.unsqueeze(0))[0, 0]


def corr2d_multi_in_out(X, K):
    return F.conv2d(X.unsqueeze(0), K)[0]


def corr2d_multi_in_out_1x1(X, K):
    conv = nn.Conv2d(K.shape[1], K.shape[0], kernel_size=1, bias=False)
    conv.weight.data = K
    return conv(X.unsqueeze(0)).squeeze(0)


def pool2d(X, pool_size, mode="max"):
    if mode == "max":
        return F.max_pool2d(X.unsqueeze(0), pool_size, stride=1).squeeze(0)
    return corr2d(X, torch.full(pool_size, 1 / (pool_size[0] * pool_size[1]), dtype=X.dtype))


def edge_image():
    return F.pad(torch.zeros(6, 4), (2, 2), value=1.0)


def edge_kernel():
    return torch.FloatTensor([1, -1]).reshape(1, 2)


def learn_kernel(X, Y):
    conv2d = nn.Conv2d(1, 1, (1, 2))  # its bias is learned, too
    optimizer = torch.optim.Adam(conv2d.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        loss = F.mse_loss(conv2d(X[None, None]), Y[None, None])
        loss.backward()
        optimizer.step()
    return conv2d
