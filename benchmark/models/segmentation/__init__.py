"""Segmenters, one file each."""
