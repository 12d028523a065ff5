"""Comparing variants of test-time augmentation."""
