"""Taking a trained model elsewhere: one graph of trunk and heads, and a folder for a model hub."""

from __future__ import annotations
