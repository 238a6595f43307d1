"""Calls to a Milvus server, each with a deadline and with its errors translated. Nothing of what rows mean.

pymilvus is imported with the first connection, so that importing this module costs nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypedDict, cast

import numpy as np

from glyphseek.deadlines import deadline_bound, is_time_over, time_left
from glyphseek.errors import DeadlineExceeded, StoreError, StoreFull, StoreUnavailable
from glyphseek.tracing import span
from glyphseek.types import FloatArray
from glyphseek.vectors.milvus_settings import MilvusSettings

if TYPE_CHECKING:
    from pymilvus import MilvusClient
    from pymilvus.milvus_client.index import IndexParams
    from pymilvus.orm.schema import CollectionSchema

Row = dict[str, object]

_IDS_PER_CALL = 500
"""Most primary keys of one call: Milvus parses them as one expression."""


class _TimestampStub(Protocol):
    def AllocTimestamp(self, request: object, *, timeout: float) -> _Timestamp: ...


class _Timestamp(Protocol):
    timestamp: int


class _Hit(Protocol):
    id: str
    distance: float


class _Partitions(TypedDict, total=False):
    num_partitions: int


class _AsOf(TypedDict):
    consistency_level: str
    guarantee_timestamp: int
    retry_times: int


class MilvusCalls:
    """An open connection; safe to share between threads. Every method raises StoreUnavailable naming the address.

    A server that is gone is found out at once, and one that comes back is used again without a new connection. Reads
    end at the deadline of the caller, with DeadlineExceeded; what writes is not cut off by it.
    """

    def __init__(self, settings: MilvusSettings) -> None:
        """Connect. Raises StoreUnavailable when no Milvus answers within the deadline."""
        from pymilvus import MilvusClient

        # It logs each error that is translated here, with a trace.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        self._settings = settings
        self._uri = settings.uri
        from glyphseek.vectors.milvus_channel import channel_options, keep_deadlines

        with self.translated("connect"):
            self._client = MilvusClient(
                settings.uri,
                token=settings.token,
                db_name=settings.database,
                timeout=time_left(settings.timeout_s),
                dedicated=True,
                grpc_options=channel_options(settings.timeout_s),
            )
        keep_deadlines(self._client, timeout_s=settings.timeout_s)

    @property
    def client(self) -> MilvusClient:
        """Return pymilvus' own client, for calls that `translated` or `writing` must stand around."""
        return self._client

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def now(self) -> int:
        """Return a timestamp of the server, later than every write that was acknowledged, to any client, before this.

        A read that is given it waits until it can see all of those writes.
        """
        from pymilvus.grpc_gen import milvus_pb2

        with self.translated("ask for the time"):
            # The call is part of Milvus' interface, but pymilvus has no method for it.
            stub = cast(_TimestampStub, self._client._get_connection()._stub)  # pyright: ignore[reportPrivateUsage]
            answer = stub.AllocTimestamp(milvus_pb2.AllocTimestampRequest(), timeout=self._settings.timeout_s)
            return answer.timestamp

    def search(
        self,
        collection: str,
        vectors_QD: FloatArray,
        limit: int,
        *,
        where: str,
        parameters: Mapping[str, int],
        since: int,
    ) -> list[list[tuple[str, float]]]:
        """Return for each query (primary key, inner product) of the rows found, best first, as of `since` or later."""
        with self.translated("search"):
            found = self._client.search(
                collection,
                data=list(vectors_QD),
                anns_field="vector",
                filter=where,
                limit=limit,
                search_params={"metric_type": "IP", "params": dict(parameters)},
                **_as_of(since),
            )
        return [[(str(hit.id), float(hit.distance)) for hit in cast("list[_Hit]", hits)] for hits in found]

    def get(self, collection: str, pks: Sequence[str], fields: Sequence[str], *, since: int) -> list[Row]:
        """Return the rows that exist among the primary keys, as of `since` or later, in no order."""
        rows: list[Row] = []
        for start in range(0, len(pks), _IDS_PER_CALL):
            with self.translated("read rows"):
                rows += self._client.query(
                    collection,
                    ids=list(pks[start : start + _IDS_PER_CALL]),
                    output_fields=list(fields),
                    **_as_of(since),
                )
        return rows

    def read_page(
        self, collection: str, fields: Sequence[str], *, where: str, after: str, limit: int, since: int
    ) -> list[Row]:
        """Return up to `limit` rows that follow the primary key `after`, ordered by primary key."""
        with self.translated("read rows"):
            rows = self._client.query(
                collection,
                filter=f'{where} and pk > "{after}"',
                output_fields=["pk", *fields],
                limit=limit,
                **_as_of(since),
            )
        return sorted(rows, key=lambda row: str(row["pk"]))

    def read_vectors(self, collection: str, *, where: str, limit: int, since: int) -> dict[str, FloatArray]:
        """Return the vectors of up to `limit` rows by primary key."""
        with self.translated("read vectors"):
            rows = self._client.query(
                collection,
                filter=where,
                output_fields=["pk", "vector"],
                limit=limit,
                **_as_of(since),
            )
        return {str(row["pk"]): np.asarray(row["vector"], dtype=np.float32) for row in rows}

    def count(self, collection: str, *, where: str, since: int) -> int:
        """Return how many rows there are."""
        with self.translated("count rows"):
            rows = self._client.query(
                collection,
                filter=where,
                output_fields=["count(*)"],
                **_as_of(since),
            )
        return int(rows[0]["count(*)"])

    def insert(self, collection: str, rows: Sequence[Row]) -> None:
        """Add rows under new primary keys, in one call. Raises StoreFull."""
        with self.writing("write rows"):
            self._client.insert(collection, list(rows), retry_times=0)

    def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """Write rows, each in place of the one that has its primary key, in one call. Raises StoreFull."""
        with self.writing("write rows"):
            self._client.upsert(collection, list(rows), retry_times=0)

    def delete(self, collection: str, pks: Sequence[str]) -> None:
        """Remove the rows of these primary keys; unknown ones are ignored."""
        for start in range(0, len(pks), _IDS_PER_CALL):
            with self.writing("remove rows"):
                self._client.delete(collection, ids=list(pks[start : start + _IDS_PER_CALL]), retry_times=0)

    def describe(self, collection: str) -> Row | None:
        """Return what Milvus says of a collection, or of the one an alias stands for; None where there is none."""
        with self.translated("look for a collection"):
            if not cast(bool, self._client.has_collection(collection, retry_times=0)):
                return None
            return cast(Row, self._client.describe_collection(collection, retry_times=0))

    def list_collections(self) -> list[str]:
        """Return the names of all collections of the database."""
        with self.translated("list the collections"):
            return cast("list[str]", self._client.list_collections(retry_times=0))

    def create(
        self, collection: str, schema: CollectionSchema, indexes: IndexParams, *, partitions: int | None
    ) -> None:
        """Make a collection with its index, unless it is there; another process may do the same meanwhile."""
        if self.describe(collection) is None:
            with self.writing(f"create {collection}"):
                self._client.create_collection(
                    collection,
                    schema=schema,
                    num_shards=self._settings.shards,
                    retry_times=0,
                    **_Partitions() if partitions is None else _Partitions(num_partitions=partitions),
                )
        with self.translated(f"look for the index of {collection}"):
            has_index = bool(self._client.list_indexes(collection, retry_times=0))
        if not has_index:
            with self.writing(f"index {collection}"):
                self._client.create_index(collection, indexes, sync=False, retry_times=0)

    def load(self, collections: Sequence[str]) -> None:
        """Bring collections into memory side by side and wait until they answer; those that are there take no time."""
        from pymilvus.client.types import LoadState

        with self.translated(f"load {', '.join(collections)}"):
            states = [self._client.get_load_state(one, retry_times=0)["state"] for one in collections]
            missing = [one for one, state in zip(collections, states, strict=True) if state != LoadState.Loaded]
            for begin in (True, False):  # asking a second time waits for what the first began
                for one in missing:
                    timeout = time_left(self._settings.load_timeout_s)
                    self._client.load_collection(
                        one, replica_number=self._settings.replicas, timeout=timeout, _async=begin
                    )

    @contextmanager
    def translated(self, action: str) -> Generator[None]:
        """Turn what pymilvus and gRPC raise into errors of this library, naming the address and what was tried.

        Raises DeadlineExceeded when the caller's time is over, also before anything is tried.
        """
        from grpc import RpcError
        from pymilvus import MilvusException

        with span(f"milvus.{action.partition(' ')[0]}", action=action):
            time_left(self._settings.timeout_s)
            try:
                yield
            except (MilvusException, RpcError) as error:
                if is_time_over():
                    raise DeadlineExceeded(
                        f"Milvus at {self._uri} did not {action} in the time that the caller gave"
                    ) from error
                message = str(error.message) if isinstance(error, MilvusException) else str(error)
                raise _name_error(action, self._uri, message) from error

    @contextmanager
    def writing(self, action: str) -> Generator[None]:
        """Do the same around a write, which takes the time that it needs, whoever waits for it."""
        with deadline_bound(None), self.translated(action):
            yield


def _as_of(since: int) -> _AsOf:
    return _AsOf(consistency_level="Customized", guarantee_timestamp=since, retry_times=0)


def _name_error(action: str, uri: str, message: str) -> StoreError:
    kind = StoreFull if "quota exceeded" in message or "quota exhausted" in message else StoreUnavailable
    return kind(f"Milvus at {uri} could not {action}: {message[:500]}")
