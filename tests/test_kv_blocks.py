"""What a model's config tells of vLLM's KV blocks before an engine has started."""

from pathlib import Path
from typing import Any

import pytest
from blpo.models.engines.identity import local_identity
from blpo.models.engines.kv_blocks import reuse_grain
from blpo.models.engines.settings import EngineSettings

SETTINGS = EngineSettings(block_size=16)
PLAIN = {"num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 256}
"""Widths as in the models' own config.json, here of Gemma-4-31B."""


@pytest.mark.parametrize(
    ("more", "grain"),
    [
        ({}, 16),
        ({"global_head_dim": 512}, 32),
        (
            {
                "global_head_dim": 512,
                "num_global_key_value_heads": 4,
                "attention_k_eq_v": True,
            },
            32,
        ),
        ({"global_head_dim": 512, "num_global_key_value_heads": 4}, 32),
        ({"per_layer_config": {"5": {"head_dim": 512, "num_key_value_heads": 4}}}, 32),
        ({"per_layer_config": {"5": {"head_dim": 768, "num_key_value_heads": 16}}}, 48),
        ({"per_layer_config": {"5": {"head_dim": 384}}}, 16),
    ],
)
def test_requests_are_laid_out_for_the_largest_blocks_of_a_models_layers(
    more: dict[str, Any], grain: int
) -> None:
    assert reuse_grain(SETTINGS, {"text_config": PLAIN | more}) == grain
    assert reuse_grain(SETTINGS, PLAIN | more) == grain


def test_a_config_that_tells_of_no_heads_leaves_the_block_as_it_is() -> None:
    assert reuse_grain(SETTINGS, {}) == 16


def test_the_layout_in_the_identity_is_that_of_the_requests(tmp_path: Path) -> None:
    for name, more in (("plain", "{}"), ("wide", '{"text_config": {"head_dim": 8}}')):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(more)
        layout = local_identity("vllm", EngineSettings(model=str(folder), block_size=16)).layout
        assert layout.endswith("block=16")
    text = '{"text_config": {"head_dim": 8, "global_head_dim": 16}}'
    (tmp_path / "wide" / "config.json").write_text(text)
    wide = EngineSettings(model=str(tmp_path / "wide"), block_size=16)
    assert local_identity("vllm", wide).layout.endswith("block=32")
