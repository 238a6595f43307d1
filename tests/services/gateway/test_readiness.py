"""What readiness says of the parts that searches need."""

from __future__ import annotations

import threading
import time

from fakes.gateways import make_gateway, served

from glyphseek.errors import StoreUnavailable
from glyphseek_gateway.readiness import Probe


def refuse() -> None:
    raise StoreUnavailable("no Milvus at 127.0.0.1:1")


def crash() -> None:
    raise ZeroDivisionError("secret-of-somebody")


def test_all_parts_are_told_with_their_time_and_reason() -> None:
    probes = [Probe(name="encoder", ask=lambda: None), Probe(name="milvus", ask=refuse)]
    with served(make_gateway(probes=probes)) as running:
        answer = running.http.get("/readyz")
        assert running.http.get("/healthz").json() == {"status": "alive"}
    assert answer.status_code == 503
    encoder, milvus = answer.json()["dependencies"]
    assert (encoder["is_ready"], encoder["reason"]) == (True, "")
    assert (milvus["is_ready"], milvus["reason"]) == (False, "no Milvus at 127.0.0.1:1")
    assert encoder["ms"] >= 0


def test_what_searches_can_do_without_leaves_the_gateway_ready() -> None:
    probes = [Probe(name="encoder", ask=lambda: None), Probe(name="reranker", ask=refuse, is_essential=False)]
    with served(make_gateway(probes=probes)) as running:
        answer = running.http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["is_ready"]
    assert [(one["is_ready"], one["is_essential"]) for one in answer.json()["dependencies"]] == [
        (True, True),
        (False, False),
    ]


def test_the_report_has_the_fields_that_the_description_names() -> None:
    with served(make_gateway(probes=[Probe(name="milvus", ask=refuse)])) as running:
        answer = running.http.get("/readyz").json()
        schemas = running.http.get("/openapi.json").json()["components"]["schemas"]
    assert answer.keys() == schemas["ReadinessBody"]["properties"].keys()
    assert answer["dependencies"][0].keys() == schemas["DependencyBody"]["properties"].keys()
    assert set(schemas["DependencyBody"]["required"]) == schemas["DependencyBody"]["properties"].keys()


def test_a_part_that_hangs_or_crashes_is_not_ready_and_tells_nothing_else() -> None:
    may_end = threading.Event()
    probes = [Probe(name="s3", ask=lambda: may_end.wait(20)), Probe(name="model", ask=crash)]
    with served(make_gateway(probes=probes)) as running:
        started = time.monotonic()
        answer = running.http.get("/readyz")
        assert time.monotonic() - started < 10
        may_end.set()
    s3, model = answer.json()["dependencies"]
    assert s3["reason"] == "no answer within 2 s"
    assert not model["is_ready"]
    assert "secret" not in answer.text
