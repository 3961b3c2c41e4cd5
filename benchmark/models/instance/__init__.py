"""Instance segmenters, one file each."""
