"""Train a grid of losses x data sets x models x repetitions, and report what it shows."""
