"""The job of reranking: ids of images to scores of their token maps. It knows the model and the store by ports only.

T terms, K images with a usable token map, V variants of a term, D width of global vectors.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import numpy as np

from glyphseek.errors import BlobError, BlobForeign, BlobMissing, SettingError, StoreError
from glyphseek.fetching import CacheStats, LoadError, SingleFlightCache, name_fault
from glyphseek.ports import FeatureStore, TokenScorer, blob_key
from glyphseek.reranking.result import Reranking
from glyphseek.reranking.settings import RerankerSettings
from glyphseek.tokens import PackedTokens, open_tokens
from glyphseek.types import FloatArray, MapScores, TermFeatures


class Reranker:
    """Scores the token maps of images, fetching them itself; safe to share between threads.

    Blobs are fetched in parallel, opened (which verifies them) once, and kept packed in a cache bounded in bytes.
    Concurrent requests for one image cause one read of its blob. Use it as a context manager, or `close` it.
    """

    def __init__(
        self,
        scorer: TokenScorer,
        features: FeatureStore,
        *,
        fingerprint: str,
        settings: RerankerSettings | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`fingerprint` is that of the scorer's model; `clock` returns seconds, for the timings in results."""
        self._scorer = scorer
        self._features = features
        self._fingerprint = fingerprint
        self._settings = settings or RerankerSettings()
        self._clock = clock
        self._cache = SingleFlightCache[PackedTokens](self._settings.cache_bytes, weigh=lambda tokens: tokens.nbytes)
        # A pool has at least one thread, but starts none before it is given work.
        self._threads = ThreadPoolExecutor(max(1, self._settings.fetch_threads - 1), thread_name_prefix="fetch")

    def __enter__(self) -> Reranker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is being fetched and end the threads; the reranker must not be used afterwards."""
        self._threads.shutdown()

    def cache_stats(self) -> CacheStats:
        """Return what the cache holds and how often it helped."""
        return self._cache.stats()

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        """Return the scores of every term for every image whose blob can be used; the others are counted by fault.

        An id named twice is scored once. Raises SettingError for more images than the settings allow.
        """
        if len(image_ids) > self._settings.max_images:
            raise SettingError(f"{len(image_ids)} images to rerank, the limit is {self._settings.max_images}")
        started = self._clock()
        outcomes = self._cache.get([blob_key(self._fingerprint, one) for one in image_ids], self._load)
        fetched = self._clock()
        asked = dict(zip(dict.fromkeys(image_ids), outcomes.values(), strict=True))
        maps = {one: tokens for one, tokens in asked.items() if not isinstance(tokens, BlobError | StoreError)}
        faults = Counter(name_fault(one) for one in asked.values() if isinstance(one, BlobError | StoreError))
        cosines_TK, scores = self._score(terms, list(maps.values()), with_attention=with_attention)
        return Reranking(
            image_ids=tuple(maps),
            cosines_TK=cosines_TK,
            scores=scores,
            asked=len(asked),
            faults=dict(faults),
            fetch_ms=1000 * (fetched - started),
            score_ms=1000 * (self._clock() - fetched),
        )

    def _score(
        self, terms: Sequence[TermFeatures], maps: Sequence[PackedTokens], *, with_attention: bool
    ) -> tuple[FloatArray, MapScores]:
        if not terms or not maps:
            nothing_TK = np.zeros((len(terms), len(maps)), dtype=np.float32)
            attention = tuple(() for _ in terms) if with_attention else None
            return nothing_TK, MapScores(probabilities_TK=nothing_TK, attention=attention)
        return _cosines(terms, maps), self._scorer.score_maps(terms, maps, with_attention=with_attention)

    def _load(self, keys: Sequence[str]) -> dict[str, PackedTokens | LoadError]:
        """Return the opened blobs of the keys or what is wrong with them, read by several threads, this one too."""
        count = min(self._settings.fetch_threads, len(keys))
        others = [self._threads.submit(self._load_part, keys[start::count]) for start in range(1, count)]
        loaded = self._load_part(keys[::count])
        for part in others:
            loaded |= part.result()
        return loaded

    def _load_part(self, keys: Sequence[str]) -> dict[str, PackedTokens | LoadError]:
        try:
            blobs = self._features.get(keys)
        except StoreError as error:
            return dict.fromkeys(keys, error)
        return {key: self._open(blob) for key, blob in zip(keys, blobs, strict=True)}

    def _open(self, blob: bytes | None) -> PackedTokens | BlobError:
        if blob is None:
            return BlobMissing("the image has a row but no blob")
        try:
            tokens = open_tokens(blob, fingerprint=self._fingerprint, codebook=self._scorer.codebook)
        except BlobError as error:
            return error
        if tokens.global_vector_D is None:
            return BlobForeign("the blob has no global vector")
        return tokens


def _cosines(terms: Sequence[TermFeatures], maps: Sequence[PackedTokens]) -> FloatArray:
    """Return (T, K): the best variant of each term against each image's global vector."""
    global_KD = np.stack([tokens.global_vector_D for tokens in maps if tokens.global_vector_D is not None])
    return np.stack([(term.vectors_VD @ global_KD.T).max(axis=0) for term in terms])
