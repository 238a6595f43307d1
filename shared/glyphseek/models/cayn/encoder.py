"""CAYN behind the model protocol: photos to one vector and a token map, typed words to a vector and text tokens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import cv2
import numpy as np
import torch
from torch import Tensor

from glyphseek.errors import QueryError
from glyphseek.models.cayn.letterbox import letterbox, round_up
from glyphseek.models.cayn.network import Cayn
from glyphseek.models.cayn.scorer import MapScorer
from glyphseek.models.photo_threads import PhotoThreads
from glyphseek.queries import Term, TermKind
from glyphseek.tokens import PackedTokens, TokenCodebook
from glyphseek.types import (
    Calibration,
    FeatureKind,
    FloatArray,
    ImageFeatures,
    MapScores,
    ModelCard,
    RgbImage,
    TermFeatures,
    TokenMap,
)

MOST_PIXELS = 4 << 20
"""Images of one shape are encoded together up to this many pixels."""


WHOLE_CELLS = 8
"""Sides of fewer cells than this keep their length, and the last cell is partly padding."""


class CaynEncoder:
    """A CAYN network as the system uses it. Encoding an image does not depend on any query."""

    def __init__(
        self, network: Cayn, card: ModelCard, *, codebook: TokenCodebook | None = None, device: str = "cpu"
    ) -> None:
        self._network = network.eval().to(device).requires_grad_(False)
        self._settings = network.settings
        self._device = torch.device(device)
        self._card = card
        self._codebook = codebook
        self._threads = PhotoThreads(device)

    @property
    def card(self) -> ModelCard:
        """Return what the rest of the system must know of this model."""
        return self._card

    def prepare(self, image: RgbImage) -> RgbImage:
        """Return the image with its longer side at most the settings', by area averaging."""
        return shrink(image, self._settings.longer_side, self._network.backbone.stride)

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        """Return for each prepared image its vector of unit norm and the token map of its own part of the grid.

        On a CPU several are encoded side by side, each as if it were alone; on other devices those of one padded shape
        together, so that nobody is padded for the sake of another.
        """
        groups = self._group(images)
        encoded = self._threads.map(lambda group: self._encode_group([images[i] for i in group]), groups)
        features = dict(zip(chain.from_iterable(groups), chain.from_iterable(encoded), strict=True))
        return [features[i] for i in range(len(images))]

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        """Return for each term one vector of unit norm (1, E) and its text tokens (T, E).

        Raises QueryError for a prefix, for a meaning query where the text tower knows no meaning, and for text that is
        too long or has characters outside the model's alphabet.
        """
        for term in terms:
            self._check(term)
        with torch.inference_mode():
            return [self._encode_text(term.text) for term in terms]

    @property
    def codebook(self) -> TokenCodebook | None:
        """Return what packs and opens this model's token maps beyond plain codecs."""
        return self._codebook

    def score_maps(
        self, terms: Sequence[TermFeatures], maps: Sequence[PackedTokens], *, with_attention: bool
    ) -> MapScores:
        """Return the match probabilities of T terms and K maps, and on request where each term was looked for.

        Raises InputError for maps without a global vector, or for terms without text tokens where they are attended.
        """
        with torch.inference_mode():
            scorer = MapScorer(self._network, maps, self._card.calibration)
            return scorer.score(terms, with_attention=with_attention)

    def _group(self, images: Sequence[RgbImage]) -> list[list[int]]:
        if self._device.type == "cpu":
            return [[i] for i in range(len(images))]
        return group_by_shape(images, self._network.backbone.pixel_multiple)

    def _encode_group(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        network = self._network
        pixels, is_padding = letterbox(images, multiple=network.backbone.pixel_multiple)
        tokens_BHWC, is_padding_BHW = network.backbone.image_tokens(
            pixels.to(self._device), is_padding.to(self._device)
        )
        likelihood_BHW = network.backbone.text_likelihood(tokens_BHWC)
        encoded = network.encode_tokens(tokens_BHWC, is_padding_BHW)
        local_BHWE = encoded.local_BNE.unflatten(1, tokens_BHWC.shape[1:3])
        features: list[ImageFeatures] = []
        for index in range(len(images)):
            rows, columns = content_size(is_padding_BHW[index])
            token_map = TokenMap(
                tokens_HWE=to_numpy(local_BHWE[index, :rows, :columns]),
                text_likelihood_HW=to_numpy(likelihood_BHW[index, :rows, :columns]),
            )
            features.append(ImageFeatures(global_vector_D=to_numpy(encoded.global_BE[index]), token_map=token_map))
        return features

    def _encode_text(self, text: str) -> TermFeatures:
        encoded = self._network.encode_texts([text])
        tokens_TE = encoded.tokens_QTE[0, ~encoded.is_padding_QT[0]]
        return TermFeatures(vectors_VD=to_numpy(encoded.global_QE), tokens_TE=to_numpy(tokens_TE))

    def _check(self, term: Term) -> None:
        name, limit = self._card.name, self._card.max_query_characters
        if term.kind is TermKind.SEMANTIC and not self._card.understands_meaning:
            raise QueryError(
                f"model {name!r} reads letters and has no understanding of meaning: "
                f'~"{term.text}" cannot be answered; ask for words that are written in the photo'
            )
        if term.kind is TermKind.PREFIX:
            raise QueryError(
                f"model {name!r} compares whole words and cannot look for those that start with {term.text!r}; "
                "ask for the whole word"
            )
        if not 0 < len(term.text) <= limit:
            raise QueryError(f"{term.text!r} has {len(term.text)} characters; this model reads 1 to {limit}")
        unknown = sorted(set(term.text) - set(self._card.alphabet) - {" "})
        if unknown:
            raise QueryError(
                f"{term.text!r} has {', '.join(unknown)}, which this model cannot read; it knows a-z and 0-9"
            )


def make_card(
    network: Cayn,
    name: str,
    fingerprint: str,
    *,
    calibration: Calibration,
    rerank_calibration: Calibration | None = None,
    rerank_depth: int | None = None,
) -> ModelCard:
    """Return the card of a CAYN model: what it stores, reads and refuses."""
    settings = network.settings
    return ModelCard(
        name=name,
        method="cayn",
        fingerprint=fingerprint,
        vector_width=network.backbone.joint_width,
        features=frozenset({FeatureKind.GLOBAL, FeatureKind.TOKENS}),
        alphabet=settings.alphabet,
        max_query_characters=settings.max_query_characters,
        understands_meaning=network.backbone.understands_meaning,
        calibration=calibration,
        longer_side=settings.longer_side,
        rerank_calibration=rerank_calibration,
        fusion=settings.fusion,
        asks_whole_text=settings.several_words == "whole",
        rerank_depth=rerank_depth,
    )


def shrink(image: RgbImage, longer_side: int, cell: int) -> RgbImage:
    """Return the image with its longer side at most that, by area averaging; a smaller one about as it is.

    A side of `WHOLE_CELLS` cells or more is cut down to whole cells of the token map, so that the map covers the image
    evenly: cells stand for places in the image by their fraction of the map. That bends the image by 1 / 8 at most.
    """
    height, width = image.shape[:2]
    scale = min(1.0, longer_side / max(height, width))
    size = (whole_cells(width * scale, cell), whole_cells(height * scale, cell))
    if size == (width, height):
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def whole_cells(side: float, cell: int) -> int:
    """Return the side in pixels, cut to whole cells where it has at least `WHOLE_CELLS` of them."""
    return int(side / cell + 1e-6) * cell if side >= WHOLE_CELLS * cell else max(1, round(side))


def group_by_shape(images: Sequence[RgbImage], multiple: int) -> list[list[int]]:
    """Return the places of the images in groups that share one padded shape, none of more than `MOST_PIXELS`."""
    groups: dict[tuple[int, int], list[list[int]]] = {}
    for index, image in enumerate(images):
        shape = (round_up(image.shape[0], multiple), round_up(image.shape[1], multiple))
        members = groups.setdefault(shape, [[]])
        if (len(members[-1]) + 1) * shape[0] * shape[1] > MOST_PIXELS and members[-1]:
            members.append([])
        members[-1].append(index)
    return [group for members in groups.values() for group in members]


def content_size(is_padding_HW: Tensor) -> tuple[int, int]:
    """Return the rows and columns of the part of a grid that is not padding; it begins at the top left."""
    return int((~is_padding_HW).any(1).sum()), int((~is_padding_HW).any(0).sum())


def to_numpy(tensor: Tensor) -> FloatArray:
    """Return the tensor as a contiguous float32 array in main memory."""
    return np.ascontiguousarray(tensor.float().cpu().numpy())
