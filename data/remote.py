"""Files that lie here, in an object store (s3://, gs:// and hf://), or behind a web address.

A URL travels as a Path, which keeps `s3://bucket/key` as `s3:/bucket/key`: names, suffixes and
paths below it are those of any path. Credentials and endpoint are those of the environment
(AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN, and so on).
"""

import os
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from .arrow import pa
from .errors import DataError

SCHEMES = ("s3", "gs", "hf")
WEB_SCHEMES = ("http", "https")
Kind = Literal["file", "folder", ""]


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
    system, key = _located(path)
    try:
        kind = system.get_file_info(key).type
    except OSError as error:
        raise _unreachable(path, error) from error
    types = _arrow_fs().FileType
    kinds: dict[Any, Kind] = {types.File: "file", types.Directory: "folder"}
    return kinds.get(kind, "")


def files_below(folder: Path) -> list[Path]:
    """All files of a folder and the folders in it, in no order."""
    if not is_remote(folder):
        return [file for file in folder.rglob("*") if file.is_file()]
    system, key = _located(folder)
    try:
        found = system.get_file_info(_arrow_fs().FileSelector(key, recursive=True))
    except OSError as error:
        raise _unreachable(folder, error) from error
    files = [info.path for info in found if info.type == _arrow_fs().FileType.File]
    return [folder / os.path.relpath(file, key) for file in files]


def open_binary(path: Path) -> Any:
    """An Arrow file to read from, which is a context manager. Raises OSError."""
    if not is_remote(path):
        return pa.OSFile(str(path))
    system, key = _located(path)
    return system.open_input_file(key)


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
        return fs.FileSystem.from_uri(f"gs://{bucket}")[0]
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return fs.FileSystem.from_uri(f"s3://{bucket}")[0]
    parts = urlsplit(endpoint)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return fs.S3FileSystem(endpoint_override=parts.netloc, scheme=parts.scheme, region=region)


def _arrow_fs() -> Any:
    return import_module("pyarrow.fs")


def _unreachable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"{address(path)}: cannot be read ({error}): check the address and the credentials in the "
        "environment"
    )
