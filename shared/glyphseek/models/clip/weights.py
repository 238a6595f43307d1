"""Where the weights of a CLIP network come from: published under a name, a file, or an S3 object.

Nothing is fetched on import. Without network, a file put into `WEIGHTS_HOME` stands for the published weights.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, LocalEntryNotFoundError
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from open_clip.factory import get_model_config
from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

from glyphseek.errors import MissingExtra, ModelNotFound
from glyphseek.models.clip.settings import Architecture

WEIGHTS_HOME = Path("~/.cache/glyphseek/weights")
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin")
TOKENIZER = "tokenizer.json"
S3 = "s3://"
HUB = "hf-hub:"


def find_weights(architecture: Architecture, source: str, *, home: Path = WEIGHTS_HOME) -> Path:
    """Return the file of the weights that `source` names, fetched into a cache where it is remote.

    `source` is a name under which open_clip knows published weights of that architecture (`openai`), a repository of
    the hub as open_clip writes it (`hf-hub:owner/name`), the path of a .safetensors, .pt, .pth or .bin file, or
    s3://bucket/key. Raises ModelNotFound, which names the file to bring and where to put it, and MissingExtra for S3
    without its client.
    """
    if source.startswith(S3):
        return fetch_object(source, home=home)
    if source.startswith(HUB):
        return _find_repository(architecture, source, home)
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if path.suffix in WEIGHT_SUFFIXES or len(path.parts) > 1:
        raise ModelNotFound(f"no weights of {architecture} at {path.resolve()}: put the file there, or name another")
    return _find_published(architecture, source, home)


def published_settings(architecture: Architecture, source: str) -> Mapping[str, object] | None:
    """Return what open_clip knows of the weights published under that name or there; None when it knows none."""
    if not source.startswith(HUB):
        return cast(dict[str, object], get_pretrained_cfg(architecture, source)) or None
    known = (published_settings(architecture, tag) for tag in _known_tags(architecture))
    hub = source.removeprefix(HUB)
    return next((one for one in known if one is not None and str(one.get("hf_hub", "")).rstrip("/") == hub), None)


def _known_tags(architecture: Architecture) -> list[str]:
    return cast(list[str], list_pretrained_tags_by_model(architecture))


def find_tokenizer(architecture: Architecture, *, beside: Path | None = None, home: Path = WEIGHTS_HOME) -> Path:
    """Return the `tokenizer.json` of an architecture whose tokenizer does not come with open_clip.

    It is looked for beside the weights, then in `home`, then on the hub. Raises ModelNotFound as `find_weights` does.
    """
    own = home.expanduser() / f"{architecture}-{TOKENIZER}"
    near = [beside.parent / TOKENIZER] if beside is not None else []
    for path in (*near, own):
        if path.is_file():
            return path
    hub = _tokenizer_hub(architecture)
    try:
        return Path(hf_hub_download(hub, TOKENIZER))
    except (OSError, EntryNotFoundError) as error:
        raise ModelNotFound(
            f"the tokenizer of {architecture} is not here and cannot be fetched ({_first_line(error)}): bring "
            f"{_address(hub, TOKENIZER)} and save it as {own}, or beside the weights"
        ) from error


def _tokenizer_hub(architecture: Architecture) -> str:
    config = cast(dict[str, dict[str, str]], get_model_config(architecture))
    return config["text_cfg"]["hf_tokenizer_name"]


def _find_published(architecture: Architecture, tag: str, home: Path) -> Path:
    config = published_settings(architecture, tag)
    if config is None:
        raise ModelNotFound(
            f"{architecture} has no weights {tag!r}; known: {', '.join(_known_tags(architecture))}; or give a file, "
            f"{HUB}owner/name or s3://bucket/key"
        )
    return _fetch_or_own(architecture, tag, str(config["hf_hub"]).rstrip("/"), home.expanduser(), tag)


def _find_repository(architecture: Architecture, source: str, home: Path) -> Path:
    hub = source.removeprefix(HUB)
    owner, _, name = hub.partition("/")
    if not owner or not name or "/" in name:
        raise ModelNotFound(f"{source} names no repository of the hub; write {HUB}owner/name")
    return _fetch_or_own(architecture, source, hub, home.expanduser(), f"{owner}--{name}")


def _fetch_or_own(architecture: Architecture, source: str, hub: str, home: Path, name: str) -> Path:
    """Return the file that was put in `home` under the name, otherwise the hub's. Raises ModelNotFound."""
    stem = f"{architecture}-{name}"
    for path in (home / (stem + suffix) for suffix in WEIGHT_SUFFIXES):
        if path.is_file():
            return path
    try:
        return _download(hub)
    except (OSError, EntryNotFoundError, HFValidationError) as error:
        raise ModelNotFound(
            f"weights {source!r} of {architecture} are not here and cannot be fetched ({_first_line(error)}): bring "
            f"{_address(hub, HF_SAFE_WEIGHTS_NAME)} and save it as {home / (stem + WEIGHT_SUFFIXES[0])}, or give its "
            "path as the weights"
        ) from error


def _download(hub: str) -> Path:
    """Return the weights of a hub repository, as safetensors where it has them; a copy fetched before is reused."""
    try:
        return Path(hf_hub_download(hub, HF_SAFE_WEIGHTS_NAME))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError:
        return Path(hf_hub_download(hub, HF_WEIGHTS_NAME))


def _address(hub: str, name: str) -> str:
    return f"https://huggingface.co/{hub}/resolve/main/{name}"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}" if str(error).strip() else repr(error)


def fetch_object(url: str, *, home: Path = WEIGHTS_HOME) -> Path:
    """Return the local copy of s3://bucket/key, fetched when the object's ETag is not the one of the copy.

    The client takes endpoint, region and credentials from the standard AWS_* variables. Raises ModelNotFound when the
    object cannot be had and MissingExtra without the client.
    """
    try:
        import obstore
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError as error:
        raise MissingExtra("weights in S3 need an S3 client: pip install 'glyphseek[s3]'") from error
    bucket, _, key = url.removeprefix(S3).partition("/")
    if not bucket or not key:
        raise ModelNotFound(f"{url} names no object; write s3://bucket/key")
    try:
        store = S3Store(bucket, retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=30)})
        found = obstore.head(store, key)
        mark = "".join(letter for letter in str(found["e_tag"]) if letter.isalnum())
        copy = home.expanduser() / "s3" / bucket / mark / Path(key).name
        if not copy.is_file():
            _write_whole(copy, obstore.get(store, key).stream(min_chunk_size=8 << 20))
    except (BaseError, OSError) as error:
        raise ModelNotFound(
            f"{url} cannot be fetched ({_first_line(error)}): put the weights there, check AWS_ENDPOINT_URL, "
            "AWS_REGION and the credentials, or give the path of a file"
        ) from error
    return copy


def _write_whole(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write the chunks to a file that appears under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as partial:
        try:
            for chunk in chunks:
                partial.write(chunk)
        except BaseException:
            os.unlink(partial.name)
            raise
    os.replace(partial.name, path)
