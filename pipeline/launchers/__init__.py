"""Where sweep cells and judge shards are run: here, on Slurm, on Ray."""
