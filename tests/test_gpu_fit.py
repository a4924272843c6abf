"""A model that GPUs cannot share, or that is too large for them, is refused before it is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import EngineError
from blpo.models.engine import Request
from blpo.models.engines import gpu_fit as parallel
from blpo.models.engines import settings as settings_module
from blpo.models.engines.checkpoint import locate
from blpo.models.engines.devices import smallest_bytes, visible_gpus
from blpo.models.engines.factory import make_engine
from blpo.models.engines.gpu_fit import (
    loaded_share,
    refuse_misfit,
    refuse_size,
    refuse_split,
    stored_bytes,
)
from blpo.models.engines.settings import EngineSettings

GB = 10**9
H100, H200 = 80 * GB, 141 * GB

# Heads and widths as in the models' own config.json.
QWEN_72B: dict[str, Any] = {
    "text_config": {"num_attention_heads": 64, "num_key_value_heads": 8, "dtype": "bfloat16"}
}
QWEN_7B: dict[str, Any] = {"num_attention_heads": 28, "num_key_value_heads": 4}
QWEN_235B_FP8: dict[str, Any] = {
    "text_config": {
        "num_attention_heads": 64,
        "num_key_value_heads": 4,
        "intermediate_size": 12288,
        "moe_intermediate_size": 1536,
    },
    "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]},
}
MAVERICK: dict[str, Any] = {"text_config": {"num_attention_heads": 40, "num_key_value_heads": 8}}


def shared_by(num_gpus: int, **settings: Any) -> EngineSettings:
    return EngineSettings(model="some/model", tensor_parallel_size=num_gpus, **settings)


@pytest.mark.parametrize(
    ("config", "num_gpus", "problem"),
    [
        (QWEN_7B, 8, "28 attention heads do not divide by 8; it can by 1, 2, 4"),
        (QWEN_7B, 7, "its 4 KV heads do not divide by 7"),
        (MAVERICK, 16, "its 40 attention heads do not divide by 16; it can by 1, 2, 4, 8"),
        (QWEN_235B_FP8, 8, "moe_intermediate_size of 1536 is quantized by blocks of 128"),
    ],
)
def test_a_size_that_does_not_divide_the_model_is_refused(
    config: dict[str, Any], num_gpus: int, problem: str
) -> None:
    with pytest.raises(EngineError, match=problem):
        refuse_split(shared_by(num_gpus), config)


@pytest.mark.parametrize(
    ("config", "num_gpus"),
    [(QWEN_7B, 4), (QWEN_72B, 8), (QWEN_72B, 16), (MAVERICK, 8), (QWEN_235B_FP8, 4), ({}, 3)],
)
def test_a_size_that_divides_the_model_is_taken(config: dict[str, Any], num_gpus: int) -> None:
    refuse_split(shared_by(num_gpus), config)


def test_weights_that_do_not_fit_are_refused_with_the_size_that_does() -> None:
    with pytest.raises(EngineError, match=r"147.0 GB .* 73.6 GB on each of 1 GPU: set .* to 4,"):
        refuse_size(shared_by(1), QWEN_72B, 147 * GB, H100)
    with pytest.raises(EngineError, match=r"129.7 GB on each of 1 GPU: set .* to 2,"):
        refuse_size(shared_by(1), QWEN_72B, 147 * GB, H200)
    with pytest.raises(EngineError, match=r"of 2 GPUs: take a quantized checkpoint"):
        refuse_size(shared_by(2), QWEN_7B, 900 * GB, H100)
    refuse_size(shared_by(4), QWEN_72B, 147 * GB, H100)


@pytest.mark.parametrize(
    ("config", "settings", "share"),
    [
        ({"dtype": "bfloat16"}, {"dtype": "bfloat16"}, 1.0),
        ({"torch_dtype": "float32"}, {"dtype": "bfloat16"}, 0.5),
        ({"dtype": "bfloat16"}, {"quantization": "fp8"}, 0.5),
        (QWEN_72B, {"dtype": "float32"}, 2.0),
        (QWEN_235B_FP8 | {"dtype": "bfloat16"}, {"quantization": "fp8"}, 1.0),
        ({"dtype": "bfloat16"}, {"quantization": "awq"}, 1.0),
        ({}, {}, 1.0),
    ],
)
def test_what_is_loaded_follows_from_what_is_stored(
    config: dict[str, Any], settings: dict[str, Any], share: float
) -> None:
    assert loaded_share(shared_by(1, **settings), config) == share


def test_stored_bytes_come_from_the_index_or_from_the_files(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    checkpoint = locate(EngineSettings(model=str(tmp_path)))
    assert stored_bytes(checkpoint) is None
    (tmp_path / "model-1.safetensors").write_bytes(bytes(100))
    assert stored_bytes(checkpoint) == 100
    index = {"metadata": {"total_size": 300}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert stored_bytes(checkpoint) == 300


def test_the_check_knows_model_and_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    (tmp_path / "model.safetensors").write_bytes(bytes(1000))
    settings = EngineSettings(model=str(tmp_path))
    monkeypatch.setattr(settings_module, "find_device", lambda: "cuda")
    for memory in (None, 2000):
        monkeypatch.setattr(parallel, "gpu_bytes", lambda memory=memory: memory)
        refuse_misfit(settings)
    monkeypatch.setattr(parallel, "gpu_bytes", lambda: 900)
    with pytest.raises(EngineError, match="set tensor_parallel_size to 2"):
        refuse_misfit(settings)


def test_an_engine_asks_before_it_loads_anything(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 2}))
    for engines in (1, 2):
        settings = EngineSettings(model=str(tmp_path), tensor_parallel_size=4, engines=engines)
        with pytest.raises(EngineError, match="2 attention heads do not divide by 4"):
            make_engine(settings).ask([Request("x")])


LISTED = "0, GPU-1f, 81559\n1, GPU-2f, 40960\n2, GPU-3f, [N/A]\n"


@pytest.mark.parametrize(
    ("gpus", "mib"), [(["0", "1"], 40960), (["GPU-1f"], 81559), (["2"], None), ([], None)]
)
def test_the_smallest_visible_gpu_counts(gpus: list[str], mib: int | None) -> None:
    assert smallest_bytes(LISTED, gpus) == (mib and mib << 20)


@pytest.mark.parametrize(
    ("listed", "gpus"),
    [("0, 3", ["0", "3"]), ("2,-1,3", ["2"]), ("NoDevFiles", []), ("", []), ("MIG-a", ["MIG-a"])],
)
def test_visible_gpus_are_read_like_cuda_reads_them(
    monkeypatch: pytest.MonkeyPatch, listed: str, gpus: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_gpus() == gpus
