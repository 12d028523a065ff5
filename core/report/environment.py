"""What a run ran on: versions and hardware, nothing that names a person, a machine or a secret."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from umbel.registry.plugins import Plugins

PACKAGES = ("torch", "torchvision", "timm", "numpy", "albumentations", "torchmetrics", "deepspeed")


def describe_environment(device: torch.device, precision: str) -> dict[str, str]:
    """Python, system, device and the packages that decide results."""
    found = {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "precision": precision,
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_plugins(plugins: Plugins) -> list[list[str]]:
    """Role, name, distribution and version of every registered kind and backbone."""
    return [
        [registration.role, registration.name, registration.plugin.distribution, registration.plugin.version]
        for role in ("task", "backbone")
        for registration in plugins.registered(role)
    ]
