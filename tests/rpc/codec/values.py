"""Values that may travel, for properties of the codec."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from glyphseek.matching import MatchCandidate, MatchedImage, Matching
from glyphseek.metadata import Metadata, MetadataValue
from glyphseek.queries import Term, TermKind
from glyphseek.ranking import ImageMatch, QueryPlan, TermMatch
from glyphseek.ranking.plan import Alternative, Unit
from glyphseek.types import (
    Calibration,
    FeatureKind,
    FloatArray,
    Fusion,
    ImageRecord,
    LetterScale,
    ModelCard,
    TermFeatures,
)

PROPERTY = settings(max_examples=40, deadline=None)

FINITE = st.floats(allow_nan=False, allow_infinity=False)
FRACTIONS = st.floats(0, 1, width=32)
IDS = st.text("abcdef0123456789-_", min_size=1, max_size=32)
TEXTS = st.text(min_size=1, max_size=20)
COUNTS = st.integers(0, 2**31 - 1)


def arrays(*least: int) -> st.SearchStrategy[FloatArray]:
    """Draw float32 arrays with as many dimensions as bounds are given, each at least as long as its bound."""
    shapes = st.tuples(*(st.integers(one, 4) for one in least))
    elements = st.floats(allow_nan=False, allow_infinity=False, width=32)
    return shapes.flatmap(lambda shape: stn.arrays("float32", shape, elements=elements))


TERMS = st.builds(Term, text=TEXTS, kind=st.sampled_from(TermKind), edits=st.integers(0, 2))
FEATURES = st.builds(TermFeatures, vectors_VD=arrays(1, 1), tokens_TE=st.none() | arrays(0, 1))
CALIBRATIONS = st.builds(Calibration, slope=FINITE, offset=FINITE, threshold=FINITE)
CARDS = st.builds(
    ModelCard,
    name=TEXTS,
    method=TEXTS,
    fingerprint=st.text("0123456789abcdef", min_size=32, max_size=32),
    vector_width=st.integers(1, 4096),
    features=st.frozensets(st.sampled_from(FeatureKind)),
    alphabet=st.text(),
    max_query_characters=COUNTS,
    understands_meaning=st.booleans(),
    calibration=CALIBRATIONS,
    longer_side=st.none() | COUNTS,
    rerank_calibration=st.none() | CALIBRATIONS,
    fusion=st.sampled_from(Fusion),
    asks_whole_text=st.booleans(),
    rerank_depth=st.none() | COUNTS,
    letters=st.none() | st.builds(LetterScale, slope=FINITE, offset=FINITE),
)
VALUES: st.SearchStrategy[MetadataValue] = st.text(max_size=50) | FINITE | st.booleans()
METADATA = st.dictionaries(st.from_regex(r"x_[A-Za-z0-9_]{0,10}", fullmatch=True), VALUES, max_size=5).map(Metadata)
RECORDS = st.builds(
    ImageRecord,
    image_id=IDS,
    content_hash=IDS,
    names=st.lists(TEXTS, max_size=3).map(tuple),
    width=COUNTS,
    height=COUNTS,
    instance_count=COUNTS,
    metadata=METADATA,
)
BOXES = st.tuples(FRACTIONS, FRACTIONS, FRACTIONS, FRACTIONS)
TERM_MATCHES = st.builds(
    TermMatch,
    term=TEXTS,
    similarity=st.floats(-1, 1, width=32),
    instance=st.none() | COUNTS,
    box=st.none() | BOXES,
)
IMAGE_MATCHES = st.builds(ImageMatch, score=st.floats(0, 1), matches=st.lists(TERM_MATCHES, max_size=3).map(tuple))
FAULTS = st.dictionaries(st.sampled_from(["missing", "damaged", "not read (timeout)"]), st.integers(1, 9))
MATCHINGS = st.builds(
    Matching,
    images=st.lists(st.builds(MatchedImage, image_id=IDS, match=IMAGE_MATCHES), max_size=3).map(tuple),
    unusable_ids=st.lists(IDS, max_size=3).map(tuple),
    asked=st.integers(3, 999),
    faults=FAULTS,
    cache_hits=COUNTS,
    fetched_bytes=st.integers(0, 2**60),
    fetch_ms=FINITE,
    score_ms=FINITE,
)
CANDIDATES = st.builds(MatchCandidate, image_id=IDS, aspect=st.floats(0.01, 100))


@st.composite
def plans(draw: st.DrawFn) -> QueryPlan:
    """Draw a plan whose rows are rows of its terms."""
    terms = tuple(draw(st.lists(TERMS, min_size=1, max_size=5, unique=True)))
    rows = st.integers(0, len(terms) - 1)
    units = st.builds(Unit, rows=st.lists(rows, min_size=1, max_size=3).map(tuple), joined=st.none() | rows)
    alternatives = st.builds(
        Alternative,
        required=st.lists(units, min_size=1, max_size=3).map(tuple),
        excluded=st.lists(units, max_size=3).map(tuple),
    )
    return QueryPlan(terms=terms, alternatives=tuple(draw(st.lists(alternatives, min_size=1, max_size=3))))
