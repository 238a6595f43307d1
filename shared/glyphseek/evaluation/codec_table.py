"""What each way of storing token maps costs: bytes, time, and mAP after a rerank, over one gallery with ground truth.

The exact features of every image are packed anew for each choice, and the gallery is recalled and reranked from those
blobs alone, through the jobs that a search runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from glyphseek.errors import InputError, QueryError
from glyphseek.evaluation.benchmark import Benchmark, QueryList
from glyphseek.evaluation.codec_packing import CodecChoice, Packer, Packing
from glyphseek.evaluation.metrics import average_precision, rank_hits
from glyphseek.evaluation.reranked import GalleryReranker
from glyphseek.evaluation.scoring import encode_words, score_queries
from glyphseek.ports import FeatureStore, Model, TokenScorer
from glyphseek.queries import Term
from glyphseek.reranking import Reranker
from glyphseek.tokens import CodecName, PackedTokens, TokenCodebook
from glyphseek.types import FloatArray, MapScores, TermFeatures

COLUMNS = (
    *("codec", "width", "mask", "bytes/image", "kept %", "encode images/s", "MB/s", "decode images/s", "MB/s"),
    *("score ms", "mAP %", "lost"),
)
"""Of a table for people; the fields of `CodecRow` in their order, the two widths in one."""


class TokenModel(Model, TokenScorer, Protocol):
    """A model that reranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRow:
    """What one choice costs.

    bytes_per_image: mean of whole blobs. kept_percent: tokens that are stored. Encoding is features to blob; decoding
    is blob to float32 tokens of full width, checks included; both are medians over images taken one after the other, a
    megabyte being 10^6 bytes of float32 tokens. score_ms: median time to score one query's images, their maps being
    open. lost_map: percent of mAP below exact features.
    """

    codec: str
    token_width: int
    stored_width: int
    keep_likelihood: float
    bytes_per_image: float
    kept_percent: float
    encode_images_per_s: float
    encode_mb_per_s: float
    decode_images_per_s: float
    decode_mb_per_s: float
    score_ms: float
    map_percent: float
    lost_map: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecTable:
    """All rows of one gallery, exact features first, and what they were measured on.

    recall_map_percent: mAP of exact features without a rerank, which says what there is to lose.
    """

    model: str
    benchmark: str
    images: int
    query_list: str
    queries: int
    depth: int
    recall_map_percent: float
    rows: tuple[CodecRow, ...]


@dataclass(slots=True, kw_only=True)
class TimedScorer:
    """A model's scorer for blobs of another codebook than the model's own; it notes how long each call took."""

    scorer: TokenScorer
    codebook: TokenCodebook | None
    clock: Callable[[], float]
    taken_s: list[float] = field(default_factory=list[float])

    def score_maps(
        self, terms: Sequence[TermFeatures], maps: Sequence[PackedTokens], *, with_attention: bool
    ) -> MapScores:
        """Return what the model's scorer says."""
        began = self.clock()
        scores = self.scorer.score_maps(terms, maps, with_attention=with_attention)
        self.taken_s.append(self.clock() - began)
        return scores


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecBench:
    """A gallery whose exact blobs (codec fp32) lie in `exact`; each choice is packed into a store that `scratch` makes.

    `image_ids` are in the order of the benchmark, None for an image that could not be read. `depth` images are reranked
    for every query. `clock` returns seconds.
    """

    model: TokenModel
    benchmark: Benchmark
    queries: QueryList
    image_ids: Sequence[str | None]
    exact: FeatureStore
    scratch: Callable[[], FeatureStore]
    depth: int = 32
    clock: Callable[[], float] = time.perf_counter

    def measure(self, choices: Sequence[CodecChoice], *, show: Callable[[int, int, str], None]) -> CodecTable:
        """Return a row of exact features and one for each choice; `show` is told how many are done, and which is next.

        Raises InputError when no image of the gallery could be read, and GalleryDamaged when a blob cannot be used.
        """
        if not any(self.image_ids):
            raise InputError(f"no image of {self.benchmark.name} could be read")
        card = self.model.card
        words = encode_words(
            sorted(self.queries.relevant),
            self.model.encode_terms,
            max_characters=card.max_query_characters,
            as_whole=card.asks_whole_text,
        )
        everything = [CodecChoice(codec=CodecName.FP32), *choices]
        rows: list[CodecRow] = []
        recall_map_percent = 0.0
        for done, choice in enumerate(everything):
            show(done, len(everything), choice.codec)
            store = self.scratch()
            packer = Packer(
                choice=choice, exact=self.exact, store=store, fingerprint=card.fingerprint, clock=self.clock
            )
            packing = packer.pack_all(self.image_ids)
            recall = self._recall(words, packing)
            map_percent, score_ms = self._rerank(words, choice, store, recall)
            if not rows:
                recall_map_percent = self._mean_precision(recall)
            exact_map_percent = rows[0].map_percent if rows else map_percent
            rows.append(_make_row(choice, packing, score_ms, map_percent, exact_map_percent))
        show(len(everything), len(everything), "done")
        return CodecTable(
            model=card.name,
            benchmark=self.benchmark.name,
            images=len(self.image_ids),
            query_list=self.queries.name,
            queries=len(self.queries),
            depth=self.depth,
            recall_map_percent=recall_map_percent,
            rows=tuple(rows),
        )

    def _recall(self, words: Mapping[str, TermFeatures], packing: Packing) -> Callable[[str], FloatArray]:
        def look_up(terms: Sequence[Term]) -> list[TermFeatures]:
            unknown = [term.text for term in terms if term.text not in words]
            if unknown:
                raise QueryError(f"the model refused {', '.join(unknown)}")
            return [words[term.text] for term in terms]

        card = self.model.card
        return score_queries(
            sorted(self.queries.relevant),
            look_up,
            packing.rows,
            max_characters=card.max_query_characters,
            as_whole=card.asks_whole_text,
        )

    def _rerank(
        self,
        words: Mapping[str, TermFeatures],
        choice: CodecChoice,
        store: FeatureStore,
        recall: Callable[[str], FloatArray],
    ) -> tuple[float, float]:
        """Return mAP in percent and the median milliseconds of scoring."""
        card = self.model.card
        scorer = TimedScorer(scorer=self.model, codebook=choice.codebook, clock=self.clock)
        with Reranker(scorer, store, fingerprint=card.fingerprint) as reranker:
            reranked = GalleryReranker(
                reranker=reranker,
                image_ids=self.image_ids,
                features=words,
                max_characters=card.max_query_characters,
                max_depth=self.depth,
                fusion=card.fusion,
                as_whole=card.asks_whole_text,
            )
            map_percent = self._mean_precision(lambda query: reranked.score(query, recall(query), self.depth))
        return map_percent, 1000 * float(np.median(scorer.taken_s)) if scorer.taken_s else 0.0

    def _mean_precision(self, score: Callable[[str], FloatArray]) -> float:
        names = np.array([image.name for image in self.benchmark.images])
        precisions = [
            average_precision(rank_hits(np.isin(names, list(found)), score(query)))
            for query, found in self.queries.relevant.items()
        ]
        return 100 * float(np.mean(precisions))


