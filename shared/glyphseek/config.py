"""Where a deployment's parts are and how they are run: the only place that reads the environment.

A value is taken from the environment (`GLYPHSEEK_MILVUS_URI`), else from a file (`milvus_uri:` in YAML or JSON), else
it is the default. Unknown names in the file are refused. In the environment they are only listed in `ignored`:
Kubernetes sets variables such as `GLYPHSEEK_GATEWAY_SERVICE_HOST` by itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import cast

from glyphseek.errors import MissingExtra, SettingError

PREFIX = "GLYPHSEEK_"
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_SHOWN_SECRET = "***"  # what a secret looks like when settings are printed

_Value = str | int | float | bool | tuple[str, ...]


def _secret() -> str:
    """Declare a text that is never printed."""
    return field(default="", repr=False, metadata={"is_secret": True})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One deployment; every process of it reads the same. Impossible values raise SettingError.

    milvus_uri: `http://host:port`. milvus_index: HNSW, IVF_SQ8, DISKANN or FLAT, of new collections. tenant: whose
        images these are. milvus_timeout_s: of one call.
    s3_endpoint, s3_bucket, s3_prefix: where blobs and kept photos are; the prefix ends with `/`.
    models: names or folders of the models to serve, comma separated in the environment; the first is the default.
    device: torch device of the encoder, reranker and matcher. threads: torch threads of one process.
    codec: how new blobs are packed. keep_photos: keep the bytes of added photos, which pictures of hits need.
    cache_bytes: opened blobs kept by each reranker and each matcher.
    service_token: secret by which services know each other; without one they answer callers on their own machine only.
    encoder, reranker, matcher: addresses as `host:port`, or `host:port/application` behind Ray Serve.
    host, http_port, grpc_port: where the gateway listens. metrics_port: one for all processes of a node, 0 for none;
        metrics_host: the address it is at, loopback unless a Prometheus elsewhere shall reach it.
    api_keys_file: named keys with scopes; without one the gateway only listens on loopback.
    allowed_buckets: buckets that photos may be added from by URI.
    max_searches, max_ingests: at once in one gateway. max_queued: searches that may wait. upload_idle_s: how long a
        stream of photos may be silent before it is ended and others get its place.
    deadline_s: of one search, unless the caller gives less. encode_s, rerank_s, match_s: most that a stage may take.
    otlp_endpoint: where traces go, empty for nowhere. log_level: DEBUG, INFO, WARNING or ERROR. log_queries: write the
        text of queries to the log.
    """

    milvus_uri: str = "http://127.0.0.1:19530"
    milvus_token: str = _secret()
    milvus_database: str = "default"
    milvus_index: str = "HNSW"
    milvus_timeout_s: float = 5.0
    tenant: str = "default"
    s3_endpoint: str = "http://127.0.0.1:9000"
    s3_bucket: str = "glyphseek"
    s3_prefix: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: str = _secret()
    s3_secret_key: str = _secret()
    models: tuple[str, ...] = ("tdsl-small",)
    device: str = "cpu"
    threads: int = 1
    codec: str = "int8"
    keep_photos: bool = True
    cache_bytes: int = 256 * 2**20
    service_token: str = _secret()
    encoder: str = "127.0.0.1:50061"
    reranker: str = "127.0.0.1:50062"
    matcher: str = "127.0.0.1:50063"
    host: str = "127.0.0.1"
    http_port: int = 8000
    grpc_port: int = 50060
    metrics_port: int = 9464
    metrics_host: str = "127.0.0.1"
    api_keys_file: str = ""
    allowed_buckets: tuple[str, ...] = ()
    max_searches: int = 8
    max_ingests: int = 4
    max_queued: int = 32
    upload_idle_s: float = 60.0
    deadline_s: float = 2.0
    encode_s: float = 1.0
    rerank_s: float = 0.5
    match_s: float = 0.5
    otlp_endpoint: str = ""
    log_level: str = "INFO"
    log_queries: bool = False
    ignored: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.models:
            raise SettingError("models is empty, it must name at least one")
        for name in ("http_port", "grpc_port", "metrics_port"):
            _check_range(name, getattr(self, name), 0, 65_535)
        for name in ("threads", "max_searches", "max_ingests"):
            _check_range(name, getattr(self, name), 1, 1024)
        _check_range("max_queued", self.max_queued, 0, 100_000)
        _check_range("cache_bytes", self.cache_bytes, 0, 2**50)
        for name in ("milvus_timeout_s", "upload_idle_s", "deadline_s", "encode_s", "rerank_s", "match_s"):
            _check_range(name, getattr(self, name), 0.001, 3600)
        if self.log_level not in (levels := ("DEBUG", "INFO", "WARNING", "ERROR")):
            raise SettingError(f"log_level is {self.log_level!r}, it must be one of {', '.join(levels)}")

    def as_environment(self) -> dict[str, str]:
        """Return the variables that give another process this configuration, secrets included."""
        return {
            PREFIX + one.name.upper(): _write(cast(_Value, getattr(self, one.name)))
            for one in fields(self)
            if one.name != "ignored"
        }

    def describe(self) -> dict[str, object]:
        """Return the settings by name for people, secrets masked."""
        return {
            one.name: _SHOWN_SECRET if one.metadata.get("is_secret") and getattr(self, one.name) else value
            for one in fields(self)
            if (value := getattr(self, one.name)) is not None
        }


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of a file, if any, and of `environment` over it, which is the process' own by default.

    Raises SettingError for a file that cannot be read or has unknown names, and for values of another type.
    """
    environment = os.environ if environment is None else environment
    known = {one.name: one for one in fields(Config) if one.name != "ignored"}
    values = {name: _read(known[name], value) for name, value in _read_file(path, frozenset(known)).items()}
    ignored: list[str] = []
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in known:
            values[name] = _read(known[name], text)
        else:
            ignored.append(variable)
    return Config(**values, ignored=tuple(ignored))  # pyright: ignore[reportArgumentType] - read by type above


def environment_with(values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of this process with other values over it, for a process that is started."""
    return {**os.environ, **values}


