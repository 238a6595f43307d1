"""TDSL behind the model protocol: photos to instances, typed words to vectors."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from glyphseek.errors import CheckpointDamaged, QueryError
from glyphseek.models.photo_threads import PhotoThreads
from glyphseek.models.precision import choose_precision, count_in_bfloat16
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.reading import find_words
from glyphseek.models.tdsl.sequences import ANY_CHARACTER, unit_vectors
from glyphseek.models.tdsl.settings import ALPHABET, TdslSettings
from glyphseek.queries import Term, TermKind
from glyphseek.types import (
    LETTER_STEP,
    Calibration,
    FeatureKind,
    FloatArray,
    ImageFeatures,
    Instances,
    LetterArray,
    LetterScale,
    ModelCard,
    Precision,
    RgbImage,
    TermFeatures,
)

PREFIX_GROWTHS = (0, 1, 2, 3, 4, 6, 8)
"""A prefix is tried as a word of so many characters more. Each is one more query vector, so that long ones are sampled:
stretched over T steps, words of 7 and of 8 more characters hardly differ."""


class TdslEncoder:
    """A trained TDSL network as the system uses it. Encoding is query-independent, one image at a time."""

    def __init__(
        self, network: Tdsl, card: ModelCard, *, device: str = "cpu", precision: Precision = "float32"
    ) -> None:
        self._network = fold_norms(network).to(device).to(memory_format=torch.channels_last)
        if choose_precision(precision, device) == "bfloat16":
            count_in_bfloat16((*self._network.convolutional_parts(), *self._network.recurrent_parts()))
        self._settings = network.settings
        self._device = torch.device(device)
        self._card = card
        self._threads = PhotoThreads(device)

    @property
    def card(self) -> ModelCard:
        """Return what the rest of the system must know of this model."""
        return self._card

    def prepare(self, image: RgbImage) -> RgbImage:
        """Return the image with its longer side at most the largest that the preset reads; see its `shrinks_by`."""
        height, width = image.shape[:2]
        scale = self._settings.prepared_longer_side / max(height, width)
        if scale >= 1:
            return image
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        way = cv2.INTER_LINEAR if self._settings.shrinks_by == "linear" and scale >= 0.5 else cv2.INTER_AREA
        return np.asarray(cv2.resize(image, size, interpolation=way), dtype=np.uint8)

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        """Return the words found in each prepared image: on a CPU several side by side, each as if it were alone."""
        return self._threads.map(self._encode_image, images)

    def encode_terms(self, terms: Sequence[Term]) -> list[TermFeatures]:
        """Return one variant for a word, and for a prefix one for every length of `PREFIX_GROWTHS`.

        Raises QueryError for a meaning query, a word too long, or one with a character outside the alphabet.
        """
        for term in terms:
            self._check(term)
        with torch.inference_mode():
            return [TermFeatures(vectors_VD=self._encode_term(term)) for term in terms]

    def _encode_image(self, image: RgbImage) -> ImageFeatures:
        pixels = torch.from_numpy(np.ascontiguousarray(image)).to(self._device).permute(2, 0, 1)
        found = find_words(self._network, pixels)
        instances = Instances(
            vectors_ND=to_numpy(found.vectors_ND),
            boxes_N4=to_numpy(found.boxes_N4),
            scores_N=to_numpy(found.scores_N),
            letters_NSA=None if self._card.letters is None else to_letters(found.letters_NSA),
        )
        return ImageFeatures(instances=instances)

    def _encode_term(self, term: Term) -> FloatArray:
        if term.kind is not TermKind.PREFIX:
            return to_numpy(unit_vectors(self._network.text_sequence([term.text])))
        lengths = [len(term.text) + growth for growth in PREFIX_GROWTHS]
        words = [term.text.ljust(length, ANY_CHARACTER) for length in lengths]
        return to_numpy(prefix_vectors(self._network.text_sequence(words), len(term.text), lengths))

    def _check(self, term: Term) -> None:
        if term.kind is TermKind.SEMANTIC:
            raise QueryError(
                f"model {self._card.name!r} reads letters and has no understanding of meaning: "
                f'~"{term.text}" cannot be answered; ask for words that are written in the photo'
            )
        if not 0 < len(term.text) <= self._card.max_query_characters:
            limit = self._card.max_query_characters
            raise QueryError(f"{term.text!r} has {len(term.text)} characters; this model reads 1 to {limit}")
        unknown = sorted(set(term.text) - set(ALPHABET))
        if unknown:
            raise QueryError(
                f"{term.text!r} has {', '.join(unknown)}, which this model cannot read; it knows a-z and 0-9"
            )


def fold_norms(network: Tdsl) -> Tdsl:
    """Return a copy for inference whose batch norms are part of the convolutions before them.

    Vectors differ by rounding (1e-5 at most over six photos); one core took 187 ms a photo instead of 202.
    """
    folded = copy.deepcopy(network).eval()
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            for place, (first, second) in enumerate(pairwise(list(module))):
                if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                    module[place], module[place + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
    return folded


def make_card(
    settings: TdslSettings,
    name: str,
    fingerprint: str,
    *,
    calibration: Calibration,
    letters: LetterScale | None = None,
) -> ModelCard:
    """Return the card of a TDSL model: what it stores, reads and refuses.

    Raises CheckpointDamaged unless there is a scale of letters exactly where the settings keep them.
    """
    if settings.keeps_letters != (letters is not None):
        raise CheckpointDamaged(f"{name} has {'no' if letters is None else 'a'} scale of letters: package it anew")
    return ModelCard(
        name=name,
        method="tdsl",
        fingerprint=fingerprint,
        vector_width=settings.vector_width,
        features=frozenset({FeatureKind.INSTANCES}),
        alphabet=ALPHABET,
        max_query_characters=settings.max_query_characters,
        understands_meaning=False,
        calibration=calibration,
        longer_side=settings.prepared_longer_side,
        letters=letters,
    )


def prefix_vectors(sequence_VTC: Tensor, known: int, lengths: Sequence[int]) -> Tensor:
    """Return (V, D) vectors that compare only the steps which the known characters cover.

    A word of L characters is stretched over T steps, so its first `known` characters own the first T * known / L.
    The other steps are zero. The kept part is scaled so that the inner product with a whole unit vector is about the
    cosine of the two parts: a part of share p of an even vector has norm sqrt(p).
    """
    steps = sequence_VTC.shape[1]
    vectors: list[Tensor] = []
    for sequence_TC, length in zip(sequence_VTC, lengths, strict=True):
        kept = max(1, round(steps * known / length))
        part = torch.tanh(sequence_TC).clone()
        part[kept:] = 0
        vectors.append(part.flatten() / part.norm() / (kept / steps) ** 0.5)
    return torch.stack(vectors)


def to_letters(logarithms_NSA: Tensor) -> LetterArray:
    """Return logarithms of probabilities as letters are kept: in steps of `LETTER_STEP`, from 0 to 255 of them."""
    steps = (logarithms_NSA.float() / -LETTER_STEP).round().clamp(0, 255)
    return steps.to(torch.uint8).cpu().numpy()


def to_numpy(tensor: Tensor) -> FloatArray:
    """Return the tensor as a float32 array in main memory."""
    return tensor.float().cpu().numpy().astype(np.float32, copy=False)
