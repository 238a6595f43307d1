"""Searches of collections: pages of hits, several at once, and one image with a picture of where it answers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from glyphseek.errors import GalleryNotFound, GlyphseekError, ImageError, InputError, QueryError, StoreError
from glyphseek.filters import Filter, parse_filter
from glyphseek.images import decode_image
from glyphseek.indexing.intake import photo_key
from glyphseek.pictures import Panel, draw_hits, encode_png
from glyphseek.ports import FeatureStore
from glyphseek.rpc.context import time_left
from glyphseek.search import Hit
from glyphseek.types import RgbImage
from glyphseek_gateway.asks import BatchAnswer, HitAnswer, HitAsk, SearchAnswer, SearchAsk, record_of
from glyphseek_gateway.limits import Limits, check_within
from glyphseek_gateway.opened import OpenGeneration, OpenGenerations
from glyphseek_gateway.paging import Bookmark, read_token, write_token

_LOG = logging.getLogger(__name__)


class Searching:
    """Answers searches. Its methods block and may be called from several threads."""

    def __init__(
        self,
        generations: OpenGenerations,
        features: FeatureStore,
        *,
        limits: Limits,
        log_queries: bool = False,
    ) -> None:
        """`features` holds the kept photos. `log_queries` writes what people look for to the log."""
        self._generations = generations
        self._features = features
        self._limits = limits
        self._query_level = logging.INFO if log_queries else logging.DEBUG

    def search(self, ask: SearchAsk) -> SearchAnswer:
        """Return a page of hits, best first; equal scores by image id.

        The whole of a search, all its pages, is of one generation. Raises QueryError, SettingError and InputError for
        what cannot be asked, GalleryNotFound, StoreUnavailable.
        """
        self._check_query(ask.query)
        _LOG.log(self._query_level, "search collection=%s query=%r filter=%r", ask.collection, ask.query, ask.filter)
        size = self._limits.page_size if ask.page_size is None else ask.page_size
        check_within("page_size", size, 1, self._limits.max_page_size)
        where = self._read_filter(ask.filter)
        begin = read_token(ask.page_token, *_question(ask))
        work = partial(self._search, ask=ask, where=where, offset=0 if begin is None else begin.offset, size=size)
        if begin is None:
            return self._generations.with_current(ask.collection, work)
        try:
            return self._generations.with_fingerprint(ask.collection, begin.fingerprint, work)
        except GalleryNotFound as error:
            raise InputError("page_token is of a generation that is no more; search again without it") from error

    def search_each(self, asks: Sequence[SearchAsk]) -> list[BatchAnswer]:
        """Return what became of each search, in their order."""
        return [self._try(ask) for ask in asks]

    def look_at(self, ask: HitAsk) -> HitAnswer:
        """Return how one image answers, with a picture if one is asked for. Raises ImageNotFound too."""
        self._check_query(ask.query)
        width = ask.picture_width
        if width is not None:
            width = width or self._limits.picture_width
            check_within("picture_width", width, self._limits.min_picture_width, self._limits.max_picture_width)
        return self._generations.with_current(ask.collection, partial(self._look_at, ask=ask, width=width))

    def _try(self, ask: SearchAsk) -> BatchAnswer:
        try:
            time_left(self._limits.deadline_s)
            return self.search(ask)
        except GlyphseekError as error:
            return error

    def _search(
        self, opened: OpenGeneration, *, ask: SearchAsk, where: Filter | None, offset: int, size: int
    ) -> SearchAnswer:
        end = min(offset + size, self._limits.max_hits)
        result = opened.searcher.search(
            ask.query,
            top=min(end + 1, self._limits.max_hits),  # one more tells whether there is a next page
            rerank=ask.rerank,
            where=where,
            with_attention=ask.with_attention,
        )
        next_one = Bookmark(fingerprint=opened.card.fingerprint, offset=end)
        return SearchAnswer(
            query=result.query,
            hits=result.hits[offset:end],
            confident=result.confident,
            degraded=result.degraded,
            timings=result.timings,
            next_page_token=write_token(next_one, *_question(ask)) if len(result.hits) > end else "",
            model=opened.card.fingerprint,
        )

    def _look_at(self, opened: OpenGeneration, *, ask: HitAsk, width: int | None) -> HitAnswer:
        hit, degraded = opened.searcher.look_at(ask.query, ask.image_id, with_attention=True)
        picture = b"" if width is None else self._draw(hit, ask.query, width)
        return HitAnswer(hit=hit, picture=picture, degraded=degraded)

    def _draw(self, hit: Hit, query: str, width: int) -> bytes:
        """Return the PNG; no bytes where the photo's are not kept or cannot be had now."""
        photo = self._read_photo(hit, width)
        if photo is None:
            return b""
        panel = Panel(
            name=hit.names[0] if hit.names else hit.image_id,
            score=hit.score,
            matches=hit.matches,
            image=photo,
            attention=hit.attention,
        )
        return encode_png(draw_hits([panel], title=query, width=width))

    def _read_photo(self, hit: Hit, width: int) -> RgbImage | None:
        try:
            content = self._features.get([photo_key(record_of(hit).content_hash)])[0]
            return None if content is None else decode_image(content, longer_side=width).pixels
        except (StoreError, ImageError):
            return None

    def _check_query(self, query: str) -> None:
        if len(query) > self._limits.max_query_characters:
            raise QueryError(f"the query has {len(query)} characters, the limit is {self._limits.max_query_characters}")

    def _read_filter(self, text: str) -> Filter | None:
        if len(text) > self._limits.max_filter_characters:
            raise InputError(
                f"the filter has {len(text)} characters, the limit is {self._limits.max_filter_characters}"
            )
        return parse_filter(text) if text.strip() else None


def _question(ask: SearchAsk) -> tuple[object, ...]:
    """Return what the order of hits depends on, beside the generation."""
    return "search", ask.collection, ask.query, ask.filter, ask.rerank
