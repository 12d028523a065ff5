"""Fetching weights that timm publishes by tag; only ever on explicit request."""

from __future__ import annotations

from pathlib import Path

import timm
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

from umbel import CheckpointError, ConfigError

WHERE = "backbone.options.weights"

FILE = "model.safetensors"

PATIENCE = 5.0  # seconds for the first answer; the client's own retries would take half a minute


def download_weights(model: str, tag: str) -> Path:
    """The weight file of a timm tag, from the local cache or the network.

    Raises:
        ConfigError: if there is no such tag of this model.
        CheckpointError: if the weights cannot be had from here; names the local-file alternative.
    """
    architecture = model.split(".")[0]
    tags = timm.list_pretrained(f"{architecture}.*") or timm.list_pretrained(architecture)
    if tag not in tags:
        raise ConfigError(
            f"'{tag}' is neither a weight file nor a timm tag of '{architecture}'",
            where=WHERE,
            hint=f"tags: {', '.join(tags)}" if tags else "timm has no weights of this model; give a file",
        )
    repository = timm.models.get_pretrained_cfg(tag).hf_hub_id
    if not repository:
        raise CheckpointError(f"timm publishes '{tag}' in a form of its own", where=WHERE, hint=_alternative())
    cached = try_to_load_from_cache(repository, FILE)
    if isinstance(cached, str):
        return Path(cached)
    try:
        get_hf_file_metadata(hf_hub_url(repository, FILE), timeout=PATIENCE)
        return Path(hf_hub_download(repository, FILE))
    except Exception as error:  # the client and the network fail in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"'{tag}' cannot be downloaded: {reason}", where=WHERE, hint=_alternative()) from None


def _alternative() -> str:
    return f"fetch the weights elsewhere and set {WHERE} to the .safetensors or .pth file"
