"""Layouts of segmentation data."""
