"""One run: from a cell and decoded data to a trained model and its history."""
