"""A path under which nothing is: the message proposes the one that may be meant."""

from pathlib import Path

import pytest
from blpo.data.near_paths import did_you_mean, no_such
from command_line import Blpo


def test_the_nearest_name_is_proposed_through_folders(tmp_path: Path) -> None:
    (tmp_path / "judging/runs/shop-fit").mkdir(parents=True)
    near = tmp_path / "judging/runs/shop-fit"
    told = no_such(tmp_path / "juding/runs/shop-fitt", "run directory")
    assert told.endswith(f"shop-fitt: no such run directory; did you mean {near}?")
    assert did_you_mean(tmp_path / "judging/runs/else") == ""
    assert did_you_mean(tmp_path / "a\0b") == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("judge", "new-fotos", "--task", "t", "--out", "v.parquet"), "new-photos?"),
        (("judge", "new-photos", "--run", "runz", "--out", "v.parquet"), "runs?"),
        (("label", "new-fotos", "--task", "shop-fit.yaml"), "new-photos?"),
        (("label", "new-photos", "--task", "shopfit.yaml"), "shop-fit.yaml?"),
        (("import", "koniq-10k", "new-fotos", "--dry-run"), "new-photos?"),
        (("optimize", "shop-fits.yaml"), "shop-fit.yaml?"),
        (("store", "stats", "--store", "rus"), "runs?"),
    ],
)
def test_every_command_proposes_it(
    blpo: Blpo, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    for name in ("new-photos", "runs"):
        (tmp_path / name).mkdir()
    task = "{name: t, description: d, kind: binary, labels: [x, y], judge_prompt: p, i2t_prompt: q,"
    rest = "answer_instruction: a, primary_metric: accuracy}"
    (tmp_path / "shop-fit.yaml").write_text(f"{task} {rest}")
    done = blpo(*arguments)
    assert (done.code, f"did you mean {told}" in done.err, done.out) == (1, True, ""), done
