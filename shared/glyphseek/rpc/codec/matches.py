"""What answers a query in one image."""

from __future__ import annotations

from glyphseek.api.v1 import types_pb2 as pb
from glyphseek.ranking import TermMatch


def encode_term_match(match: TermMatch) -> pb.TermMatch:
    """Return what answers one word."""
    return pb.TermMatch(
        term=match.term,
        similarity=match.similarity,
        instance=match.instance,
        box=None if match.box is None else encode_box(match.box),
    )


def decode_term_match(message: pb.TermMatch) -> TermMatch:
    """Return what answers one word."""
    return TermMatch(
        term=message.term,
        similarity=message.similarity,
        instance=message.instance if message.HasField("instance") else None,
        box=decode_box(message.box) if message.HasField("box") else None,
    )


def encode_box(box: tuple[float, float, float, float]) -> pb.Box:
    """Return left, top, right, bottom."""
    left, top, right, bottom = box
    return pb.Box(left=left, top=top, right=right, bottom=bottom)


def decode_box(message: pb.Box) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom."""
    return message.left, message.top, message.right, message.bottom
