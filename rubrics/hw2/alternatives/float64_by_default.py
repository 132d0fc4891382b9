"""Double precision everywhere, and results that are made with the default dtype."""

import torch

torch.set_default_dtype(torch.float64)


def corr2d(X, K):
    Y = torch.empty(X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1)
    for i, row in enumerate(Y):
        for j in range(len(row)):
            Y[i, j] = torch.sum(X[i : i + K.shape[0], j : j + K.shape[1]] * K)
    return Y


def corr2d_multi_in_out_1x1(X, K):
    Y = torch.zeros(K.shape[0], *X.shape[1:])
    for o in range(K.shape[0]):
        for c in range(X.shape[0]):
            Y[o] += K[o, c, 0, 0] * X[c]
    return Y


def pool2d(X, pool_size, mode="max"):
    Y = torch.zeros(X.shape[0] - pool_size[0] + 1, X.shape[1] - pool_size[1] + 1)
    reduce = torch.max if mode == "max" else torch.mean
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = reduce(X[i : i + pool_size[0], j : j + pool_size[1]])
    return Y
