"""What a balancer is shown: gradient norms on the backbone, and values that all processes agree on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from umbel.contract.backbone import Backbone
from umbel.contract.balancer import Balancer, Observes
from umbel.contract.errors import ConfigError
from umbel.runtime.base import Runtime


def gradient_norm(loss: Tensor, backbone: Backbone) -> Tensor:
    """Norm of a loss's gradient on the backbone's parameters, 0-dimensional; the graph stays for the backward pass.

    Raises:
        ConfigError: if nothing of the backbone is trained.
    """
    parameters = [parameter for parameter in backbone.parameters() if parameter.requires_grad]
    if not parameters:
        raise ConfigError(
            "measures gradients on the backbone, but no part of the backbone is trained",
            where="train.balancer",
            hint="use loss_scale or uncertainty, or train the backbone",
        )
    if any(not parameter.numel() for parameter in parameters):
        raise ConfigError(
            "measures gradients on the backbone, which ZeRO stage 3 keeps in parts",
            where="train.balancer",
            hint="use stage 0 to 2, or another balancer",
        )
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return torch.nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None])


def show_step(
    runtime: Runtime, losses: Mapping[str, Tensor], norms: Mapping[str, Tensor], loss_scales: Mapping[str, float]
) -> None:
    """Let the model's balancer see a step; every rank must call it.

    Args:
        runtime: holds the model and its balancer.
        losses: unweighted loss of each task, 0-dimensional, detached.
        norms: gradient norms on the backbone of the tasks that were measured.
        loss_scales: factor on this rank's values that makes their mean over ranks the mean over those with data.
    """
    balancer = runtime.model.balancer
    if not isinstance(balancer, Observes):  # it does not look: spare the processes their exchange
        return
    seen = _mean_over_ranks(runtime, losses, loss_scales), _mean_over_ranks(runtime, norms, loss_scales)
    with runtime.whole(balancer):
        balancer.observe(*seen)


def _mean_over_ranks(
    runtime: Runtime, values: Mapping[str, Tensor], loss_scales: Mapping[str, float]
) -> dict[str, Tensor]:
    """The mean of each value; every rank has the same names, for the plan of a step is the same on all."""
    if runtime.world_size == 1 or not values:
        return dict(values)
    own = torch.stack([loss_scales[name] * value.detach().float().cpu().reshape(()) for name, value in values.items()])
    rows = torch.full((runtime.world_size, len(own)), -torch.inf)  # the maximum over ranks collects every rank's row
    rows[runtime.rank] = own
    means = runtime.all_reduce_max(rows).mean(0).to(runtime.device)
    return dict(zip(values, means, strict=True))


def factors_text(balancer: Balancer) -> str:
    """ "road 2.31, signs 0.69": the present factor of every task."""
    with torch.no_grad():
        return ", ".join(f"{task} {float(balancer.factor(task)):.3f}" for task in balancer.tasks)
