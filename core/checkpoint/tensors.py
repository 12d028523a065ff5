"""Reading weight files without ever running code from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from umbel.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

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
