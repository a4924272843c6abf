"""What a sweep asks of Slurm: the key `slurm` of a sweep file."""

from pydantic import BaseModel, ConfigDict, Field


class SlurmSettings(BaseModel):
    """How cells are put into the tasks of an array, and what each task is given.

    One task runs its cells side by side over one engine. Cells share a task only if they share
    the judge and the images.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cells_per_task: int = Field(default=8, ge=1, description="runs that share a task's engine")
    max_running: int = Field(default=8, ge=1, description="tasks at work at a time")
    gpus: int = Field(default=1, ge=0, description="GPUs of a task, all on one node")
    options: list[str] = Field(
        default=[], description='options of sbatch for the tasks, such as "--partition=gpu"'
    )
    collect_options: list[str] = Field(
        default=[], description="options of sbatch for the job that collects"
    )
    container: str = Field(
        default="", description='put before blpo in a job: "apptainer exec --nv image.sif"'
    )
