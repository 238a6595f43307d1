from glyphseek.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RerankRequest(_message.Message):
    __slots__ = ("model", "terms", "image_ids", "with_attention")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    WITH_ATTENTION_FIELD_NUMBER: _ClassVar[int]
    model: str
    terms: _containers.RepeatedCompositeFieldContainer[_types_pb2.TermFeatures]
    image_ids: _containers.RepeatedScalarFieldContainer[str]
    with_attention: bool
    def __init__(self, model: _Optional[str] = ..., terms: _Optional[_Iterable[_Union[_types_pb2.TermFeatures, _Mapping]]] = ..., image_ids: _Optional[_Iterable[str]] = ..., with_attention: bool = ...) -> None: ...

class RerankResponse(_message.Message):
    __slots__ = ("image_ids", "cosines", "probabilities", "attention", "report")
    IMAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    COSINES_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    ATTENTION_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    image_ids: _containers.RepeatedScalarFieldContainer[str]
    cosines: _types_pb2.Array
    probabilities: _types_pb2.Array
    attention: _containers.RepeatedCompositeFieldContainer[AttentionMaps]
    report: _types_pb2.FetchReport
    def __init__(self, image_ids: _Optional[_Iterable[str]] = ..., cosines: _Optional[_Union[_types_pb2.Array, _Mapping]] = ..., probabilities: _Optional[_Union[_types_pb2.Array, _Mapping]] = ..., attention: _Optional[_Iterable[_Union[AttentionMaps, _Mapping]]] = ..., report: _Optional[_Union[_types_pb2.FetchReport, _Mapping]] = ...) -> None: ...

class AttentionMaps(_message.Message):
    __slots__ = ("maps",)
    MAPS_FIELD_NUMBER: _ClassVar[int]
    maps: _types_pb2.Array
    def __init__(self, maps: _Optional[_Union[_types_pb2.Array, _Mapping]] = ...) -> None: ...
