from glyphseek.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MatchRequest(_message.Message):
    __slots__ = ("model", "plan", "terms", "images", "top", "least_score")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    LEAST_SCORE_FIELD_NUMBER: _ClassVar[int]
    model: str
    plan: _types_pb2.QueryPlan
    terms: _containers.RepeatedCompositeFieldContainer[_types_pb2.TermFeatures]
    images: _containers.RepeatedCompositeFieldContainer[Candidate]
    top: int
    least_score: float
    def __init__(self, model: _Optional[str] = ..., plan: _Optional[_Union[_types_pb2.QueryPlan, _Mapping]] = ..., terms: _Optional[_Iterable[_Union[_types_pb2.TermFeatures, _Mapping]]] = ..., images: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., top: _Optional[int] = ..., least_score: _Optional[float] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("image_id", "aspect")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    ASPECT_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    aspect: float
    def __init__(self, image_id: _Optional[str] = ..., aspect: _Optional[float] = ...) -> None: ...

class MatchResponse(_message.Message):
    __slots__ = ("images", "unusable_ids", "report")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    UNUSABLE_IDS_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[ImageMatch]
    unusable_ids: _containers.RepeatedScalarFieldContainer[str]
    report: _types_pb2.FetchReport
    def __init__(self, images: _Optional[_Iterable[_Union[ImageMatch, _Mapping]]] = ..., unusable_ids: _Optional[_Iterable[str]] = ..., report: _Optional[_Union[_types_pb2.FetchReport, _Mapping]] = ...) -> None: ...

class ImageMatch(_message.Message):
    __slots__ = ("image_id", "score", "matches")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    score: float
    matches: _containers.RepeatedCompositeFieldContainer[_types_pb2.TermMatch]
    def __init__(self, image_id: _Optional[str] = ..., score: _Optional[float] = ..., matches: _Optional[_Iterable[_Union[_types_pb2.TermMatch, _Mapping]]] = ...) -> None: ...
