"""Layouts of detection data."""
