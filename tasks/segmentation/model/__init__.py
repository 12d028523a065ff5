"""The segmentation heads and their loss."""
