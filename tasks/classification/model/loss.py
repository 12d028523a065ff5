"""Cross-entropy with two conventions of label smoothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def smoothed_cross_entropy(logits_BK: Tensor, labels_B: Tensor, smoothing: float, rule: str) -> Tensor:
    """Mean cross-entropy over the batch against smoothed targets; scalar float32.

    Args:
        logits_BK: (B, K) logits of any float type.
        labels_B: (B,) class ids.
        smoothing: probability taken from the true class.
        rule: "torch" spreads it over all K classes, "organisers" over the K-1 wrong ones.
    """
    logits = logits_BK.float()
    if rule == "organisers" and logits.shape[1] > 1:
        # spreading e over the wrong classes is spreading e * K / (K - 1) over all of them
        smoothing = smoothing * logits.shape[1] / (logits.shape[1] - 1)
    log_p = F.log_softmax(logits, dim=1)
    true = log_p.gather(1, labels_B.long()[:, None])[:, 0]
    return -((1 - smoothing) * true + smoothing * log_p.mean(dim=1)).mean()
