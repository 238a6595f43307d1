"""What a model is."""

from __future__ import annotations

import re

from glyphseek.api.v1 import types_pb2 as pb
from glyphseek.errors import InputError
from glyphseek.types import Calibration, FeatureKind, Fusion, LetterScale, ModelCard

_FINGERPRINT = re.compile(r"[0-9a-f]{32}")


def encode_card(card: ModelCard) -> pb.ModelCard:
    """Return the card."""
    return pb.ModelCard(
        name=card.name,
        method=card.method,
        fingerprint=card.fingerprint,
        vector_width=card.vector_width,
        features=sorted(card.features),
        alphabet=card.alphabet,
        max_query_characters=card.max_query_characters,
        understands_meaning=card.understands_meaning,
        calibration=_encode_calibration(card.calibration),
        longer_side=card.longer_side,
        rerank_calibration=None if card.rerank_calibration is None else _encode_calibration(card.rerank_calibration),
        fusion=card.fusion,
        asks_whole_text=card.asks_whole_text,
        rerank_depth=card.rerank_depth,
        letters=None if card.letters is None else pb.LetterScale(slope=card.letters.slope, offset=card.letters.offset),
    )


def decode_card(message: pb.ModelCard) -> ModelCard:
    """Return the card. Raises InputError for a fingerprint, feature or fusion that is none."""
    if not _FINGERPRINT.fullmatch(message.fingerprint):
        raise InputError(f"the model's fingerprint is {message.fingerprint!r}, it must be 32 hexadecimal digits")
    try:
        features = frozenset(FeatureKind(one) for one in message.features)
        fusion = Fusion(message.fusion)
    except ValueError as error:
        raise InputError(f"the card of model {message.name!r} cannot be read: {error}") from error
    has_rerank = message.HasField("rerank_calibration")
    return ModelCard(
        name=message.name,
        method=message.method,
        fingerprint=message.fingerprint,
        vector_width=message.vector_width,
        features=features,
        alphabet=message.alphabet,
        max_query_characters=message.max_query_characters,
        understands_meaning=message.understands_meaning,
        calibration=_decode_calibration(message.calibration),
        longer_side=message.longer_side if message.HasField("longer_side") else None,
        rerank_calibration=_decode_calibration(message.rerank_calibration) if has_rerank else None,
        fusion=fusion,
        asks_whole_text=message.asks_whole_text,
        rerank_depth=message.rerank_depth if message.HasField("rerank_depth") else None,
        letters=_decode_letters(message.letters) if message.HasField("letters") else None,
    )


def _decode_letters(message: pb.LetterScale) -> LetterScale:
    return LetterScale(slope=message.slope, offset=message.offset)


def _encode_calibration(calibration: Calibration) -> pb.Calibration:
    return pb.Calibration(slope=calibration.slope, offset=calibration.offset, threshold=calibration.threshold)


def _decode_calibration(message: pb.Calibration) -> Calibration:
    return Calibration(slope=message.slope, offset=message.offset, threshold=message.threshold)
