"""Mask losses: one value an image."""
