from glyphseek.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("collection", "query", "page_size", "page_token", "rerank", "filter", "with_attention")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    RERANK_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    WITH_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    page_size: int
    page_token: str
    rerank: int
    filter: str
    with_attention: bool
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., rerank: _Optional[int] = ..., filter: _Optional[str] = ..., with_attention: bool = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("query", "hits", "confident", "degraded", "timings", "next_page_token", "model")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    HITS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    query: str
    hits: _containers.RepeatedCompositeFieldContainer[Hit]
    confident: bool
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    timings: Timings
    next_page_token: str
    model: str
    def __init__(self, query: _Optional[str] = ..., hits: _Optional[_Iterable[_Union[Hit, _Mapping]]] = ..., confident: bool = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., next_page_token: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class Hit(_message.Message):
    __slots__ = ("image", "score", "stages", "matches", "attention")
    class AttentionEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.Array
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.Array, _Mapping]] = ...) -> None: ...
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    image: _types_pb2.ImageRecord
    score: float
    stages: _containers.RepeatedScalarFieldContainer[str]
    matches: _containers.RepeatedCompositeFieldContainer[_types_pb2.TermMatch]
    attention: _containers.MessageMap[str, _types_pb2.Array]
    def __init__(self, image: _Optional[_Union[_types_pb2.ImageRecord, _Mapping]] = ..., score: _Optional[float] = ..., stages: _Optional[_Iterable[str]] = ..., matches: _Optional[_Iterable[_Union[_types_pb2.TermMatch, _Mapping]]] = ..., attention: _Optional[_Mapping[str, _types_pb2.Array]] = ...) -> None: ...

class Degradation(_message.Message):
    __slots__ = ("stage", "reason", "coverage")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    stage: str
    reason: str
    coverage: float
    def __init__(self, stage: _Optional[str] = ..., reason: _Optional[str] = ..., coverage: _Optional[float] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("encode_ms", "recall_ms", "fetch_ms", "rerank_ms", "match_ms")
    ENCODE_MS_FIELD_NUMBER: _ClassVar[int]
    RECALL_MS_FIELD_NUMBER: _ClassVar[int]
    FETCH_MS_FIELD_NUMBER: _ClassVar[int]
    RERANK_MS_FIELD_NUMBER: _ClassVar[int]
    MATCH_MS_FIELD_NUMBER: _ClassVar[int]
    encode_ms: float
    recall_ms: float
    fetch_ms: float
    rerank_ms: float
    match_ms: float
    def __init__(self, encode_ms: _Optional[float] = ..., recall_ms: _Optional[float] = ..., fetch_ms: _Optional[float] = ..., rerank_ms: _Optional[float] = ..., match_ms: _Optional[float] = ...) -> None: ...

class BatchSearchRequest(_message.Message):
    __slots__ = ("searches",)
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    searches: _containers.RepeatedCompositeFieldContainer[SearchRequest]
    def __init__(self, searches: _Optional[_Iterable[_Union[SearchRequest, _Mapping]]] = ...) -> None: ...

class BatchSearchResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchSearchResult]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchSearchResult, _Mapping]]] = ...) -> None: ...

class BatchSearchResult(_message.Message):
    __slots__ = ("response", "error")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    response: SearchResponse
    error: Error
    def __init__(self, response: _Optional[_Union[SearchResponse, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "kind", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    kind: str
    message: str
    def __init__(self, code: _Optional[int] = ..., kind: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class GetHitRequest(_message.Message):
    __slots__ = ("collection", "query", "image_id", "with_picture", "picture_width")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_PICTURE_FIELD_NUMBER: _ClassVar[int]
    PICTURE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: str
    image_id: str
    with_picture: bool
    picture_width: int
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[str] = ..., image_id: _Optional[str] = ..., with_picture: bool = ..., picture_width: _Optional[int] = ...) -> None: ...

class GetHitResponse(_message.Message):
    __slots__ = ("hit", "picture", "degraded")
    HIT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    hit: Hit
    picture: bytes
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    def __init__(self, hit: _Optional[_Union[Hit, _Mapping]] = ..., picture: _Optional[bytes] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ...) -> None: ...
