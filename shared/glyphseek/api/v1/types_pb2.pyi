from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Array(_message.Message):
    __slots__ = ("type", "shape", "data")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Array.Type]
        TYPE_FLOAT32: _ClassVar[Array.Type]
        TYPE_FLOAT16: _ClassVar[Array.Type]
    TYPE_UNSPECIFIED: Array.Type
    TYPE_FLOAT32: Array.Type
    TYPE_FLOAT16: Array.Type
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    type: Array.Type
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, type: _Optional[_Union[Array.Type, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class Box(_message.Message):
    __slots__ = ("left", "top", "right", "bottom")
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    RIGHT_FIELD_NUMBER: _ClassVar[int]
    BOTTOM_FIELD_NUMBER: _ClassVar[int]
    left: float
    top: float
    right: float
    bottom: float
    def __init__(self, left: _Optional[float] = ..., top: _Optional[float] = ..., right: _Optional[float] = ..., bottom: _Optional[float] = ...) -> None: ...

class Term(_message.Message):
    __slots__ = ("text", "kind", "edits")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Term.Kind]
        KIND_WORD: _ClassVar[Term.Kind]
        KIND_PREFIX: _ClassVar[Term.Kind]
        KIND_TOLERANT: _ClassVar[Term.Kind]
        KIND_SEMANTIC: _ClassVar[Term.Kind]
    KIND_UNSPECIFIED: Term.Kind
    KIND_WORD: Term.Kind
    KIND_PREFIX: Term.Kind
    KIND_TOLERANT: Term.Kind
    KIND_SEMANTIC: Term.Kind
    TEXT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    text: str
    kind: Term.Kind
    edits: int
    def __init__(self, text: _Optional[str] = ..., kind: _Optional[_Union[Term.Kind, str]] = ..., edits: _Optional[int] = ...) -> None: ...

class TermFeatures(_message.Message):
    __slots__ = ("vectors", "tokens")
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    vectors: Array
    tokens: Array
    def __init__(self, vectors: _Optional[_Union[Array, _Mapping]] = ..., tokens: _Optional[_Union[Array, _Mapping]] = ...) -> None: ...

class QueryPlan(_message.Message):
    __slots__ = ("terms", "alternatives")
    class Unit(_message.Message):
        __slots__ = ("rows", "joined")
        ROWS_FIELD_NUMBER: _ClassVar[int]
        JOINED_FIELD_NUMBER: _ClassVar[int]
        rows: _containers.RepeatedScalarFieldContainer[int]
        joined: int
        def __init__(self, rows: _Optional[_Iterable[int]] = ..., joined: _Optional[int] = ...) -> None: ...
    class Alternative(_message.Message):
        __slots__ = ("required", "excluded")
        REQUIRED_FIELD_NUMBER: _ClassVar[int]
        EXCLUDED_FIELD_NUMBER: _ClassVar[int]
        required: _containers.RepeatedCompositeFieldContainer[QueryPlan.Unit]
        excluded: _containers.RepeatedCompositeFieldContainer[QueryPlan.Unit]
        def __init__(self, required: _Optional[_Iterable[_Union[QueryPlan.Unit, _Mapping]]] = ..., excluded: _Optional[_Iterable[_Union[QueryPlan.Unit, _Mapping]]] = ...) -> None: ...
    TERMS_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    terms: _containers.RepeatedCompositeFieldContainer[Term]
    alternatives: _containers.RepeatedCompositeFieldContainer[QueryPlan.Alternative]
    def __init__(self, terms: _Optional[_Iterable[_Union[Term, _Mapping]]] = ..., alternatives: _Optional[_Iterable[_Union[QueryPlan.Alternative, _Mapping]]] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("slope", "offset", "threshold")
    SLOPE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    slope: float
    offset: float
    threshold: float
    def __init__(self, slope: _Optional[float] = ..., offset: _Optional[float] = ..., threshold: _Optional[float] = ...) -> None: ...

class LetterScale(_message.Message):
    __slots__ = ("slope", "offset")
    SLOPE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    slope: float
    offset: float
    def __init__(self, slope: _Optional[float] = ..., offset: _Optional[float] = ...) -> None: ...

class ModelCard(_message.Message):
    __slots__ = ("name", "method", "fingerprint", "vector_width", "features", "alphabet", "max_query_characters", "understands_meaning", "calibration", "longer_side", "rerank_calibration", "fusion", "asks_whole_text", "rerank_depth", "letters")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    VECTOR_WIDTH_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    ALPHABET_FIELD_NUMBER: _ClassVar[int]
    MAX_QUERY_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    UNDERSTANDS_MEANING_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    LONGER_SIDE_FIELD_NUMBER: _ClassVar[int]
    RERANK_CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    ASKS_WHOLE_TEXT_FIELD_NUMBER: _ClassVar[int]
    RERANK_DEPTH_FIELD_NUMBER: _ClassVar[int]
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    method: str
    fingerprint: str
    vector_width: int
    features: _containers.RepeatedScalarFieldContainer[str]
    alphabet: str
    max_query_characters: int
    understands_meaning: bool
    calibration: Calibration
    longer_side: int
    rerank_calibration: Calibration
    fusion: str
    asks_whole_text: bool
    rerank_depth: int
    letters: LetterScale
    def __init__(self, name: _Optional[str] = ..., method: _Optional[str] = ..., fingerprint: _Optional[str] = ..., vector_width: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ..., alphabet: _Optional[str] = ..., max_query_characters: _Optional[int] = ..., understands_meaning: bool = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., longer_side: _Optional[int] = ..., rerank_calibration: _Optional[_Union[Calibration, _Mapping]] = ..., fusion: _Optional[str] = ..., asks_whole_text: bool = ..., rerank_depth: _Optional[int] = ..., letters: _Optional[_Union[LetterScale, _Mapping]] = ...) -> None: ...

class TermMatch(_message.Message):
    __slots__ = ("term", "similarity", "instance", "box")
    TERM_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    term: str
    similarity: float
    instance: int
    box: Box
    def __init__(self, term: _Optional[str] = ..., similarity: _Optional[float] = ..., instance: _Optional[int] = ..., box: _Optional[_Union[Box, _Mapping]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("reason", "images")
    REASON_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    reason: str
    images: int
    def __init__(self, reason: _Optional[str] = ..., images: _Optional[int] = ...) -> None: ...

class FetchReport(_message.Message):
    __slots__ = ("asked", "usable", "faults", "cache_hits", "fetched_bytes", "fetch_ms", "score_ms")
    ASKED_FIELD_NUMBER: _ClassVar[int]
    USABLE_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    CACHE_HITS_FIELD_NUMBER: _ClassVar[int]
    FETCHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FETCH_MS_FIELD_NUMBER: _ClassVar[int]
    SCORE_MS_FIELD_NUMBER: _ClassVar[int]
    asked: int
    usable: int
    faults: _containers.RepeatedCompositeFieldContainer[Fault]
    cache_hits: int
    fetched_bytes: int
    fetch_ms: float
    score_ms: float
    def __init__(self, asked: _Optional[int] = ..., usable: _Optional[int] = ..., faults: _Optional[_Iterable[_Union[Fault, _Mapping]]] = ..., cache_hits: _Optional[int] = ..., fetched_bytes: _Optional[int] = ..., fetch_ms: _Optional[float] = ..., score_ms: _Optional[float] = ...) -> None: ...

class MetadataValue(_message.Message):
    __slots__ = ("text", "number", "flag")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    flag: bool
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., flag: bool = ...) -> None: ...

class ImageRecord(_message.Message):
    __slots__ = ("image_id", "content_hash", "names", "width", "height", "instance_count", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: MetadataValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MetadataValue, _Mapping]] = ...) -> None: ...
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASH_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_COUNT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    content_hash: str
    names: _containers.RepeatedScalarFieldContainer[str]
    width: int
    height: int
    instance_count: int
    metadata: _containers.MessageMap[str, MetadataValue]
    def __init__(self, image_id: _Optional[str] = ..., content_hash: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., instance_count: _Optional[int] = ..., metadata: _Optional[_Mapping[str, MetadataValue]] = ...) -> None: ...
