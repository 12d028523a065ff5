"""What GPUs can compute at most, as their maker advertises them."""

from __future__ import annotations

import re
from dataclasses import dataclass

TERA = 10**12


@dataclass(frozen=True)
class DevicePeak:
    """Peak rates of a device, dense.

    Args:
        name: what it is called here.
        bf16: TFLOP/s of its tensor cores in bf16, without sparsity.
        fp32: TFLOP/s in fp32, without TF32.
        pattern: a regular expression that all of the name that the driver gives it must match.
    """

    name: str
    bf16: float
    fp32: float
    pattern: str

    def rate(self, precision: str) -> float:
        """FLOP/s in "bf16" or "fp32"."""
        return (self.bf16 if precision == "bf16" else self.fp32) * TERA


# dense rates, halved where NVIDIA prints them "with sparsity"; written from memory, to be held against the data sheets
PEAKS = (
    DevicePeak("A10", 125, 31.2, r"A10"),
    DevicePeak("A30", 165, 10.3, r"A30"),
    DevicePeak("A40", 149.7, 37.4, r"A40"),
    DevicePeak("A100", 312, 19.5, r"(A100|A100-(SXM4|PCIE|PG509)\S*|A100 80GB PCIe)"),
    DevicePeak("L4", 121, 30.3, r"L4"),
    DevicePeak("L40S", 362, 91.6, r"L40S"),
    DevicePeak("H100-PCIe", 756, 51, r"H100 PCIe"),
    DevicePeak("H100", 989, 67, r"H100( 80GB HBM3)?"),  # SXM
    DevicePeak("H200", 989, 67, r"H200"),  # SXM
)

DEVICES = tuple(peak.name for peak in PEAKS)


def find_peak(device: str) -> DevicePeak | None:
    """The peak of a device by the name its driver gives it; None for what is not in the table, such as MIG's slices."""
    bare = device.removeprefix("NVIDIA ").strip()
    return next((peak for peak in PEAKS if re.fullmatch(peak.pattern, bare)), None)


def named_peak(name: str) -> DevicePeak:
    """The peak of one of `DEVICES`."""
    return next(peak for peak in PEAKS if peak.name == name)
