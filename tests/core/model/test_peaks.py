"""Names that drivers give devices, and their peaks, dense half of sparse; from memory, as the table is."""

from __future__ import annotations

import pytest

from umbel.model.peaks import DEVICES, PEAKS, find_peak, named_peak

PRINTED = {  # driver's name: TFLOP/s in bf16 with sparsity, and in fp32
    "NVIDIA A100-SXM4-40GB": (624, 19.5),
    "NVIDIA A100-SXM4-80GB": (624, 19.5),
    "A100-PCIE-40GB": (624, 19.5),
    "NVIDIA A100 80GB PCIe": (624, 19.5),
    "NVIDIA H100 80GB HBM3": (1979, 67),
    "NVIDIA H100 PCIe": (1513, 51),
    "NVIDIA H200": (1979, 67),
    "NVIDIA L4": (242, 30.3),
    "NVIDIA L40S": (733, 91.6),
    "NVIDIA A10": (250, 31.2),
    "NVIDIA A30": (330, 10.3),
    "NVIDIA A40": (299.4, 37.4),
}


@pytest.mark.parametrize("device", PRINTED)
def test_dense_is_half_of_what_is_printed_with_sparsity(device: str) -> None:
    peak = find_peak(device)
    assert peak is not None
    sparse, fp32 = PRINTED[device]
    assert peak.rate("bf16") == pytest.approx(sparse / 2 * 1e12, rel=0.013)  # the L40S's sheet prints 362 and 733
    assert peak.rate("fp32") == fp32 * 1e12


@pytest.mark.parametrize(
    "device",
    [
        "",
        "CPU",
        "NVIDIA A10G",
        "NVIDIA H100 NVL",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA GH200 480GB",
        "Tesla V100-SXM2-16GB",
    ],
)
def test_others_are_unknown(device: str) -> None:
    assert find_peak(device) is None


def test_every_row_can_be_named_and_found() -> None:
    assert len(set(DEVICES)) == len(PEAKS)
    assert {find_peak(device) for device in PRINTED} == {named_peak(name) for name in DEVICES}
