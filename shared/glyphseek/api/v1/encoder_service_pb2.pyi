from glyphseek.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_types_pb2.ModelCard]
    def __init__(self, models: _Optional[_Iterable[_Union[_types_pb2.ModelCard, _Mapping]]] = ...) -> None: ...

class EncodeQueriesRequest(_message.Message):
    __slots__ = ("model", "terms")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    terms: _containers.RepeatedCompositeFieldContainer[_types_pb2.Term]
    def __init__(self, model: _Optional[str] = ..., terms: _Optional[_Iterable[_Union[_types_pb2.Term, _Mapping]]] = ...) -> None: ...

class EncodeQueriesResponse(_message.Message):
    __slots__ = ("model", "terms")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    model: str
    terms: _containers.RepeatedCompositeFieldContainer[_types_pb2.TermFeatures]
    def __init__(self, model: _Optional[str] = ..., terms: _Optional[_Iterable[_Union[_types_pb2.TermFeatures, _Mapping]]] = ...) -> None: ...

class EncodedFile(_message.Message):
    __slots__ = ("image_id", "content")
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    image_id: str
    content: bytes
    def __init__(self, image_id: _Optional[str] = ..., content: _Optional[bytes] = ...) -> None: ...

class EncodeImagesRequest(_message.Message):
    __slots__ = ("model", "images")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedCompositeFieldContainer[EncodedFile]
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[_Union[EncodedFile, _Mapping]]] = ...) -> None: ...

class EncodeImagesResponse(_message.Message):
    __slots__ = ("model", "images")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    model: str
    images: _containers.RepeatedCompositeFieldContainer[EncodedImage]
    def __init__(self, model: _Optional[str] = ..., images: _Optional[_Iterable[_Union[EncodedImage, _Mapping]]] = ...) -> None: ...

class EncodedImage(_message.Message):
    __slots__ = ("record", "vectors", "reused", "failure")
    RECORD_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    record: _types_pb2.ImageRecord
    vectors: _types_pb2.Array
    reused: bool
    failure: ImageFailure
    def __init__(self, record: _Optional[_Union[_types_pb2.ImageRecord, _Mapping]] = ..., vectors: _Optional[_Union[_types_pb2.Array, _Mapping]] = ..., reused: bool = ..., failure: _Optional[_Union[ImageFailure, _Mapping]] = ...) -> None: ...

class ImageFailure(_message.Message):
    __slots__ = ("kind", "message")
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    message: str
    def __init__(self, kind: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
