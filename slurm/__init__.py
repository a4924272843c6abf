"""Job scripts for Slurm; `slurm_launcher` of the pipeline submits them."""
