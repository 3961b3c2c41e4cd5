"""Losses of what a detector says about the class of a box, one file each."""
