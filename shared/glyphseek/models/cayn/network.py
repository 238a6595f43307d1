"""CAYN put together: a backbone, the position adapter and the match head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from glyphseek.models.cayn.backbone import Backbone
from glyphseek.models.cayn.head import MatchHead, match_features
from glyphseek.models.cayn.pfca import Found, attend
from glyphseek.models.cayn.settings import CaynSettings
from glyphseek.models.cayn.vpa import VisualPositionAdapter


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedImages:
    """B images in the joint space: global_BE of unit norm; local_BNE of unit norm unless the settings say raw.

    The grid is flattened row by row, N = H * W. Local tokens of padding are 0.
    """

    global_BE: Tensor
    local_BNE: Tensor
    is_padding_BN: Tensor

    def take(self, images_P: Tensor) -> EncodedImages:
        """Return the images of these indices."""
        return EncodedImages(
            global_BE=self.global_BE[images_P],
            local_BNE=self.local_BNE[images_P],
            is_padding_BN=self.is_padding_BN[images_P],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedTexts:
    """Q texts in the joint space: global_QE of unit norm; tokens_QTE as the text tower gives them, padding marked."""

    global_QE: Tensor
    tokens_QTE: Tensor
    is_padding_QT: Tensor

    def take(self, texts_P: Tensor) -> EncodedTexts:
        """Return the texts of these indices."""
        return EncodedTexts(
            global_QE=self.global_QE[texts_P],
            tokens_QTE=self.tokens_QTE[texts_P],
            is_padding_QT=self.is_padding_QT[texts_P],
        )


class Cayn(nn.Module):
    """A backbone with the little that the paper trains: adapter and head. The backbone is frozen until told otherwise.

    A frozen backbone stays in inference mode under `train()`, so that its batch norms keep their statistics.
    """

    def __init__(self, settings: CaynSettings, backbone: Backbone) -> None:
        super().__init__()
        self.settings = settings
        self.backbone = backbone
        self.vpa: VisualPositionAdapter | None = None
        if settings.vpa != "off":
            width = backbone.token_width if settings.vpa == "tokens" else backbone.joint_width
            self.vpa = VisualPositionAdapter(width, settings.vpa_reduction, settings.vpa_form)
        self.head = MatchHead(backbone.joint_width, settings.findings) if settings.head != "none" else None
        self.backbone.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Cayn:
        """Set the mode of adapter and head, and of the backbone where any of it is trained."""
        super().train(mode)
        self.backbone.train(mode and any(p.requires_grad for p in self.backbone.parameters()))
        return self

    @property
    def contrast_scale(self) -> Tensor:
        """Return exp(logit_scale), by which cosines are multiplied in the contrastive loss."""
        return self.backbone.logit_scale.exp()

    @property
    def attention_scale(self) -> Tensor | float:
        """Return 1 / tau of the cross attention."""
        return self.contrast_scale if self.settings.attention_scale is None else self.settings.attention_scale

    def encode_images(self, images_B3HW: Tensor, is_padding_BHW_pixels: Tensor) -> EncodedImages:
        """Return images, RGB in [0, 1] at a size that `backbone` takes, in the joint space."""
        return self.encode_tokens(*self.backbone.image_tokens(images_B3HW, is_padding_BHW_pixels))

    def encode_tokens(self, tokens_BHWC: Tensor, is_padding_BHW: Tensor, *, compact: bool = False) -> EncodedImages:
        """Return images given as the backbone's tokens: all that depends on the adapter.

        With `compact` tokens that count for nothing may be left out, and the grid is lost.
        """
        if self.vpa is not None and self.settings.vpa == "tokens":
            tokens_BHWC = clear_padding(self.vpa(tokens_BHWC, is_padding_BHW), is_padding_BHW)
        if compact:
            tokens_BHWC, is_padding_BHW = self.backbone.compact(tokens_BHWC, is_padding_BHW)
        global_BE, local_BHWE = self.backbone.pool(tokens_BHWC, is_padding_BHW)
        if self.vpa is not None and self.settings.vpa == "local":
            local_BHWE = clear_padding(self.vpa(local_BHWE, is_padding_BHW), is_padding_BHW)
        return EncodedImages(
            global_BE=functional.normalize(global_BE, dim=-1),
            local_BNE=self.as_keys(local_BHWE.flatten(1, 2)),
            is_padding_BN=is_padding_BHW.flatten(1),
        )

    def encode_texts(self, texts: Sequence[str]) -> EncodedTexts:
        """Return the texts, put into the prompt, in the joint space. Raises QueryError for one that is too long."""
        prompted = [self.settings.prompt.replace("{}", text) for text in texts]
        global_QE, tokens_QTE, is_padding_QT = self.backbone.encode_text(prompted)
        return EncodedTexts(
            global_QE=functional.normalize(global_QE, dim=-1), tokens_QTE=tokens_QTE, is_padding_QT=is_padding_QT
        )

    def as_keys(self, tokens_PNE: Tensor) -> Tensor:
        """Return local tokens as cross attention reads them: of unit norm unless the settings say raw."""
        return functional.normalize(tokens_PNE, dim=-1) if self.settings.normalised_tokens else tokens_PNE

    def look_at_images(self, texts: EncodedTexts, images: EncodedImages) -> Found:
        """Return what each text finds in the image of its pair; its attention is the map of where the word stands."""
        whole = self.settings.text_query == "global"
        return attend(
            texts.global_QE[:, None] if whole else texts.tokens_QTE,
            images.local_BNE,
            images.is_padding_BN,
            self.attention_scale,
            is_padding_PS=None if whole else texts.is_padding_QT,
        )

    def look_at_texts(self, texts: EncodedTexts, images: EncodedImages) -> Found:
        """Return what each image's global vector finds among the tokens of the text of its pair."""
        keys_PTE = self.as_keys(texts.tokens_QTE)
        return attend(images.global_BE[:, None], keys_PTE, texts.is_padding_QT, self.attention_scale)

    def match(self, texts: EncodedTexts, images: EncodedImages) -> Tensor:
        """Return logits_P2 of P pairs: row p of `texts` with row p of `images`. Needs a model with a head."""
        found_PE = self.look_at_images(texts, images).values_PE
        other_PE = self.look_at_texts(texts, images).values_PE if self.settings.directions == "both" else None
        return self.judge(found_PE, texts.global_QE, other_PE, images.global_BE)

    def judge(self, found_PE: Tensor, texts_PE: Tensor, other_PE: Tensor | None, images_PE: Tensor) -> Tensor:
        """Return logits_P2 from what the text found in the image and what the image found in the text."""
        form = self.settings.head_input
        if self.head is None or form is None:
            raise ValueError("a model without a head has no logits; its score is the softmax-pooled cosine")
        features = [match_features(found_PE, texts_PE, form)]
        if other_PE is not None:
            features.append(match_features(other_PE, images_PE, form))
        return self.head(torch.cat(features, -1))


def clear_padding(tokens_BHWC: Tensor, is_padding_BHW: Tensor) -> Tensor:
    """Return the tokens with zeros where there is padding."""
    return tokens_BHWC.masked_fill(is_padding_BHW[..., None], 0)
