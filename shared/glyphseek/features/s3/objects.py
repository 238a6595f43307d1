"""Objects of one bucket over obstore, awaited: the only home of the S3 client on the hot path.

obstore retries with jitter, signs, and reads in threads of its own without holding the interpreter; here are the
deadline, the bound on requests at once, the second request of a slow read, and errors in this library's words.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from glyphseek.errors import MissingExtra, StoreError, StoreFull, StoreUnavailable
from glyphseek.features.s3.hedging import Hedge
from glyphseek.features.s3.settings import S3Settings
from glyphseek.tracing import span

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store

T = TypeVar("T")

_NAMES_PER_PAGE = 1000
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_CUT_SHORT = "request or response body error"
_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_CAUSE = re.compile(r" - (?:HTTP error: )?([^<\n]{1,120})")
_NO_SPACE = ("507", "XMinioStorageFull", "QuotaExceeded", "EntityTooLarge")
_DENIED = frozenset({"401", "403"})

_LOG = logging.getLogger(__name__)


class S3Objects:
    """Objects by name, for one event loop. Every method raises StoreUnavailable naming endpoint and bucket.

    A missing bucket is StoreUnavailable as well, and not a missing object: otherwise a wrong setting would look as if
    all blobs were gone.
    """

    def __init__(self, settings: S3Settings) -> None:
        """Make the client; nothing is sent. Raises MissingExtra when obstore is not installed."""
        self._settings = settings
        self._store = _make_store(settings)
        self._slots = asyncio.Semaphore(settings.max_in_flight)
        self._hedge = Hedge(settings.hedge_share)

    @property
    def hedge(self) -> Hedge:
        """Return what sends second requests, with the counts of those `sent` and `won`."""
        return self._hedge

    async def get(self, names: Sequence[str], *, timeout_s: float | None = None) -> list[bytes | StoreError | None]:
        """Return for each name the object, None where there is none, or why it could not be read in time.

        An object over the limit is not read: it comes back empty, which whoever opens it will name damaged.
        """
        end = self._end_of(timeout_s)
        return list(await asyncio.gather(*(self._get_one(name, end) for name in names)))

    async def size(self, name: str) -> int | None:
        """Return how many bytes an object has, None where there is none."""
        import obstore

        async with self._bounded("look up", name):
            try:
                return (await obstore.head_async(self._store, name))["size"]
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None

    async def put(self, name: str, blob: bytes) -> None:
        """Write an object whole or not at all. Raises StoreFull."""
        import obstore

        async with self._bounded("put", name):
            await obstore.put_async(self._store, name, blob, use_multipart=False)

    async def delete(self, names: Sequence[str]) -> None:
        """Remove objects; unknown names are ignored."""
        import obstore

        if names:
            async with self._bounded("delete", names[0]):
                await self._repeat(lambda: obstore.delete_async(self._store, list(names)))

    async def check(self, *, timeout_s: float | None = None) -> None:
        """Ask the bucket for one name, within the settings' limit unless another is given."""
        import obstore

        async def ask() -> None:
            async for _ in obstore.list(self._store, chunk_size=1):
                return

        async with self._bounded("list", self._settings.prefix, end=self._end_of(timeout_s)):
            await self._repeat(ask)

    def list(self, folder: str | None = None) -> Iterator[str]:
        """Yield all names below a folder, the settings' prefix unless given, as the server orders them.

        Asks for a page at a time, and for one that was cut short again, from where it was; blocks, needs no event loop.
        """
        from obstore.exceptions import GenericError

        prefix = (self._settings.prefix if folder is None else folder).rstrip("/") or None
        last, attempt = None, 0
        with self._translated("list", self._settings.prefix):
            while True:
                try:
                    for names in self._list_after(last, prefix):
                        yield from names
                        last, attempt = names[-1], 0
                    return
                except GenericError as error:
                    if not self._is_worth_repeating(error, attempt):
                        raise
                time.sleep(_wait_before(attempt))
                attempt += 1

    def _list_after(self, last: str | None, prefix: str | None) -> Iterator[list[str]]:
        import obstore

        for page in obstore.list(self._store, prefix, offset=last, chunk_size=_NAMES_PER_PAGE):
            if page:
                yield [one["path"] for one in page]

    async def _get_one(self, name: str, end: float) -> bytes | StoreError | None:
        try:
            async with self._bounded("get", name, end=end):
                return await self._hedge.run(lambda: self._read(name))
        except StoreError as error:
            return error

    async def _read(self, name: str) -> bytes | None:
        import obstore

        try:
            found = await self._repeat(lambda: obstore.get_async(self._store, name))
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise
            return None
        if (size := found.meta["size"]) > self._settings.max_blob_bytes:
            _LOG.warning("blob_too_large name=%s bytes=%d limit=%d", name, size, self._settings.max_blob_bytes)
            return b""
        return bytes(await found.bytes_async())

    async def _repeat(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` returns, asking again when the answer was cut short.

        obstore does that for bodies of objects, but not for those that it reads whole: of errors (a missing object is
        one), deletions and lists. It repeats what else is worth it by itself.
        """
        from obstore.exceptions import GenericError

        for attempt in count():
            try:
                return await ask()
            except GenericError as error:
                if not self._is_worth_repeating(error, attempt):
                    raise
            await asyncio.sleep(_wait_before(attempt))
        raise AssertionError("unreachable")

    def _is_worth_repeating(self, error: Exception, attempt: int) -> bool:
        return attempt < self._settings.retries and _CUT_SHORT in str(error)

    @asynccontextmanager
    async def _bounded(self, action: str, name: str, *, end: float | None = None) -> AsyncGenerator[None]:
        """Hold one of the slots, until the deadline at most, and translate errors; the time is a span."""
        with span(f"s3.{action.partition(' ')[0]}", key=name), self._translated(action, name):
            async with asyncio.timeout_at(self._end_of(None) if end is None else end), self._slots:
                yield

    def _end_of(self, timeout_s: float | None) -> float:
        return asyncio.get_running_loop().time() + (self._settings.timeout_s if timeout_s is None else timeout_s)

    @contextmanager
    def _translated(self, action: str, name: str) -> Generator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except TimeoutError as error:
            raise StoreUnavailable(f"{self._place} did not {action} {name!r} within the deadline") from error
        except (BaseError, FileNotFoundError) as error:
            raise self._name_error(action, name, str(error)) from None  # a server's answer may repeat a key

    def _name_error(self, action: str, name: str, text: str) -> StoreError:
        status, code, cause = (found[1] if (found := one.search(text)) else "" for one in (_STATUS, _CODE, _CAUSE))
        if code == "NoSuchBucket":
            return StoreUnavailable(
                f"{self._place} is not there: make the bucket, for example with glyphseek.features.s3.buckets or "
                f"`mc mb ALIAS/{self._settings.bucket}`"
            )
        reason = " ".join(one for one in (status, code) if one) or cause.strip() or "no answer"
        if status in _DENIED:
            reason += "; check the access key and its rights"
        kind = StoreFull if status in _NO_SPACE or code in _NO_SPACE else StoreUnavailable
        return kind(f"{self._place} could not {action} {name!r}: {reason}")

    @property
    def _place(self) -> str:
        return f"bucket {self._settings.bucket!r} at {self._settings.endpoint}"


def _wait_before(attempt: int) -> float:
    return min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2**attempt) * (1 - random.random() / 2)


def _make_store(settings: S3Settings) -> S3Store:
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError as error:
        raise MissingExtra("blobs in S3 need an extra: pip install 'glyphseek[s3]'") from error
    config: S3Config = {"region": settings.region, "virtual_hosted_style_request": False}
    if settings.access_key:
        config["access_key_id"] = settings.access_key
        config["secret_access_key"] = settings.secret_key
    return S3Store(
        settings.bucket,
        config=config,
        endpoint=settings.endpoint,
        client_options={
            "allow_http": settings.endpoint.startswith("http://"),
            "timeout": timedelta(seconds=settings.attempt_timeout_s),
            "connect_timeout": timedelta(seconds=settings.connect_timeout_s),
            "pool_max_idle_per_host": str(settings.max_in_flight),
        },
        retry_config={
            "max_retries": settings.retries,
            "retry_timeout": timedelta(seconds=settings.timeout_s),
            "backoff": {
                "init_backoff": timedelta(milliseconds=50),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    )
