"""CLIP's text towers: words to one vector, and to one vector for each of their tokens.

Shape legend: Q texts, T tokens of the longest text, E joint width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import cast

import torch
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer, canonicalize_text
from open_clip.transformer import TextTransformer, Transformer
from tokenizers import Tokenizer
from torch import Tensor, nn

from glyphseek.errors import CheckpointDamaged, ModelNotFound, QueryError

SIGLIP_END = 1
"""SigLIP ends a text with this token and fills the rest of its context with it."""


class TextTower(nn.Module, ABC):
    """A text encoder with its tokenizer."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return global_QE, tokens_QTE and is_padding_QT of at least one text, not normalised.

        Raises QueryError for a text of more tokens than the tower reads.
        """


class ClipTextTower(TextTower):
    """OpenAI's tower: byte-pair codes, causal attention, read out at the end token."""

    def __init__(self, clip: CLIP) -> None:
        super().__init__()
        self.context = cast(int, clip.context_length)
        self.token_embedding = cast(nn.Embedding, clip.token_embedding)
        self.positional_embedding = cast(nn.Parameter, clip.positional_embedding)
        self.transformer = cast(Transformer, clip.transformer)
        self.ln_final = cast(nn.Module, clip.ln_final)
        self.text_projection = cast(nn.Parameter, clip.text_projection)
        self.attn_mask: Tensor
        self.register_buffer("attn_mask", cast(Tensor, clip.attn_mask), persistent=False)

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return each text at its end token, every token, and what comes after the end token.

        No token sees a later one, so that the context is cut at the longest text: much faster, the same result.
        """
        ids_QT, is_padding_QT = self.tokenize(texts)
        length = ids_QT.shape[1]
        x = self.token_embedding(ids_QT) + self.positional_embedding[:length]
        x = self.transformer(x, attn_mask=self.attn_mask[:length, :length])
        tokens_QTE = self.ln_final(x) @ self.text_projection
        ends_Q = (~is_padding_QT).sum(dim=1) - 1
        return tokens_QTE[torch.arange(len(texts), device=x.device), ends_Q], tokens_QTE, is_padding_QT

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids_QT, start and end token included, 0 after the end, and is_padding_QT. Raises QueryError."""
        tokenizer = _byte_pairs()
        framed = [[tokenizer.sot_token_id, *tokenizer.encode(text), tokenizer.eot_token_id] for text in texts]
        _check_lengths(texts, framed, self.context)
        return _stack_ids(framed, max(map(len, framed)), fill=0, device=self.positional_embedding.device)


class SiglipTextTower(TextTower):
    """SigLIP's tower: sentence pieces, attention both ways over the whole context, read out at its last place."""

    def __init__(self, tower: TextTransformer, tokenizer_file: Path) -> None:
        super().__init__()
        self.tower = tower
        self.tokenizer_file = tokenizer_file

    def encode(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return each text at the last place of the context, every token, and what fills the context."""
        ids_QT, is_padding_QT = self.tokenize(texts)
        x = self.tower.token_embedding(ids_QT) + self.tower.positional_embedding
        x = self.tower.ln_final(self.tower.transformer(x))
        tokens_QTE = cast(nn.Linear, self.tower.text_projection)(x)
        longest = int((~is_padding_QT).sum(dim=1).max())
        return tokens_QTE[:, -1], tokens_QTE[:, :longest], is_padding_QT[:, :longest]

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Return ids_QT over the whole context, filled with the end token, and is_padding_QT (after the first end).

        Raises QueryError, or ModelNotFound when there is no tokenizer.
        """
        pieces = [_sentence_pieces(self.tokenizer_file).encode(canonicalize_text(text)).ids for text in texts]
        framed = [ids if ids and ids[-1] == SIGLIP_END else [*ids, SIGLIP_END] for ids in pieces]
        context = int(self.tower.context_length)
        _check_lengths(texts, framed, context)
        return _stack_ids(framed, context, fill=SIGLIP_END, device=self.tower.positional_embedding.device)


def _check_lengths(texts: Sequence[str], framed: Sequence[Sequence[int]], most: int) -> None:
    for text, ids in zip(texts, framed, strict=True):
        if len(ids) > most:
            raise QueryError(f"{text[:40]!r}... is {len(ids)} tokens long, the model reads at most {most}")


def _stack_ids(
    framed: Sequence[Sequence[int]], length: int, *, fill: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    ids_QT = torch.full((len(framed), length), fill, device=device)
    is_padding_QT = torch.ones(len(framed), length, dtype=torch.bool, device=device)
    for row, ids in enumerate(framed):
        ids_QT[row, : len(ids)] = torch.tensor(ids, device=device)
        is_padding_QT[row, : len(ids)] = False
    return ids_QT, is_padding_QT


@cache
def _byte_pairs() -> SimpleTokenizer:
    """Return CLIP's tokenizer, whose table comes with open_clip."""
    return SimpleTokenizer()


@cache
def _sentence_pieces(file: Path) -> Tokenizer:
    """Return the tokenizer of a `tokenizer.json`. Raises ModelNotFound or CheckpointDamaged."""
    if not file.is_file():
        raise ModelNotFound(f"SigLIP reads no text without its tokenizer: {file} is missing")
    text = file.read_text(encoding="utf-8")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:
        raise CheckpointDamaged(f"{file} is not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
