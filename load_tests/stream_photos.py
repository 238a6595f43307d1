"""Send a folder of photos to a running deployment over gRPC, as they would arrive, and say how fast they are taken in.

    python load_tests/stream_photos.py PHOTOS --collection NAME [--grpc HOST:PORT[/gateway]] [--ahead 16]

One stream; `--ahead` photos are on their way before the first of them is answered. Exits with 1 when one is refused.
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc

from glyphseek.api.v1 import ingest_service_pb2 as ingest
from glyphseek.api.v1.ingest_service_pb2_grpc import IngestServiceStub
from glyphseek.images import has_image_suffix
from glyphseek.rpc.endpoint import Endpoint

_PATIENCE_S = 3600.0


def main() -> int:
    """Send the photos and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--collection", required=True, help="it is made if it is not there")
    parser.add_argument("--grpc", default="127.0.0.1:50060/gateway", help="behind Ray Serve with /gateway")
    parser.add_argument("--ahead", type=int, default=16)
    parser.add_argument("--api-key", default="")
    options = parser.parse_args()
    endpoint = Endpoint.parse(options.grpc)
    metadata = [("application", endpoint.application)] if endpoint.application else []
    metadata += [("authorization", f"Bearer {options.api_key}")] if options.api_key else []
    stub = IngestServiceStub(grpc.insecure_channel(endpoint.address))
    stub.CreateCollection(ingest.CreateCollectionRequest(collection=options.collection), metadata=metadata)
    paths = sorted(path for path in options.photos.rglob("*") if has_image_suffix(path))
    free = threading.Semaphore(options.ahead)
    outcomes: Counter[str] = Counter()
    started = time.monotonic()
    answers = stub.AddImages(_read(paths, options.collection, free), timeout=_PATIENCE_S, metadata=metadata)
    for answer in answers:
        free.release()
        name = ingest.AddImagesResponse.Outcome.Name(answer.outcome).removeprefix("OUTCOME_").lower()
        outcomes[name] += 1
        if name == "refused":
            print(f"{answer.request_key}: {answer.failure_kind}: {answer.failure_message}")
    seconds = time.monotonic() - started
    figures = {"photos": len(paths), "seconds": round(seconds, 1), "images_per_second": round(len(paths) / seconds, 2)}
    print(json.dumps({**figures, **outcomes}))
    return 1 if outcomes["refused"] else 0


def _read(paths: list[Path], collection: str, free: threading.Semaphore) -> Iterator[ingest.AddImagesRequest]:
    for path in paths:
        free.acquire()
        yield ingest.AddImagesRequest(
            collection=collection, request_key=path.name, name=path.name, content=path.read_bytes()
        )


if __name__ == "__main__":
    raise SystemExit(main())
