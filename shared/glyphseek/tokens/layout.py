"""What one blob holds, and where in its payload each part lies."""

from __future__ import annotations

from dataclasses import dataclass, field

from glyphseek.tokens.codecs import CODECS, CodecName

VERSION = 3
"""The version that is written; the earlier ones are still read."""
HEADER_BYTES = {1: 48, 2: 80, VERSION: 80}
"""Length of the header by version; the payload starts there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobHeader:
    """What one blob holds. A kind of feature that is absent has None in place of its shape.

    global_width: D. instances_shape: (N, D). letters_shape: (S, A) of each instance. tokens_shape: (H, W, E), E the
    model's token width. stored_width: of a token in the blob, None without tokens. kept_tokens: how many tokens of the
    map are stored, None for all of them. has_likelihood: whether the map's text likelihood is stored; it is 1
    everywhere otherwise. codebook: fingerprint of the codebook that the tokens need, None for none. Widths and map
    sides are at most 65,535. `fingerprint` is the model's; both fingerprints are 32 hex digits in lower case.
    """

    codec: CodecName
    fingerprint: str
    global_width: int | None
    instances_shape: tuple[int, int] | None
    letters_shape: tuple[int, int] | None = None
    tokens_shape: tuple[int, int, int] | None
    stored_width: int | None = None
    kept_tokens: int | None = None
    has_likelihood: bool = False
    codebook: str | None = None
    version: int = VERSION
    sections: Sections = field(init=False, compare=False, repr=False)
    """Where the parts lie in the blob; found once, since every reader of a blob needs it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sections", locate(self))

    @property
    def cells(self) -> int:
        """Return how many cells the token map has, 0 without one."""
        return 0 if self.tokens_shape is None else self.tokens_shape[0] * self.tokens_shape[1]

    @property
    def stored_tokens(self) -> int:
        """Return how many tokens the blob holds."""
        return self.cells if self.kept_tokens is None else self.kept_tokens

    @property
    def payload_bytes(self) -> int:
        """Return the exact length of the payload that these shapes need."""
        return self.sections.end - HEADER_BYTES[self.version]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The bytes of each part of a blob, empty for a part that it does not hold; `end` is the length of the blob."""

    tokens: slice
    likelihood: slice
    mask: slice
    global_vector: slice
    boxes: slice
    scores: slice
    instance_vectors: slice
    letters: slice
    end: int


def locate(header: BlobHeader) -> Sections:
    """Return where the parts of a blob with this header lie.

    Version 2 begins with the tokens, so that scales and halves in them are aligned; version 1 ended with them. Letters
    came with version 3.
    """
    codec, tokens = CODECS[header.codec], header.stored_tokens
    instances, width = header.instances_shape or (0, 0)
    token_bytes = codec.token_bytes(tokens, header.stored_width or 0)
    likelihood_bytes = (4 if header.version == 1 else 1) * tokens * header.has_likelihood
    mask_bytes = 0 if header.kept_tokens is None else -(-header.cells // 8)
    global_bytes = 0 if header.global_width is None else codec.vectors.size(1, header.global_width)
    columns, signs = header.letters_shape or (0, 0)
    vector_bytes = (
        global_bytes,
        16 * instances,
        4 * instances,
        codec.vectors.size(instances, width),
        instances * columns * signs,
    )
    start = HEADER_BYTES[header.version]
    if header.version == 1:
        vector, boxes, scores, vectors, letters, mask, likelihood, codes = _lay(
            start, *vector_bytes, mask_bytes, likelihood_bytes, token_bytes
        )
    else:
        codes, likelihood, mask, vector, boxes, scores, vectors, letters = _lay(
            start, token_bytes, likelihood_bytes, mask_bytes, *vector_bytes
        )
    return Sections(
        tokens=codes,
        likelihood=likelihood,
        mask=mask,
        global_vector=vector,
        boxes=boxes,
        scores=scores,
        instance_vectors=vectors,
        letters=letters,
        end=start + token_bytes + likelihood_bytes + mask_bytes + sum(vector_bytes),
    )


def _lay(start: int, *sizes: int) -> list[slice]:
    """Return slices of these sizes, one behind the other."""
    places: list[slice] = []
    for size in sizes:
        places.append(slice(start, start := start + size))
    return places
