"""The small CLIP of word regions as CAYN uses it.

A token is what is written in a cell: the trunk finds words and reads each one from its box, and the cell that holds the
middle of a word gets its vector, or the nearest free one where a surer word is there already. So no word is left out
while there are cells. Cells without a word are zero. Trunk and text tower learn from words with boxes (the renderer's),
as a TDSL does; all that CAYN adds after them learns from photos and their words alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from glyphseek.errors import QueryError, SettingError
from glyphseek.models.cayn.backbone import Backbone
from glyphseek.models.cayn.pool import TextPool, text_logits, with_text_logits
from glyphseek.models.cayn.regions.settings import RegionSettings
from glyphseek.models.tdsl.network import Tdsl
from glyphseek.models.tdsl.reading import FoundWords, find_words
from glyphseek.models.tdsl.sequences import unit_vectors
from glyphseek.models.tdsl.settings import ALPHABET

FIRST_TEMPERATURE = 0.05
NO_TEXT_LOGIT = -8.0
"""Of a cell without a word."""


class RegionClip(Backbone):
    """Words found and read by a TDSL trunk, on a grid; texts by its text tower. It reads and knows no meaning."""

    def __init__(self, settings: RegionSettings) -> None:
        super().__init__()
        self.settings = settings
        self.name = "regions"
        self.joint_width = settings.reader.vector_width
        self.token_width = self.joint_width + 1
        self.longer_side = settings.longer_side
        self.stride = self.pixel_multiple = settings.cell
        self.understands_meaning = False
        self.reader = Tdsl(settings.reader)
        self.attention_pool = TextPool(self.token_width, self.joint_width, settings.heads, keeps_tokens=True)
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(FIRST_TEMPERATURE)))

    def image_tokens(self, images_B3HW: Tensor, is_padding_BHW_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the words of every cell, (B, H, W, C), and whether the cell is padding; each image is read by itself.

        Raises SettingError for sides that do not divide by `pixel_multiple`.
        """
        height, width = images_B3HW.shape[-2:]
        if height % self.stride or width % self.stride:
            raise SettingError(f"images of {width} x {height} px; both must divide by {self.stride}")
        is_content = (~is_padding_BHW_pixels).float()[:, None]
        is_padding_BHW = nn.functional.max_pool2d(is_content, self.stride)[:, 0] == 0
        tokens: list[Tensor] = []
        for pixels, is_padding in zip(images_B3HW, is_padding_BHW_pixels, strict=True):
            rows, columns = int((~is_padding).any(1).sum()), int((~is_padding).any(0).sum())
            found = find_words(self.reader, 255 * pixels[:, :rows, :columns])
            tokens.append(self._lay(found, (rows, columns), (height // self.stride, width // self.stride)))
        return torch.stack(tokens) * ~is_padding_BHW[..., None], is_padding_BHW

    def pool(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return global_BE and local_BHWE, not normalised; local tokens of padding and of empty cells are 0."""
        batch, rows, columns, _ = tokens_BHWC.shape
        flat, is_padding = tokens_BHWC.flatten(1, 2), is_padding_BHW.flatten(1)
        local = self.attention_pool.local(flat) * ~is_padding[..., None]
        return self.attention_pool(flat, is_padding), local.view(batch, rows, columns, -1)

    def encode_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return global_QE, tokens_QTE and is_padding_QT. Spaces are left out: `exit only` is looked for as `exitonly`.

        A text has T tokens, the steps along it; each is the step's share of the vector, and they add up to it. Raises
        QueryError for a character other than a-z and 0-9, and for more than the reader's `max_query_characters`.
        """
        words = [text.replace(" ", "") for text in texts]
        for text, word in zip(texts, words, strict=True):
            self._check(text, word)
        sequence_QTC = self.reader.text_sequence(words)
        global_QE = unit_vectors(sequence_QTC)
        steps = sequence_QTC.shape[1]
        own_TT = torch.eye(steps, device=global_QE.device)
        tokens_QTE = (own_TT[None, :, :, None] * global_QE.view(len(words), 1, steps, -1)).flatten(2)
        return global_QE, tokens_QTE, torch.zeros(len(words), steps, dtype=torch.bool, device=global_QE.device)

    def compact(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the words of each image as one row of tokens (B, 1, N, C); an image without any keeps one cell."""
        is_word_BN = (tokens_BHWC[..., :-1] != 0).any(-1).flatten(1)
        count = max(1, int(is_word_BN.sum(1).max()))
        order_BN = torch.argsort(is_word_BN.int(), dim=1, descending=True, stable=True)[:, :count]
        kept = tokens_BHWC.flatten(1, 2).gather(1, order_BN[..., None].expand(-1, -1, self.token_width))
        is_padding = ~is_word_BN.gather(1, order_BN)
        is_padding[:, 0] = False
        return kept[:, None], is_padding[:, None]

    def trainable_attention(self) -> nn.Module:
        """Return the attention of the pool: no earlier stage has trained it."""
        return self.attention_pool.attention

    def text_likelihood(self, tokens_BHWC: Tensor) -> Tensor:
        """Return in (B, H, W) how sure the trunk is of the word of each cell, in [0, 1]; about 0 without one."""
        return text_logits(tokens_BHWC).sigmoid()

    def _lay(self, found: FoundWords, size: tuple[int, int], grid: tuple[int, int]) -> Tensor:
        """Return tokens (H, W, C): each word in the cell of its middle, or in the nearest one that is not taken.

        The surest word chooses first. Words beyond the cells of the image's own part of the grid are left out.
        """
        tokens_HWC = with_text_logits(
            found.vectors_ND.new_zeros(*grid, self.joint_width), found.scores_N.new_full(grid, NO_TEXT_LOGIT)
        )
        middles_N2 = (found.boxes_N4[:, [1, 0]] + found.boxes_N4[:, [3, 2]]) / 2
        places_N2 = middles_N2.cpu() * torch.tensor(size) / self.stride
        cells = choose_cells(places_N2, math.ceil(size[0] / self.stride), math.ceil(size[1] / self.stride))
        words_NC = with_text_logits(found.vectors_ND, torch.logit(found.scores_N, 1e-3))
        for (row, column), word_C in zip(cells, words_NC, strict=False):
            tokens_HWC[row, column] = word_C
        return tokens_HWC

    def _check(self, text: str, word: str) -> None:
        limit = self.settings.reader.max_query_characters
        if not 0 < len(word) <= limit:
            raise QueryError(f"{text!r} has {len(word)} characters; this model reads 1 to {limit}")
        if unknown := sorted(set(word) - set(ALPHABET)):
            raise QueryError(f"{text!r} has {', '.join(unknown)}, which this model cannot read; it knows a-z and 0-9")


def choose_cells(places_N2: Tensor, rows: int, columns: int) -> list[tuple[int, int]]:
    """Return the row and column of a cell of its own for each place (row and column, in cells), as many as there are.

    One after the other takes the free cell whose middle is nearest.
    """
    middles_M2 = torch.cartesian_prod(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5)
    is_taken_M = torch.zeros(len(middles_M2), dtype=torch.bool)
    cells: list[tuple[int, int]] = []
    for distances_M in torch.cdist(places_N2, middles_M2)[: len(middles_M2)]:
        cell = int(distances_M.masked_fill(is_taken_M, torch.inf).argmin())
        is_taken_M[cell] = True
        cells.append((cell // columns, cell % columns))
    return cells