def _read_file(path: Path | None, known: frozenset[str]) -> dict[str, object]:
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else _parse_yaml(text)
    except (OSError, ValueError) as error:
        raise SettingError(f"the configuration {path} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise SettingError(f"the configuration {path} must be names with values")
    found = cast("dict[str, object]", values)
    if unknown := sorted(found.keys() - known):
        raise SettingError(
            f"the configuration {path} has unknown names: {', '.join(unknown)}; known are: {_list(known)}"
        )
    return found


def _parse_yaml(text: str) -> object:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingExtra("a configuration in YAML needs an extra: pip install 'glyphseek[serve]'") from error
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _read(wanted: Field[object], value: object) -> _Value:
    """Return a value of the field's type. Raises SettingError with the name, and the value unless it is secret."""
    shown = _SHOWN_SECRET if wanted.metadata.get("is_secret") else repr(value)
    try:
        match wanted.type:
            case "tuple[str, ...]":
                parts = value.split(",") if isinstance(value, str) else cast("list[str]", value)
                return tuple(str(part).strip() for part in parts if str(part).strip())
            case "bool":
                return _read_flag(value)
            case "int":
                return int(str(value))
            case "float":
                return float(str(value))
            case _:
                return str(value)
    except (ValueError, TypeError) as error:
        raise SettingError(f"{wanted.name} is {shown}, it must be {_TYPES[str(wanted.type)]}") from error


_TYPES = {
    "tuple[str, ...]": "names separated by commas",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
}


def _read_flag(value: object) -> bool:
    text = str(value).lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(text)


def _write(value: _Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(value)
        case _:
            return str(value)


def _list(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise SettingError(f"{name} is {value}, it must be within {least} to {most}")
