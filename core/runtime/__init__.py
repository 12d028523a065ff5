"""Runtimes: how a model is stepped on one or many devices."""
