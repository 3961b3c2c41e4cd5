"""Box losses: one value a pair of boxes."""
