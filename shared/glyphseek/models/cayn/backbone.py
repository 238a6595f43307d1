"""What CAYN asks of a CLIP-like network, whoever trained it.

Shape legend: B images, (H, W) token grid, C token width before pooling, E width of the space that images and texts
share, Q texts, T text tokens.

One image is `backbone.pool(adapter(tokens), is_padding)` over `backbone.image_tokens(pixels)`: all that does not depend
on the adapter lies before it, so that the tokens of a frozen trunk may be cached.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """A two-tower network whose image tower is cut in two: pixels to tokens, and tokens to one vector.

    Padding lies right of and below an image (see `letterbox`). The results of an image are the same whatever padding
    it has and whichever images share its batch, within 1e-4 of its vectors' norm.
    """

    name: str
    """The architecture, such as `RN50`."""
    token_width: int
    """C, the width of the tokens that `image_tokens` returns."""
    joint_width: int
    """E, the width of the space in which images and texts are compared."""
    longer_side: int
    """Pixels along the longer side of an image at which the model is meant to read; any other size works."""
    stride: int
    """Pixels of an image along one side of a token."""
    pixel_multiple: int
    """Heights and widths of batches are multiples of this; at least the stride."""
    understands_meaning: bool
    """Whether the text tower learned what words mean, not only how they are spelt."""
    logit_scale: Tensor
    """Scalar, a logarithm: cosines are multiplied by exp(logit_scale) in the contrastive loss. 1 / exp is tau."""

    @abstractmethod
    def image_tokens(self, images_B3HW: Tensor, is_padding_BHW_pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens_BHWC without positions, and is_padding_BHW (bool): "Img2Tokens", all before the pooling.

        `images_B3HW` are RGB in [0, 1]; the backbone normalises them with its own mean and deviation. Height and width
        are multiples of `pixel_multiple`. A token is padding when every pixel of its cell is. Tokens of padding are 0.

        Raises SettingError for another height or width, or padding that is not right of and below the image.
        """

    @abstractmethod
    def pool(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return global_BE and local_BHWE, both in the joint space and not normalised; local tokens of padding are 0.

        Position tables are resized to the part of the grid that the image covers. Padding takes no part.
        """

    @abstractmethod
    def encode_text(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Return global_QE, tokens_QTE (the same projection of every token) and is_padding_QT (bool), not normalised.

        Raises QueryError for a text of more tokens than the text tower reads.
        """

    def compact(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens and padding for `pool` without those that count for nothing, on another grid, or as they are.

        Training takes its vectors from this; what is stored keeps the grid.
        """
        return tokens_BHWC, is_padding_BHW

    def trainable_attention(self) -> nn.Module | None:
        """Return the part of the pool that decides what counts for the global vector, None where it stays as it is.

        Training it changes no local token. A published pool was trained on whole images and is kept.
        """
        return None

    def text_likelihood(self, tokens_BHWC: Tensor) -> Tensor:
        """Return, in (B, H, W), how likely each token shows text, in [0, 1]: ones unless the backbone can tell."""
        return tokens_BHWC.new_ones(tokens_BHWC.shape[:3])
