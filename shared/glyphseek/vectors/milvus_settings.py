"""Which Milvus to speak to, and how a gallery is kept there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from glyphseek.errors import SettingError

_MOST_CANDIDATES = 32_768  # Milvus' own bound
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class IndexKind(StrEnum):
    """How Milvus finds the nearest vectors. FLAT is exact; DISKANN needs a server that is built and set up for it."""

    FLAT = "FLAT"
    HNSW = "HNSW"
    IVF_SQ8 = "IVF_SQ8"
    DISKANN = "DISKANN"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """The index of a new collection; one that exists keeps the index it has, and takes only what searches need.

    graph_degree, build_width: M and efConstruction of HNSW. lists: nlist of IVF_SQ8.
    search_width: candidates that HNSW (ef) and DISKANN (search_list) hold in a search; at least the limit is used.
    probes: lists that IVF_SQ8 looks into. More of either finds more of the nearest and takes longer.
    """

    kind: IndexKind = IndexKind.HNSW
    graph_degree: int = 16
    build_width: int = 200
    lists: int = 1024
    search_width: int = 256
    probes: int = 64

    def __post_init__(self) -> None:
        bounds = (
            ("graph_degree", 4, 64),
            ("build_width", 8, 512),
            ("lists", 1, 65_536),
            ("search_width", 1, 16_384),
            ("probes", 1, 65_536),
        )
        _check_bounds(self, bounds)

    def build_parameters(self) -> dict[str, int]:
        """Return what Milvus is told when the index is made."""
        match self.kind:
            case IndexKind.HNSW:
                return {"M": self.graph_degree, "efConstruction": self.build_width}
            case IndexKind.IVF_SQ8:
                return {"nlist": self.lists}
            case IndexKind.FLAT | IndexKind.DISKANN:
                return {}

    def search_parameters(self, limit: int, *, effort: int = 1) -> dict[str, int]:
        """Return what Milvus is told with a search for `limit` rows; `effort` times the usual width or probes."""
        width = min(effort * max(self.search_width, limit), _MOST_CANDIDATES)
        match self.kind:
            case IndexKind.HNSW:
                return {"ef": width}
            case IndexKind.IVF_SQ8:
                return {"nprobe": min(effort * self.probes, self.lists)}
            case IndexKind.DISKANN:
                return {"search_list": width}
            case IndexKind.FLAT:
                return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class MilvusSettings:
    """A Milvus server (2.3 or later, standalone or cluster) and the bounds of what is asked of it.

    uri: `http://host:port`, or https. token: `user:password` or an API key; never printed.
    tenant: whose images these are. Tenants share collections and are kept apart by Milvus' partition key, so that one
        gallery name may serve thousands of them.
    timeout_s: the deadline of every call but loading. load_timeout_s: of bringing a collection into memory.
    shards: write channels of a new collection. With one, all vectors of an image appear to searches at once; with
        more, a search that runs beside the writing of an image may see some of its vectors before the others.
    partitions: of a new collection, among which tenants are spread. replicas: copies that answer searches.
    """

    uri: str
    token: str = field(default="", repr=False)
    database: str = "default"
    tenant: str = "default"
    timeout_s: float = 10.0
    load_timeout_s: float = 120.0
    index: IndexSettings = field(default_factory=IndexSettings)
    shards: int = 1
    partitions: int = 16
    replicas: int = 1

    def __post_init__(self) -> None:
        parts = urlsplit(self.uri)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise SettingError("the Milvus uri must be http://host:port or https://host:port, without credentials")
        check_name("tenant", self.tenant)
        bounds = (("timeout_s", 0.01, 3600), ("load_timeout_s", 1, 86_400), ("shards", 1, 16))
        _check_bounds(self, (*bounds, ("partitions", 1, 4096), ("replicas", 1, 64)))


def check_name(what: str, name: str) -> str:
    """Return a name of a tenant or gallery; raise SettingError unless it is small letters, digits and `_`."""
    if _NAME.fullmatch(name) is None:
        raise SettingError(f"{what} {name!r} is not 1 to 64 small letters, digits and '_' with a letter first")
    return name


def _check_bounds(settings: object, bounds: tuple[tuple[str, float, float], ...]) -> None:
    for name, least, most in bounds:
        if not least <= (value := getattr(settings, name)) <= most:
            raise SettingError(f"{name} is {value}, it must be within {least} to {most}")
