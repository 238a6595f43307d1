"""Gateways over models that follow by hand, in memory, listened with on real ports of loopback."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
from fakes import token_gallery, word_gallery
from PIL import Image

from glyphseek.api.v1 import ingest_service_pb2_grpc, search_service_pb2_grpc
from glyphseek.errors import ImageNotFound, InputError, StoreError
from glyphseek.features.memory import MemoryFeatureStore
from glyphseek.indexing import EncodingSettings, ImageEncoder
from glyphseek.matching import Matcher
from glyphseek.metrics import Metrics
from glyphseek.ports import FeatureStore, Model
from glyphseek.reranking import Reranker
from glyphseek.search import MatchStage, RerankStage
from glyphseek.tokens import CodecName
from glyphseek.types import ImageFeatures, ModelCard, RgbImage
from glyphseek_gateway.collections import MemoryCollections
from glyphseek_gateway.engines import Engine, LocalEngines
from glyphseek_gateway.gateway import Gateway, GatewaySettings, Parts, build_gateway
from glyphseek_gateway.keys import Caller, Keys, NoKeys, Scope, hash_key
from glyphseek_gateway.listening import Doors, listening
from glyphseek_gateway.parts import PhotoSource
from glyphseek_gateway.readiness import Probe

CALLER = Caller(name="tests", scopes=frozenset(Scope))


class PhotoWords(word_gallery.WordModel):
    """Reads one word in a photo: `w17` where its first pixel's red is 17. Fingerprints tell generations apart."""

    def __init__(self, card: ModelCard = word_gallery.CARD) -> None:
        super().__init__()
        self._card = card

    @property
    def card(self) -> ModelCard:
        return self._card

    def encode_images(self, images: Sequence[RgbImage]) -> list[ImageFeatures]:
        return [word_gallery.write_features([f"w{int(image[0, 0, 0])}"]) for image in images]


def other_card(name: str, digit: str) -> ModelCard:
    """Return the card of another model that works the same."""
    return replace(word_gallery.CARD, name=name, fingerprint=digit * 32)


class NoSource:
    """Has no photos."""

    def measure(self, uris: Sequence[str], *, max_bytes: int) -> list[int | InputError | StoreError]:
        return [0 for _ in uris]

    def read(self, uris: Sequence[str], *, max_bytes: int) -> list[bytes | InputError | StoreError]:
        return [ImageNotFound(f"there is no {uri}") for uri in uris]


def make_engine(
    model: Model,
    features: FeatureStore,
    *,
    matcher: MatchStage | None = None,
    reranker: RerankStage | None = None,
) -> Engine:
    """Return an engine of this process; stages that are not given are real ones."""
    encoder = ImageEncoder(model, features, EncodingSettings(codec=CodecName.FP16, threads=1))
    if isinstance(model, token_gallery.GridModel):
        reranker = reranker or Reranker(model, features, fingerprint=model.card.fingerprint)
        return Engine(model=model, encoder=encoder, reranker=reranker)
    return Engine(model=model, encoder=encoder, matcher=matcher or Matcher(features, card=model.card))


def make_gateway(
    *,
    engines: Callable[[FeatureStore], Sequence[Engine]] | None = None,
    keys: Keys | None = None,
    settings: GatewaySettings | None = None,
    probes: Sequence[Probe] = (),
    metrics: Metrics | None = None,
    features: FeatureStore | None = None,
    source: PhotoSource | None = None,
) -> Gateway:
    """Return a gateway in memory, with the word model unless others are given."""
    features = features or MemoryFeatureStore()
    found = [make_engine(PhotoWords(), features)] if engines is None else engines(features)
    parts = Parts(
        collections=MemoryCollections(),
        engines=LocalEngines(found),
        features=features,
        source=source or NoSource(),
        keys=keys or NoKeys(),
        probes=probes,
        metrics=metrics or Metrics(),
    )
    return build_gateway(parts, settings or GatewaySettings())


def make_photo(red: int, *, blue: int = 0) -> bytes:
    """Return a PNG that says `w<red>`; another blue is another file that says the same."""
    pixels = np.zeros((32, 48, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 2] = red, blue
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def write_keys(path: Path, keys: Mapping[str, Sequence[str]]) -> Path:
    """Write a file of keys: each is named and its secret is `secret-of-NAME`."""
    entries = [
        {"name": name, "sha256": hash_key(f"secret-of-{name}"), "scopes": list(scopes)} for name, scopes in keys.items()
    ]
    path.write_text(json.dumps({"keys": entries}))
    return path


class Served:
    """A gateway that listens; use `served`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gateway")
        self._thread.start()
        assert self._listening.wait(20)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.doors.http_port}", timeout=90)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.doors.grpc_port}")
        self.search = search_service_pb2_grpc.SearchServiceStub(self.channel)
        self.ingest = ingest_service_pb2_grpc.IngestServiceStub(self.channel)

    def add(self, collection: str, photos: Mapping[str, bytes], **fields: object) -> list[dict[str, Any]]:
        """Add photos by id over HTTP, and return what became of them."""
        details = [{"image_id": image_id, **fields} for image_id in photos]
        answer = self.http.post(
            f"/v1/collections/{collection}/images",
            files=[("files", (f"{one}.png", content)) for one, content in photos.items()],
            data={"details": json.dumps(details)},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["images"]

    def stop(self) -> None:
        self.http.close()
        self.channel.close()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        self._loop.close()
        self.gateway.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._listen())

    async def _listen(self) -> None:
        async with listening(self.gateway, Doors()) as self.doors:
            self._listening.set()
            await self._stopping.wait()


@contextmanager
def served(gateway: Gateway) -> Generator[Served]:
    """Listen inside the block."""
    running = Served(gateway)
    try:
        yield running
    finally:
        running.stop()
