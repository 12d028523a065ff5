"""A pretended GPU: arithmetic of the CPU under the device rules of CUDA, with every wait of the host counted.

It finds operators that mix devices and places where the host waits for the device. It knows no streams, hence no races,
and no time; copies with `non_blocking=True` to the device and from it by `.to()` are no waits, as from pinned memory.
"""

from __future__ import annotations

from umbel.testing.gpu.device import MixedDevicesError, NotOnHostError, PretendedGpu, Wait
from umbel.testing.gpu.pretend import pretended_gpu

__all__ = ["MixedDevicesError", "NotOnHostError", "PretendedGpu", "Wait", "pretended_gpu"]
