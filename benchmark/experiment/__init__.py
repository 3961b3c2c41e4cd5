"""What an experiment file says, and the cells that it comes to."""