def markdown_table(table: CodecTable) -> str:
    """Return the table as Markdown, one row a choice, with the names that `CodecRow` explains."""
    head = f"| {' | '.join(COLUMNS)} |"
    rows = [f"| {' | '.join(format_row(row))} |" for row in table.rows]
    return "\n".join([describe(table), "", head, "|---|---|---|" + (len(COLUMNS) - 3) * "---:|", *rows]) + "\n"


def describe(table: CodecTable) -> str:
    """Return in one line what the table was measured on."""
    return (
        f"{table.model} on {table.benchmark}, {table.images} images, {table.queries} queries ({table.query_list}), "
        f"{table.depth} reranked; mAP {table.recall_map_percent:.2f} without a rerank."
    )


def format_row(row: CodecRow) -> list[str]:
    """Return the cells of a row as text, in the order of `COLUMNS`."""
    is_projected = row.stored_width != row.token_width
    return [
        row.codec,
        f"{row.token_width} to {row.stored_width}" if is_projected else f"{row.token_width}",
        f"{row.keep_likelihood:g}" if row.keep_likelihood else "none",
        f"{row.bytes_per_image:,.0f}",
        f"{row.kept_percent:.1f}",
        f"{row.encode_images_per_s:.0f}",
        f"{row.encode_mb_per_s:.0f}",
        f"{row.decode_images_per_s:.0f}",
        f"{row.decode_mb_per_s:.0f}",
        f"{row.score_ms:.2f}",
        f"{row.map_percent:.2f}",
        f"{row.lost_map:+.2f}",
    ]


def _make_row(
    choice: CodecChoice, packing: Packing, score_ms: float, map_percent: float, exact_map_percent: float
) -> CodecRow:
    megabytes = np.array(packing.exact_bytes) / 1e6
    encode_s, decode_s = np.array(packing.encode_s), np.array(packing.decode_s)
    return CodecRow(
        codec=choice.codec.value,
        token_width=packing.widths[0],
        stored_width=packing.widths[1],
        keep_likelihood=choice.keep_likelihood,
        bytes_per_image=float(np.mean(packing.blob_bytes)),
        kept_percent=100 * float(np.mean(packing.kept)),
        encode_images_per_s=float(np.median(1 / encode_s)),
        encode_mb_per_s=float(np.median(megabytes / encode_s)),
        decode_images_per_s=float(np.median(1 / decode_s)),
        decode_mb_per_s=float(np.median(megabytes / decode_s)),
        score_ms=score_ms,
        map_percent=map_percent,
        lost_map=exact_map_percent - map_percent,
    )
