"""Collections of a deployment with what they should answer, and what callers do to them while things break."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from integration.deployment import Deployed, eventually
from PIL import Image, ImageDraw, ImageFont
from safetensors.torch import load_file

from glyphseek.api.v1 import ingest_service_pb2, search_service_pb2
from glyphseek.api.v1.ingest_service_pb2_grpc import IngestServiceStub
from glyphseek.api.v1.search_service_pb2_grpc import SearchServiceStub
from glyphseek.client import AddedImage, NewImage, SearchPage
from glyphseek.config import Config
from glyphseek.deployment import open_features, open_vectors
from glyphseek.errors import GlyphseekError
from glyphseek.matching import Matcher
from glyphseek.models.checkpoint import load_manifest, save_checkpoint, save_manifest
from glyphseek.models.loading import find_model, open_model
from glyphseek.ports import TokenScorer
from glyphseek.reranking import Reranker
from glyphseek.rpc import codec
from glyphseek.rpc.client import Client as Caller
from glyphseek.search import Hit, Searcher

WORDS = ("coffee", "bakery", "market", "garden", "hotel", "museum", "station", "bridge")
QUERIES = ("coffee", "coffee AND bakery", "garden OR station")
WORDS_MODEL, MAPS_MODEL = "glyphseek/tdsl-small", "glyphseek/cayn-small"
DISTURBANCE = 0.05  # relative, of the weights of a second model
TOLERANCE = 1e-3  # of scores: what two ways of computing the same may differ by


def draw(*lines: str) -> NewImage:
    """Return a photo with the lines on it; the same lines are the same bytes."""
    image = Image.new("RGB", (220, 60 + 50 * len(lines)), (235, 230, 220))
    pen = ImageDraw.Draw(image)
    for place, line in enumerate(lines):
        pen.text((20, 20 + 60 * place), line, font=ImageFont.load_default(size=44), fill=(20, 20, 60))
    file = io.BytesIO()
    image.save(file, "PNG")
    return NewImage(content=file.getvalue(), name=" ".join(lines))


PHOTOS = [draw(first, second) for first, second in zip(WORDS, (*WORDS[1:], WORDS[0]), strict=True)]


@dataclass(slots=True, kw_only=True)
class Gallery:
    """One collection. `sent` are the ids of photos that were acknowledged.

    whole, recalled: what a search in process answers with and without its second stage, by query.
    """

    deployment: Deployed
    name: str
    stage: str = "match"
    sent: set[str] = field(default_factory=set[str])
    whole: dict[str, list[Hit]] = field(default_factory=dict[str, list[Hit]])
    recalled: dict[str, list[Hit]] = field(default_factory=dict[str, list[Hit]])

    def add(self, photos: Sequence[NewImage], *, model: str = "") -> list[AddedImage]:
        """Add photos over HTTP; all must be taken."""
        with self.deployment.client(self.name) as client:
            added = client.add_images(photos, model=model)
        assert [one.error for one in added] == [None] * len(photos)
        self.sent.update(one.image_id for one in added)
        return added

    def search(self, query: str) -> SearchPage:
        with self.deployment.client(self.name) as client:
            return client.search(query)

    def assert_degraded(self, query: str, *, reason: str) -> None:
        """The second stage did nothing, says why, and the answer is that of recall."""
        page = self.search(query)
        assert [(one.stage, one.coverage) for one in page.degraded] == [(self.stage, 0.0)]
        assert reason in page.degraded[0].reason
        assert_alike(page.hits, self.recalled[query])
        assert {hit.stages for hit in page.hits} == {("recall",)}

    def assert_true(self, page: SearchPage, query: str) -> None:
        """Whatever the second stage did not get to is as recall has it, everything else is exact, and in order."""
        exact, recalled = ({hit.image_id: hit.score for hit in hits[query]} for hits in (self.whole, self.recalled))
        for hit in page.hits:
            expected = exact if self.stage in hit.stages else recalled
            assert hit.score == pytest.approx(expected[hit.image_id], abs=TOLERANCE)
        assert_ordered(page.hits)
        if not page.degraded:
            assert_alike(page.hits, self.whole[query])

    def assert_whole(self) -> None:
        """Searches answer as in process, in time, with nothing missing."""
        for query in QUERIES:
            page = eventually(lambda query=query: self.search(query), lambda page: not page.degraded)
            assert page.degraded == ()
            assert_alike(page.hits, self.whole[query])

    def assert_sound(self) -> None:
        """What was acknowledged is there, once; and no image has a blob that is missing or damaged."""
        assert self.list_ids() == sorted(self.sent)
        report = self.deployment.verify(self.name)
        assert (report.images, report.problems) == (len(self.sent), ())

    def list_ids(self) -> list[str]:
        found: list[str] = []
        with self.deployment.client(self.name) as client:
            token = ""
            while True:
                page = client.list_images(page_size=5, page_token=token)
                found += [one.image_id for one in page.images]
                if not (token := page.next_page_token):
                    return found


def search_over_grpc(caller: Caller, collection: str, query: str, *, timeout_s: float = 60) -> SearchPage:
    request = search_service_pb2.SearchRequest(collection=collection, query=query)
    answer = caller.call(SearchServiceStub(caller.channel).Search, request, timeout_s=timeout_s)
    found = codec.decode_search_response(answer)
    return SearchPage(
        query=found.query,
        hits=found.hits,
        confident=found.confident,
        degraded=found.degraded,
        timings=found.timings,
        next_page_token=answer.next_page_token,
        model=answer.model,
    )


def assert_alike(hits: Sequence[Hit], expected: Sequence[Hit]) -> None:
    assert [hit.image_id for hit in hits] == [hit.image_id for hit in expected]
    assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in expected], abs=TOLERANCE)


def assert_ordered(hits: Sequence[Hit]) -> None:
    keys = [(-hit.score, hit.image_id) for hit in hits]
    assert keys == sorted(keys)
    assert len({hit.image_id for hit in hits}) == len(hits)


def make_gallery(deployment: Deployed, name: str, model: str, stage: str) -> Gallery:
    gallery = Gallery(deployment=deployment, name=name, stage=stage)
    with deployment.client() as client:
        eventually(lambda: client.create_collection(name, model=model), lambda _: True)
    gallery.add(PHOTOS)
    gallery.whole, gallery.recalled = search_in_process(deployment.direct, name, model)
    return gallery


def search_in_process(config: Config, collection: str, model: str) -> tuple[dict[str, list[Hit]], dict[str, list[Hit]]]:
    """Return the hits of all queries in a model's generation, without any service: exact ones, and those of recall."""
    loaded = open_model(model)
    with (
        closing(open_vectors(config, gallery=collection, card=loaded.card, is_new_generation=True)) as vectors,
        closing(open_features(config)) as features,
    ):
        reranker = (
            Reranker(loaded, features, fingerprint=loaded.card.fingerprint) if isinstance(loaded, TokenScorer) else None
        )
        matcher = None if reranker else Matcher(features, card=loaded.card)
        whole = Searcher(loaded, vectors, matcher=matcher, reranker=reranker)
        recall = Searcher(loaded, vectors)
        exact = {query: list(whole.search(query).hits) for query in QUERIES}
        return exact, {query: list(recall.search(query).hits) for query in QUERIES}


