"""The job of matching: ids of images to how well their words answer a query. It knows the store by its port only.

T terms, N instances of one or several images, I images.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from glyphseek.errors import BlobForeign, InputError, SettingError
from glyphseek.fetching import FETCH_SHARE, BlobReader, CacheStats
from glyphseek.matching.bar import Bar
from glyphseek.matching.result import MatchCandidate, MatchedImage, Matching
from glyphseek.matching.settings import MatcherSettings
from glyphseek.ports import FeatureStore
from glyphseek.ranking import (
    Gathered,
    QueryPlan,
    bound_scores,
    bound_steps,
    is_spelt,
    match_image,
    spelt_similarities,
    term_similarities,
)
from glyphseek.tokens import PackedInstances, open_instances
from glyphseek.tracing import span
from glyphseek.types import FloatArray, ModelCard, TermFeatures

_OBJECT_BYTES = 600
"""What the objects around an image's arrays cost."""


class Matcher:
    """Matches queries with the words that were found in images, fetching them itself; safe to share between threads.

    What was fetched is kept in a cache bounded in bytes. Concurrent requests for one image cause one read of its blob.
    """

    def __init__(
        self,
        features: FeatureStore,
        *,
        card: ModelCard,
        settings: MatcherSettings | None = None,
        time_left: Callable[[float], float] = lambda most_s: most_s,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`card` is that of the model whose instances are meant.

        `time_left` returns the seconds that the request which asks has left, at most what it is given. `clock` returns
        seconds, for the timings in results.
        """
        self._card = card
        self._settings = settings or MatcherSettings()
        self._clock = clock
        self._reader = BlobReader[PackedInstances](
            features,
            fingerprint=card.fingerprint,
            open_blob=self._open,
            weigh=_weigh,
            cache_bytes=self._settings.cache_bytes,
            timeout_s=lambda: FETCH_SHARE * time_left(self._settings.fetch_timeout_s / FETCH_SHARE),
        )

    def cache_stats(self) -> CacheStats:
        """Return what the cache holds and how often it helped."""
        return self._reader.stats()

    def match(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        images: Sequence[MatchCandidate],
        *,
        top: int = 0,
        least_score: float = 0.0,
    ) -> Matching:
        """Return how well the images answer the plan, whose terms are encoded as `terms`, by exact similarities.

        Terms are told by letters where the model keeps them, by vectors where it does not.
        With `top`, only the so many best are returned; 0 returns all. Images that cannot score `least_score` need not
        be among them. Those whose blob cannot be used are named and counted by fault. An id named twice is matched
        once, with the aspect named last.

        Raises SettingError for more images than the settings allow, InputError for terms that are not those of the
        plan or not of this model's width.
        """
        self._check(plan, terms, images)
        aspects = {one.image_id: one.aspect for one in images}
        started = self._clock()
        found = self._reader.read(list(aspects))
        fetched = self._clock()
        with span("match.score", images=len(found.values)):
            matched = self._score(plan, terms, found.values, aspects, Bar(top, least=least_score))
        return Matching(
            images=tuple(matched[: top or None]),
            unusable_ids=found.unusable_ids,
            asked=found.asked,
            faults=found.faults,
            cache_hits=found.cache_hits,
            fetched_bytes=found.fetched_bytes,
            fetch_ms=1000 * (fetched - started),
            score_ms=1000 * (self._clock() - fetched),
        )

    def _check(self, plan: QueryPlan, terms: Sequence[TermFeatures], images: Sequence[MatchCandidate]) -> None:
        if len(images) > self._settings.max_images:
            raise SettingError(f"{len(images)} images to match, the limit is {self._settings.max_images}")
        if len(terms) != len(plan.terms):
            raise InputError(f"{len(terms)} encoded terms for a query of {len(plan.terms)}")
        for term in terms:
            if (width := term.vectors_VD.shape[1]) != self._card.vector_width:
                raise InputError(
                    f"a term of width {width}; vectors of {self._card.name} have {self._card.vector_width}"
                )

    def _score(
        self,
        plan: QueryPlan,
        terms: Sequence[TermFeatures],
        found: Mapping[str, PackedInstances],
        aspects: Mapping[str, float],
        bar: Bar,
    ) -> list[MatchedImage]:
        """Return the images that may be wanted, best first: scored from the highest bound down, as far as the bar."""
        image_ids = sorted(found)
        gathered = Gathered([found[one] for one in image_ids])
        similarities_TN = _exact_similarities(plan, terms, gathered, self._card)
        aspects_I = np.array([aspects[one] for one in image_ids], dtype=np.float32)
        calibration = self._card.calibration
        steps = bound_steps(plan, similarities_TN, gathered, aspects_I, calibration)
        bounds_I = bound_scores(plan, gathered.best(similarities_TN), calibration, steps=steps)
        matched: list[MatchedImage] = []
        for place in np.argsort(-bounds_I, kind="stable").tolist():
            if not bar.admit(float(bounds_I[place])):
                break
            match = match_image(
                plan,
                similarities_TN[:, gathered.part(place)],
                gathered.images[place].boxes_N4,
                aspect=float(aspects_I[place]),
                calibration=calibration,
            )
            bar.add(match.score)
            matched.append(MatchedImage(image_id=image_ids[place], match=match))
        return sorted(matched, key=lambda one: (-one.match.score, one.image_id))

    def _open(self, blob: bytes) -> PackedInstances:
        instances = open_instances(blob, fingerprint=self._card.fingerprint)
        if self._card.letters is not None:
            _check_letters(instances, self._card.alphabet)
        return instances


def _check_letters(instances: PackedInstances, alphabet: str) -> None:
    if instances.letters_NSA is None:
        raise BlobForeign("the blob has no letters")
    if (signs := instances.letters_NSA.shape[2]) != len(alphabet) + 1:
        raise BlobForeign(f"the blob has letters of {signs} signs, expected {len(alphabet) + 1}")


def _exact_similarities(
    plan: QueryPlan, terms: Sequence[TermFeatures], gathered: Gathered, card: ModelCard
) -> FloatArray:
    """Return the (T, N) similarities of instances, by letters where they tell."""
    similarities_TN = term_similarities(plan.terms, terms, gathered)
    if card.letters is not None:
        for row, term in enumerate(plan.terms):
            if is_spelt(term):
                similarities_TN[row] = spelt_similarities(
                    term, similarities_TN[row], gathered, alphabet=card.alphabet, scale=card.letters
                )
    return similarities_TN


def _weigh(instances: PackedInstances) -> int:
    return instances.nbytes + _OBJECT_BYTES
