"""Taking a trained model elsewhere: one graph of backbone and heads, and a folder for a model hub."""

from __future__ import annotations