def disturb_weights(folder: Path) -> None:
    """Write a model like tdsl-small with other weights, and surely other scores: letters read surely have one score."""
    source = find_model(WORDS_MODEL)
    torch.manual_seed(4)
    tensors = {
        name: (tensor * (1 + DISTURBANCE * torch.randn(tensor.shape))).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in load_file(source / "model.safetensors").items()
    }
    weights_hash = save_checkpoint(folder, tensors)
    manifest = load_manifest(source)
    calibration = replace(manifest.calibration, offset=manifest.calibration.offset - 1)
    save_manifest(
        folder, replace(manifest, name="tdsl-disturbed", weights_sha256=weights_hash, calibration=calibration)
    )


@dataclass(slots=True, kw_only=True)
class BrokenIngest:
    """A stream of photos that ended early: what was acknowledged until then, and what the sender was told."""

    acknowledged: list[str]
    error: GlyphseekError


def break_ingest(gallery: Gallery, photos: Sequence[NewImage], kill: Callable[[], None]) -> BrokenIngest:
    """Send photos over gRPC, each after the one before was acknowledged, and kill something after the third."""
    acknowledged: list[str] = []
    arrived = threading.Semaphore(1)

    def requests() -> Iterator[ingest_service_pb2.AddImagesRequest]:
        for photo in photos:
            if not arrived.acquire(timeout=60):
                return
            yield ingest_service_pb2.AddImagesRequest(collection=gallery.name, name=photo.name, content=photo.content)

    def send() -> None:
        with gallery.deployment.caller() as caller:
            for answer in caller.stream(IngestServiceStub(caller.channel).AddImages, requests(), timeout_s=120):
                assert answer.outcome == ingest_service_pb2.AddImagesResponse.OUTCOME_ADDED, answer
                acknowledged.append(answer.image_id)
                gallery.sent.add(answer.image_id)
                if len(acknowledged) == 3:
                    kill()
                arrived.release()

    with pytest.raises(GlyphseekError) as told:
        send()
    assert len(acknowledged) == 3
    return BrokenIngest(acknowledged=acknowledged, error=told.value)


def resend(gallery: Gallery, photos: Sequence[NewImage], broken: BrokenIngest) -> None:
    """Send everything again: what was acknowledged is known already, and the rest comes in, each once."""
    kept = set(gallery.list_ids())
    assert set(broken.acknowledged) <= kept
    added = gallery.add(photos)
    assert [one.outcome for one in added] == ["unchanged" if one.image_id in kept else "added" for one in added]
    gallery.assert_sound()


def remove(gallery: Gallery, photos: Sequence[NewImage]) -> None:
    """Take photos out again, so that answers are those from before."""
    names = {photo.name for photo in photos}
    with gallery.deployment.client(gallery.name) as client:
        page = client.list_images(page_size=1000)
        for record in page.images:
            if names & set(record.names):
                client.delete_image(record.image_id)
                gallery.sent.remove(record.image_id)
    gallery.assert_sound()
    gallery.assert_whole()
