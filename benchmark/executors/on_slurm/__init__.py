"""Parts of the Slurm executor: its tasks, the clusters they go to, and what becomes of them."""
