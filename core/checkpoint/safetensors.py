"""The bytes of a .safetensors file, block by block: a state of many gigabytes is never held twice to be written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from umbel.contract.errors import CheckpointError

_BLOCK = 1 << 24

_SMALL = 1 << 20  # tensors are gathered until they are so many bytes

# in the order in which the safetensors library lays them out, the widest first
_KINDS = {
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.complex64: "C64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

_ORDER = {kind: number for number, kind in enumerate(_KINDS)}


def safetensors_blocks(named: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """What `safetensors.torch.save` gives, in blocks; only tensors that are strided or on a device are copied, in turn.

    Raises:
        TypeError: for a kind of number that the format does not have.
    """
    ordered = sorted(named, key=lambda name: (_order(name, named[name]), name))
    yield _header({name: named[name] for name in ordered})
    small = bytearray()
    for name in ordered:
        content = _bytes_of(named[name])
        if len(content) < _SMALL:
            small += content
            if len(small) >= _SMALL:
                yield bytes(small)
                small.clear()
            continue
        if small:
            yield bytes(small)
            small.clear()
        for start in range(0, len(content), _BLOCK):
            yield content[start : start + _BLOCK]
    if small:
        yield bytes(small)


def _order(name: str, value: Tensor) -> int:
    if value.dtype not in _ORDER:
        raise TypeError(f"{name} is {value.dtype}, which a .safetensors file cannot hold")
    return _ORDER[value.dtype]


def _header(named: Mapping[str, Tensor]) -> bytes:
    entries, end = {}, 0
    for name, value in named.items():
        start, end = end, end + value.nbytes
        entries[name] = {"dtype": _KINDS[value.dtype], "shape": list(value.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bytes_of(value: Tensor) -> memoryview:
    """The numbers of a tensor in memory; of its own where it is dense on the CPU."""
    flat = value.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")


_WRAPPERS = ("state_dict", "model", "model_state", "module")

_HINT = "give a .safetensors file, or a .pth file that holds only tensors"


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a .safetensors file, or a .pth/.pt/.bin state dict read with `weights_only=True`.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds anything but tensors.
    """
    import torch

    if not path.is_file():
        raise CheckpointError("no such weight file", where=str(path))
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both readers fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if type(error).__name__ == "UnpicklingError":  # its text recommends to run the code
            reason = "it is damaged, or holds objects whose loading would run code"
        raise CheckpointError(f"cannot be read as weights: {reason}", where=str(path), hint=_HINT) from None
    while isinstance(content, dict) and (inner := [content[w] for w in _WRAPPERS if isinstance(content.get(w), dict)]):
        content = inner[0]
    named = content.items() if isinstance(content, dict) else ()
    tensors = {str(name): value.detach() for name, value in named if isinstance(value, torch.Tensor)}
    if not tensors:
        raise CheckpointError("holds no tensors by name", where=str(path), hint=_HINT)
    return tensors
