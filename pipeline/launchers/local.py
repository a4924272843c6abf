"""Cells and images in this process, over engines that they share."""

from collections.abc import Mapping

from ..bulk.counts import JudgedCounts
from ..bulk.judging import judge_dataset
from ..bulk.shards import judge_missing
from ..runs.run_many import execute_cells
from ..sweeps.cells import (
    SWEEP_FILE,
    Outcome,
    announced,
    chosen_cells,
    record_failures,
    write_sweep_file,
)
from ..tracking.run_log import open_run_log
from .base import JudgeJob, Launcher, SweepJob, refuse_options


class LocalLauncher(Launcher):
    """Runs everything before it returns."""

    def run_sweep(self, job: SweepJob) -> Mapping[str, Outcome]:
        config, cells = job.config, job.cells
        if job.names_file is None:
            write_sweep_file(config, config.output / SWEEP_FILE)
        else:
            cells = chosen_cells(cells, job.names_file)
        with announced(config, cells):
            runs = execute_cells(
                list(cells.values()), start_over=job.start_over, open_log=open_run_log
            )
        outcomes = dict(zip(cells, runs, strict=True))
        record_failures(config, outcomes)
        return outcomes

    def judge(self, job: JudgeJob) -> JudgedCounts:
        not_taken = {
            "--gpus": job.gpus,
            "--max-running": job.max_running,
            "--sbatch": job.sbatch_options,
        }
        refuse_options("local", "judges in this process", not_taken)
        if job.num_shards is not None:
            not_taken = {"--shard": job.shard, "--overwrite": job.overwrite or None}
            refuse_options("local", "judges the shards that are missing", not_taken)
            return judge_missing(job.manifest())
        refuse_options(
            "local",
            "judges into one file without --shards",
            {"--own-stores": job.own_stores or None},
        )
        return judge_dataset(
            job.source,
            job.dataset,
            job.out,
            job.store,
            shard=job.shard,
            overwrite=job.overwrite,
            options=job.options,
        )
