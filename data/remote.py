"""Files that lie here, in an object store (s3://, gs:// and hf://), or behind a web address.

A URL travels as a Path, which keeps `s3://bucket/key` as `s3:/bucket/key`: names, suffixes and
paths below it are those of any path. Credentials and endpoint are those of the environment
(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN, and so on).
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from .arrow import pa
from .errors import BlpoError, DataError

SCHEMES = ("s3", "gs", "hf")
WEB_SCHEMES = ("http", "https")
Kind = Literal["file", "folder", ""]
_GS_RETRY_S = 60
"""Of the quarter of an hour for which its library tries again."""


def is_remote(path: Path) -> bool:
    """Whether it lies in an object store."""
    return path.parts[:1] in {(f"{scheme}:",) for scheme in SCHEMES}


def is_web(path: Path) -> bool:
    return path.parts[:1] in {(f"{scheme}:",) for scheme in WEB_SCHEMES}


def is_here(path: Path) -> bool:
    """Whether it is a path of this machine."""
    return not is_remote(path) and not is_web(path)


def address(path: Path) -> str:
    """The path as its user wrote it."""
    if is_here(path):
        return str(path)
    scheme, *parts = path.parts
    return f"{scheme}//{'/'.join(parts)}"


def kind_of(path: Path) -> Kind:
    """What lies there, "" for nothing. Raises DataError if the store does not answer."""
    if not is_remote(path):
        return "folder" if path.is_dir() else "file" if path.is_file() else ""
    with reaching(path):
        system, key = _located(path)
        kind = system.get_file_info(key).type
    types = _arrow_fs().FileType
    kinds: dict[Any, Kind] = {types.File: "file", types.Directory: "folder"}
    return kinds.get(kind, "")


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and the folders in it, in no order."""
    if not is_remote(folder):
        return [file for file in folder.rglob("*") if file.is_file()]
    with reaching(folder):
        system, key = _located(folder)
        found = system.get_file_info(_arrow_fs().FileSelector(key, recursive=True))
    files = [info.path for info in found if info.type == _arrow_fs().FileType.File]
    return [folder / os.path.relpath(file, key) for file in files]


def open_binary(path: Path) -> Any:
    """An Arrow file to read from, which is a context manager.

    Raises OSError, or DataError if the store does not answer.
    """
    if not is_remote(path):
        return pa.OSFile(str(path))
    with reaching(path):
        system, key = _located(path)
        return system.open_input_file(key)


@contextmanager
def reaching(path: Path) -> Generator[None]:
    """Whatever goes wrong with an object store while the block runs is a DataError.

    Each store's library has errors of its own.
    """
    try:
        yield
    except BlpoError:
        raise
    except ImportError as error:
        raise DataError(
            f"{address(path)}: needs the package {error.name}: pip install {error.name}"
        ) from error
    except Exception as error:
        if not is_remote(path):
            raise
        raise DataError(
            f"{address(path)}: cannot be read ({error}): check the address, the network and the "
            "credentials in the environment"
        ) from error


def _located(path: Path) -> tuple[Any, str]:
    """The file system, and the path in it."""
    scheme, *parts = path.parts
    return _system(scheme.removesuffix(":"), parts[0] if parts else ""), "/".join(parts)


@cache
def _system(scheme: str, bucket: str) -> Any:
    fs = _arrow_fs()
    if scheme == "hf":
        hub: Any = import_module("huggingface_hub")
        return fs.PyFileSystem(fs.FSSpecHandler(hub.HfFileSystem()))
    if scheme == "gs":
        return fs.FileSystem.from_uri(f"gs://{bucket}?retry_limit_seconds={_GS_RETRY_S}")[0]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return fs.FileSystem.from_uri(f"s3://{bucket}")[0]
    parts = urlsplit(endpoint)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return fs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, region=region)


def _arrow_fs() -> Any:
    return import_module("pyarrow.fs")
