"""Layouts of classification data."""
