"""Batch normalisation in a backbone that several tasks share.

Tasks come with different images, so one running average is right for none of them: between their batches it wanders,
and evaluation then uses statistics of a mixture that no task was trained with. The layer here keeps an average a task.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn import functional

from umbel import ConfigError

_PLAIN_FORWARDS = (nn.BatchNorm2d.forward, BatchNormAct2d.forward)


@dataclass
class Selection:
    """Whose images run through the backbone; one object, shared by it and all its layers.

    Outside of the backbone's forward pass `task` is None. A layer that runs then is being recomputed for the backward
    pass, and must not count its batch a second time.
    """

    task: str | None = None


class TaskBatchNorm2d(nn.Module):
    """Batch normalisation whose running statistics follow the selected task; parameters and names stay as they were.

    Args:
        source: the layer to take over, with its activation and dropout if it has them.
        selection: says whose turn it is.
    """

    trains_on_batch_statistics = True  # several ranks then average the running ones where they are read

    weight: nn.Parameter | None
    bias: nn.Parameter | None
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, source: nn.BatchNorm2d, selection: Selection) -> None:
        super().__init__()
        self.eps = source.eps
        self.momentum = source.momentum or 0.0  # convert_batch_norms() skips layers that have None
        self.selection = selection
        self.tasks: tuple[str, ...] = ()
        self.register_parameter("weight", source.weight)
        self.register_parameter("bias", source.bias)
        self.register_buffer("running_mean", source.running_mean)
        self.register_buffer("running_var", source.running_var)
        self.drop = getattr(source, "drop", None) or nn.Identity()
        self.act = getattr(source, "act", None) or nn.Identity()
        self.training = source.training

    def bind(self, names: tuple[str, ...]) -> None:
        """Give every task its own statistics, starting from those the layer has."""
        for name in names:
            if name not in self.tasks:
                self.register_buffer(f"running_mean_{name}", self.running_mean.clone())
                self.register_buffer(f"running_var_{name}", self.running_var.clone())
        self.tasks = tuple(dict.fromkeys((*self.tasks, *names)))

    def keep(self, names: tuple[str, ...]) -> None:
        """Forget the statistics of all other tasks."""
        for name in set(self.tasks) - set(names):
            delattr(self, f"running_mean_{name}")
            delattr(self, f"running_var_{name}")
        self.tasks = tuple(name for name in self.tasks if name in names)

    def statistics(self, task: str | None) -> tuple[Tensor, Tensor]:
        """Running mean and variance of a task, each (C,); the common ones before tasks are bound."""
        if not self.tasks:
            return self.running_mean, self.running_var
        if task not in self.tasks:
            raise ConfigError(
                f"the backbone has no statistics of a task '{task}'",
                where="backbone.options.norm_stats",
                hint=f"it was bound to {', '.join(self.tasks)}",
            )
        return getattr(self, f"running_mean_{task}"), getattr(self, f"running_var_{task}")

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W), then dropout and activation of the layer that was taken over."""
        if self.training and self.selection.task is None:  # recomputed: the same operation, its update thrown away
            mean, var = self.running_mean.clone(), self.running_var.clone()
        else:
            mean, var = self.statistics(self.selection.task)
        x = functional.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)
        out: Tensor = self.act(self.drop(x))
        return out

    def extra_repr(self) -> str:
        """Size and tasks, for print(model)."""
        return f"{self.running_mean.numel()}, eps={self.eps}, tasks={list(self.tasks)}"


def convert_batch_norms(module: nn.Module, selection: Selection) -> None:
    """Replace every ordinary BatchNorm2d below `module`; layers without a running average are left alone."""
    for name, child in module.named_children():
        if (
            isinstance(child, nn.BatchNorm2d)
            and type(child).forward in _PLAIN_FORWARDS
            and child.running_mean is not None
            and child.momentum is not None
        ):
            setattr(module, name, TaskBatchNorm2d(child, selection))
        else:
            convert_batch_norms(child, selection)


def complete_statistics(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """A state dict with statistics of every task that the layers of `module` are bound to: of a task that it lacks, the
    mean over the tasks it has, or what is common to all."""
    completed = dict(state)
    for prefix, layer in module.named_modules():
        if not isinstance(layer, TaskBatchNorm2d):
            continue
        for kind in ("running_mean", "running_var"):
            name = f"{prefix}.{kind}"
            known = [state[f"{name}_{task}"] for task in layer.tasks if f"{name}_{task}" in state]
            start = torch.stack(known).mean(0) if known else state.get(name)
            for task in layer.tasks:
                if start is not None:
                    completed.setdefault(f"{name}_{task}", start.clone())
    return completed


def has_batch_norm(module: nn.Module) -> bool:
    """Whether any layer normalises by batch statistics."""
    return any(isinstance(layer, (nn.modules.batchnorm._BatchNorm, TaskBatchNorm2d)) for layer in module.modules())


def freeze_batch_norm(module: nn.Module) -> None:
    """Put every batch normalisation into evaluation mode: statistics as loaded, never updated."""
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.eval()
