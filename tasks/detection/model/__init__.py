"""The detection head, its anchors and its loss."""
