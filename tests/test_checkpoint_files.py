"""Folders that hold no model that can be run: one line each, with what to do."""

import json
import logging
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import BlpoError, EngineError
from blpo.models.engine import Request, Sampling
from blpo.models.engines.checkpoint import load_failure, locate
from blpo.models.engines.factory import make_engine
from blpo.models.engines.identity import local_identity
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.transformers import TransformersEngine
from blpo.models.engines.vllm.options import tell_deviations

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5000000000\n"


@pytest.fixture
def model(tiny_qwen3: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_qwen3, tmp_path / "model"))


def refusal(folder: Path, kind: Any = "transformers") -> str:
    engine = make_engine(EngineSettings(kind=kind, model=str(folder)))
    with pytest.raises(BlpoError) as refused:
        engine.ask([Request("x")])
    message = str(refused.value)
    assert "\n" not in message
    assert "trust_remote_code" not in message
    return message


def test_a_lora_adapter_is_to_be_merged_into_its_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": "Qwen/Qwen3-VL-8B-Thinking"})
    )
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    message = refusal(tmp_path)
    assert "is a LoRA adapter of Qwen/Qwen3-VL-8B-Thinking: merge it" in message


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_a_git_lfs_pointer_is_no_file(name: str, kind: str, model: Path) -> None:
    (model / name).write_text(POINTER)
    assert f"{name} is a Git LFS pointer, not the file itself: run `git lfs pull`" in refusal(
        model, kind
    )


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_weights_that_are_cut_off_are_to_be_downloaded_again(share: float, model: Path) -> None:
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: int(weights.stat().st_size * share)])
    assert "model.safetensors is cut off" in refusal(model)


def test_weights_that_the_index_names_must_be_there(model: Path) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks 1 of 2 weight files (model-1.safetensors)" in refusal(model)


def test_whole_weights_are_no_matter(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"abc")
    (tmp_path / "config.json").write_text("{}")
    locate(EngineSettings(model=str(tmp_path)))


def test_a_tokenizer_in_mistrals_own_format_alone_is_refused(model: Path) -> None:
    (model / "tokenizer.json").rename(model / "tekken.json")
    assert "tekken.json alone: use a repository of the model with tokenizer.json" in refusal(model)


def test_a_model_without_a_chat_template_is_refused(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    message = refusal(model)
    assert "has no chat template: use its instruction-tuned version" in message
    assert str(model) in message


def test_a_model_with_code_of_its_own_is_refused(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}
    (model / "config.json").write_text(json.dumps(config))
    (model / "own.py").write_text("raise SystemExit('was run')")
    assert "code of its own, which blpo does not run" in refusal(model)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ImportError(
                "Package `num2words` is required. Install it with `pip install num2words`."
            ),
            "a package is missing: pip install num2words",
        ),
        (ModuleNotFoundError("No module named 'timm'"), "a package is missing: pip install timm"),
        (ValueError("several\n  lines\n"), "several lines"),
        (ValueError(""), "ValueError"),
    ],
)
def test_what_a_library_says_becomes_one_line(error: Exception, line: str) -> None:
    assert load_failure(error) == line


def test_an_architecture_that_transformers_does_not_know_is_named_so() -> None:
    said = "has model type `x` but Transformers does not recognize this architecture. Update with "
    assert "does not know its architecture" in load_failure(
        ValueError(f"{said}`pip install --upgrade transformers`")
    )


def test_an_edited_template_is_another_model(model: Path) -> None:
    def identity() -> Any:
        return local_identity("transformers", EngineSettings(model=str(model)))

    before = identity()
    template = model / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant", "judge"))
    assert identity().settings != before.settings
    assert identity().revision != before.revision


def test_generation_follows_the_request_alone(model: Path) -> None:
    """The checkpoint asks for sampling with a repetition penalty."""
    engine = TransformersEngine(EngineSettings(kind="transformers", model=str(model)))
    request = Request("Describe it.", sampling=Sampling(max_tokens=12))
    (written,) = engine.ask([request])
    (model / "generation_config.json").unlink()
    plain = TransformersEngine(EngineSettings(kind="transformers", model=str(model)))
    assert plain.ask([request])[0].text == written.text
    assert engine.ask([request])[0].text == written.text


def test_gemma_on_cpu_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "blpo.engine"):
        tell_deviations(EngineSettings(model="some/model"), {"model_type": "qwen3_vl"})
        assert not caplog.messages
        tell_deviations(EngineSettings(model="google/gemma-3-4b-it"), {"model_type": "gemma3"})
    assert "not checked on GPU" in caplog.text


def test_a_folder_without_config_and_without_adapter_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"has no config\.json"):
        locate(EngineSettings(model=str(tmp_path)))
