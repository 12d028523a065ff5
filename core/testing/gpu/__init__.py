"""A pretended GPU: arithmetic of the CPU under the device rules of CUDA, with every wait of the host counted.

It finds operators that mix devices, places where the host waits for the device, and tensors that one stream uses
without waiting for the other that makes them. It knows no time; copies with `non_blocking=True` to the device and from
it by `.to()` are no waits, as from pinned memory.
"""

from __future__ import annotations

from umbel.testing.gpu.device import MixedDevicesError, NotOnHostError, PretendedGpu, Wait
from umbel.testing.gpu.pretend import pretended_gpu
from umbel.testing.gpu.streams import StreamRaceError

__all__ = ["MixedDevicesError", "NotOnHostError", "PretendedGpu", "StreamRaceError", "Wait", "pretended_gpu"]
