"""Whether a run comes out again as it did, and whether it saw what the others saw."""
