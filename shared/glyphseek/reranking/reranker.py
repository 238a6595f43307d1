"""The job of reranking: ids of images to scores of their token maps. It knows the model and the store by ports only.

T terms, K images with a usable token map, V variants of a term, D width of global vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np

from glyphseek.errors import BlobForeign, SettingError
from glyphseek.fetching import FETCH_SHARE, BlobReader, CacheStats
from glyphseek.ports import FeatureStore, TokenScorer
from glyphseek.reranking.result import Reranking
from glyphseek.reranking.settings import RerankerSettings
from glyphseek.tokens import PackedTokens, open_tokens
from glyphseek.tracing import span
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
        time_left: Callable[[float], float] = lambda most_s: most_s,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`fingerprint` is that of the scorer's model.

        `time_left` returns the seconds that the request which asks has left, at most what it is given. `clock` returns
        seconds, for the timings in results.
        """
        self._scorer = scorer
        self._fingerprint = fingerprint
        self._settings = settings or RerankerSettings()
        self._clock = clock
        self._reader = BlobReader[PackedTokens](
            features,
            fingerprint=fingerprint,
            open_blob=self._open,
            weigh=lambda tokens: tokens.nbytes,
            cache_bytes=self._settings.cache_bytes,
            threads=self._settings.fetch_threads,
            timeout_s=lambda: FETCH_SHARE * time_left(self._settings.fetch_timeout_s / FETCH_SHARE),
        )

    def __enter__(self) -> Reranker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is being fetched and end the threads; the reranker must not be used afterwards."""
        self._reader.close()

    def cache_stats(self) -> CacheStats:
        """Return what the cache holds and how often it helped."""
        return self._reader.stats()

    def rerank(
        self, terms: Sequence[TermFeatures], image_ids: Sequence[str], *, with_attention: bool = False
    ) -> Reranking:
        """Return the scores of every term for every image whose blob can be used; the others are counted by fault.

        An id named twice is scored once. Raises SettingError for more images than the settings allow.
        """
        if len(image_ids) > self._settings.max_images:
            raise SettingError(f"{len(image_ids)} images to rerank, the limit is {self._settings.max_images}")
        started = self._clock()
        found = self._reader.read(image_ids)
        fetched = self._clock()
        with span("rerank.score", images=len(found.values), terms=len(terms)):
            cosines_TK, scores = self._score(terms, list(found.values.values()), with_attention=with_attention)
        return Reranking(
            image_ids=tuple(found.values),
            cosines_TK=cosines_TK,
            scores=scores,
            asked=found.asked,
            faults=found.faults,
            cache_hits=found.cache_hits,
            fetched_bytes=found.fetched_bytes,
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

    def _open(self, blob: bytes) -> PackedTokens:
        tokens = open_tokens(blob, fingerprint=self._fingerprint, codebook=self._scorer.codebook)
        if tokens.global_vector_D is None:
            raise BlobForeign("the blob has no global vector")
        return tokens


def _cosines(terms: Sequence[TermFeatures], maps: Sequence[PackedTokens]) -> FloatArray:
    """Return (T, K): the best variant of each term against each image's global vector."""
    global_KD = np.stack([tokens.global_vector_D for tokens in maps if tokens.global_vector_D is not None])
    return np.stack([(term.vectors_VD @ global_KD.T).max(axis=0) for term in terms])
