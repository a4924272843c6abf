"""What runs sweep cells and judges datasets: this process, Slurm, Ray; registered by name."""
