"""Cross-entropy over labelled pixels; the paper (section 2.2) has it unweighted, with 255 ignored.

Legend: B images, K classes, h and w cells of the logits, H and W pixels of the labels.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from umbel import Losses
from umbel.tasks.segmentation.model.blocks import upsample


def pixel_cross_entropy(
    logits_BKhw: Tensor, labels_BHW: Tensor, ignore_index: int, class_weights_K: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of the labelled pixels, with the logits upsampled to the labels.

    With class weights it is the weighted mean, so that weights of any common factor give the same loss. Without a
    labelled pixel it is 0 and still connected to the logits.
    """
    logits_BKHW = upsample(logits_BKhw.float(), labels_BHW.shape[-2:])
    labels = labels_BHW.long()
    # every pixel first: a GPU adds up within the kernel in an order that does not repeat
    total = F.cross_entropy(logits_BKHW, labels, class_weights_K, ignore_index=ignore_index, reduction="none").sum()
    valid = labels != ignore_index
    if class_weights_K is None:
        return total / valid.sum().clamp(min=1)
    weight = class_weights_K[labels.where(valid, 0)].where(valid, 0.0).sum()
    return total / weight.where(weight > 0, 1.0)


def segmentation_loss(
    output: Tensor | tuple[Tensor, Tensor],
    labels_BHW: Tensor,
    ignore_index: int,
    aux_weight: float,
    class_weights_K: Tensor | None = None,
) -> Losses:
    """Loss of the main logits plus `aux_weight` times that of the auxiliary ones, if the head gave any."""
    if isinstance(output, Tensor):
        main = pixel_cross_entropy(output, labels_BHW, ignore_index, class_weights_K)
        return Losses(main, {"main": main.detach()})
    main, aux = (pixel_cross_entropy(logits, labels_BHW, ignore_index, class_weights_K) for logits in output)
    return Losses(main + aux_weight * aux, {"main": main.detach(), "aux": aux.detach()})
