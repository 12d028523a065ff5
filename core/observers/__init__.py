"""Observers: what a run tells people, as default hook implementations."""
