import torch


def corr2d(X, K):
    rows, columns = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    out = torch.zeros(rows, columns)
    for r in range(rows):
        for c in range(columns):
            out[r, c] = (X[r:r + K.shape[0], c:c + K.shape[1]] * K).sum()
    return out
