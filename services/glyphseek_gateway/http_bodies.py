"""What goes over HTTP as JSON. Fields are called as in the protobuf messages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

from glyphseek_gateway.asks import NewImage, SearchAsk

Metadata = dict[str, StrictStr | StrictBool | StrictInt | StrictFloat]


class Body(BaseModel):
    """Unknown fields are refused: a misspelt one must not be passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchBody(Body):
    """One search; what is absent is the server's choice."""

    query: str = Field(description='`coffee`, `"bank of america"`, `coffee AND open NOT closed`, `RE16*`, `cofee~1`.')
    page_size: int | None = Field(None, description="Hits of one page, 1 to 100; 10 when absent.")
    page_token: str = Field("", description="`next_page_token` of the answer before.")
    rerank: int | None = Field(None, description="How many images are reranked, 0 to 512.")
    filter: str = Field("", description='Conditions on metadata: `city == "Oslo" and year >= 2020`.')
    with_attention: bool = Field(False, description="Attention maps are wanted, of models that have them.")

    def ask(self, collection: str) -> SearchAsk:
        """Return what is asked of a collection."""
        return SearchAsk(
            collection=collection,
            query=self.query,
            page_size=self.page_size,
            page_token=self.page_token,
            rerank=self.rerank,
            filter=self.filter,
            with_attention=self.with_attention,
        )


class CollectionSearchBody(SearchBody):
    """One of several searches."""

    collection: str


class BatchSearchBody(Body):
    """1 to 32 searches."""

    searches: list[CollectionSearchBody]


class ImageBody(BaseModel):
    """What is known of an image."""

    image_id: str
    content_hash: str = Field(description="SHA-256 of the file's bytes, hexadecimal.")
    names: list[str]
    width: int = Field(description="Pixels of the image as people see it.")
    height: int
    instance_count: int
    metadata: dict[str, str | bool | float]


class BoxBody(BaseModel):
    """Fractions [0, 1] of the image as people see it."""

    left: float
    top: float
    right: float
    bottom: float


class TermMatchBody(BaseModel):
    """What answers one word of a query."""

    term: str
    similarity: float
    instance: int | None
    box: BoxBody | None


class HitBody(BaseModel):
    """One image that answers the query."""

    image: ImageBody
    score: float = Field(description="Probability [0, 1] that it does.")
    stages: list[str] = Field(description='"recall", "rerank", "match": what scored it, in order.')
    matches: list[TermMatchBody]
    attention: dict[str, list[list[float]]] | None = Field(description="By term: rows of the map, which sums to 1.")


class DegradationBody(BaseModel):
    """A stage that did not do all of its work."""

    stage: str
    reason: str
    coverage: float = Field(description="Share [0, 1] of the images that it did score.")


class TimingsBody(BaseModel):
    """Milliseconds of each stage."""

    encode_ms: float
    recall_ms: float
    fetch_ms: float
    rerank_ms: float
    match_ms: float


class SearchAnswerBody(BaseModel):
    """A page of hits, best first; equal scores by image id."""

    query: str = Field(description="The query as it was understood.")
    hits: list[HitBody]
    confident: bool
    degraded: list[DegradationBody]
    timings: TimingsBody
    next_page_token: str = Field(description="Empty when there are no more hits.")
    model: str = Field(description="Fingerprint of the model that answered.")


class ErrorBody(BaseModel):
    """Why one of several things failed."""

    kind: str = Field(description="The kind of error, such as `QueryError`.")
    message: str
    status: int = Field(description="The HTTP status that it would have alone.")


class BatchResultBody(BaseModel):
    """What became of one search: one of the two."""

    response: SearchAnswerBody | None = None
    error: ErrorBody | None = None


class BatchAnswerBody(BaseModel):
    """What became of each search, in the order of the request."""

    results: list[BatchResultBody]


class HitAnswerBody(BaseModel):
    """One image as it answers a query."""

    hit: HitBody
    degraded: list[DegradationBody]


class NewImageBody(Body):
    """A photo in an allowed bucket."""

    uri: str = Field(description="`s3://bucket/key`.")
    image_id: str = Field("", description="1 to 128 letters, digits, `-`, `_`; the content's hash when empty.")
    name: str = Field("", description="For people; the address when empty.")
    metadata: Metadata = Field(default_factory=dict)

    def image(self) -> NewImage:
        """Return what is to be added."""
        return NewImage(uri=self.uri, image_id=self.image_id, name=self.name or self.uri, metadata=self.metadata)


class NewImagesBody(Body):
    """Photos to add."""

    images: list[NewImageBody]
    model: str = Field("", description="Fingerprint or name of the model of another generation than the current one.")


class PhotoDetails(Body):
    """What goes with an uploaded file."""

    image_id: str = ""
    name: str = ""
    metadata: Metadata = Field(default_factory=dict)


class AddedImageBody(BaseModel):
    """What became of one photo."""

    image_id: str
    outcome: str = Field(description='"added", "unchanged", "updated" or "refused".')
    error: ErrorBody | None


class AddedImagesBody(BaseModel):
    """What became of each photo, in the order of the request."""

    images: list[AddedImageBody]


class RemovalBody(BaseModel):
    """Which images are no more, and which never were."""

    removed_ids: list[str]
    unknown_ids: list[str]


class ImagePageBody(BaseModel):
    """Images ordered by id."""

    images: list[ImageBody]
    next_page_token: str = Field(description="Empty when there are no more images.")


class GenerationBody(BaseModel):
    """One model's version of a collection."""

    model_name: str
    model_fingerprint: str
    is_current: bool


class CollectionBody(BaseModel):
    """A collection and its generations, the current one first."""

    name: str
    generations: list[GenerationBody]


class CollectionsBody(BaseModel):
    """All collections by name."""

    collections: list[CollectionBody]


class NewCollectionBody(Body):
    """A collection to make, or a generation of one."""

    name: str = Field(description="1 to 64 small letters, digits and `_`, a letter first.")
    model: str = Field("", description="Fingerprint or name of the model; the server's default when empty.")


class AliasBody(Body):
    """The generation that becomes the current one."""

    model: str = Field(description="Fingerprint or name of its model.")


class ProblemBody(BaseModel):
    """An error, RFC 9457."""

    type: str = Field(description="`urn:glyphseek:problem:QueryError` and the like.")
    title: str
    status: int
    detail: str
    request_id: str
    retry_after_s: float | None = None


class DependencyBody(BaseModel):
    """How one of the parts that searches need is doing."""

    name: str
    is_ready: bool
    is_essential: bool = Field(description="Without it nothing can be searched; without others answers are degraded.")
    ms: float = Field(description="Milliseconds until it answered.")
    reason: str = Field(description="Why it is not ready; empty when it is.")


class ReadinessBody(BaseModel):
    """Whether searches can be answered: the parts that are essential for them are ready."""

    is_ready: bool
    dependencies: list[DependencyBody]
