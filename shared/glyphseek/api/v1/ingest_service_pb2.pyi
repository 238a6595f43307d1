from glyphseek.api.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AddImagesRequest(_message.Message):
    __slots__ = ("collection", "request_key", "image_id", "name", "content", "uri", "metadata", "model")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _types_pb2.MetadataValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_types_pb2.MetadataValue, _Mapping]] = ...) -> None: ...
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    collection: str
    request_key: str
    image_id: str
    name: str
    content: bytes
    uri: str
    metadata: _containers.MessageMap[str, _types_pb2.MetadataValue]
    model: str
    def __init__(self, collection: _Optional[str] = ..., request_key: _Optional[str] = ..., image_id: _Optional[str] = ..., name: _Optional[str] = ..., content: _Optional[bytes] = ..., uri: _Optional[str] = ..., metadata: _Optional[_Mapping[str, _types_pb2.MetadataValue]] = ..., model: _Optional[str] = ...) -> None: ...

class AddImagesResponse(_message.Message):
    __slots__ = ("request_key", "image_id", "outcome", "failure_kind", "failure_message")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[AddImagesResponse.Outcome]
        OUTCOME_ADDED: _ClassVar[AddImagesResponse.Outcome]
        OUTCOME_UNCHANGED: _ClassVar[AddImagesResponse.Outcome]
        OUTCOME_UPDATED: _ClassVar[AddImagesResponse.Outcome]
        OUTCOME_REFUSED: _ClassVar[AddImagesResponse.Outcome]
    OUTCOME_UNSPECIFIED: AddImagesResponse.Outcome
    OUTCOME_ADDED: AddImagesResponse.Outcome
    OUTCOME_UNCHANGED: AddImagesResponse.Outcome
    OUTCOME_UPDATED: AddImagesResponse.Outcome
    OUTCOME_REFUSED: AddImagesResponse.Outcome
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_KIND_FIELD_NUMBER: _ClassVar[int]
    FAILURE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    request_key: str
    image_id: str
    outcome: AddImagesResponse.Outcome
    failure_kind: str
    failure_message: str
    def __init__(self, request_key: _Optional[str] = ..., image_id: _Optional[str] = ..., outcome: _Optional[_Union[AddImagesResponse.Outcome, str]] = ..., failure_kind: _Optional[str] = ..., failure_message: _Optional[str] = ...) -> None: ...

class DeleteImagesRequest(_message.Message):
    __slots__ = ("collection", "image_ids", "model")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_IDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    collection: str
    image_ids: _containers.RepeatedScalarFieldContainer[str]
    model: str
    def __init__(self, collection: _Optional[str] = ..., image_ids: _Optional[_Iterable[str]] = ..., model: _Optional[str] = ...) -> None: ...

class DeleteImagesResponse(_message.Message):
    __slots__ = ("removed_ids", "unknown_ids")
    REMOVED_IDS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_IDS_FIELD_NUMBER: _ClassVar[int]
    removed_ids: _containers.RepeatedScalarFieldContainer[str]
    unknown_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, removed_ids: _Optional[_Iterable[str]] = ..., unknown_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class GetImageRequest(_message.Message):
    __slots__ = ("collection", "image_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IMAGE_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    image_id: str
    def __init__(self, collection: _Optional[str] = ..., image_id: _Optional[str] = ...) -> None: ...

class GetImageResponse(_message.Message):
    __slots__ = ("image",)
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    image: _types_pb2.ImageRecord
    def __init__(self, image: _Optional[_Union[_types_pb2.ImageRecord, _Mapping]] = ...) -> None: ...

class ListImagesRequest(_message.Message):
    __slots__ = ("collection", "page_size", "page_token")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collection: str
    page_size: int
    page_token: str
    def __init__(self, collection: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListImagesResponse(_message.Message):
    __slots__ = ("images", "next_page_token")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[_types_pb2.ImageRecord]
    next_page_token: str
    def __init__(self, images: _Optional[_Iterable[_Union[_types_pb2.ImageRecord, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Generation(_message.Message):
    __slots__ = ("model_name", "model_fingerprint", "is_current")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    IS_CURRENT_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    model_fingerprint: str
    is_current: bool
    def __init__(self, model_name: _Optional[str] = ..., model_fingerprint: _Optional[str] = ..., is_current: bool = ...) -> None: ...

class Collection(_message.Message):
    __slots__ = ("name", "generations")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    generations: _containers.RepeatedCompositeFieldContainer[Generation]
    def __init__(self, name: _Optional[str] = ..., generations: _Optional[_Iterable[_Union[Generation, _Mapping]]] = ...) -> None: ...

class CreateCollectionRequest(_message.Message):
    __slots__ = ("collection", "model")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    collection: str
    model: str
    def __init__(self, collection: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class CreateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections",)
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[Collection]
    def __init__(self, collections: _Optional[_Iterable[_Union[Collection, _Mapping]]] = ...) -> None: ...

class SwitchAliasRequest(_message.Message):
    __slots__ = ("collection", "model")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    collection: str
    model: str
    def __init__(self, collection: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

class SwitchAliasResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class DropCollectionRequest(_message.Message):
    __slots__ = ("collection", "model", "all_generations")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ALL_GENERATIONS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    model: str
    all_generations: bool
    def __init__(self, collection: _Optional[str] = ..., model: _Optional[str] = ..., all_generations: bool = ...) -> None: ...

class DropCollectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
