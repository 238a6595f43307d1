"""What a store on a Milvus server does beyond the contract of all stores: tenants, several writers, leftovers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
from contracts.stores import axis, make_card, make_record, milvus_uri, rows

from glyphseek.errors import InputError, StoreUnavailable
from glyphseek.types import FloatArray
from glyphseek.vectors.milvus_client import MilvusCalls, Row
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def settings() -> MilvusSettings:
    return MilvusSettings(uri=milvus_uri(), timeout_s=60, index=IndexSettings(kind=IndexKind.FLAT), partitions=2)


@pytest.fixture(scope="module")
def gallery() -> str:
    return f"s{uuid4().hex}"


@pytest.fixture
def store(settings: MilvusSettings, gallery: str) -> Iterator[MilvusStore]:
    with closing(MilvusStore.open(settings, gallery=gallery, card=make_card())) as opened:
        yield opened
        opened.delete([record.image_id for record in opened.scan()])
        opened.remove_leftovers(older_than_s=-HOUR_S)


@pytest.mark.parametrize("kind", [IndexKind.HNSW, IndexKind.IVF_SQ8])
def test_an_index_is_chosen_by_setting(settings: MilvusSettings, kind: IndexKind) -> None:
    settings = replace(settings, index=IndexSettings(kind=kind))
    with closing(MilvusStore.open(settings, gallery=f"k{uuid4().hex}", card=make_card())) as store:
        store.put([make_record("a"), make_record("b")], [rows(axis(0)), rows(axis(1))])
        assert [hit.image_id for hit in store.search(rows(axis(1)), 2)[0]] == ["b", "a"]
        calls = MilvusCalls(settings)
        described = calls.client.describe_index(store.generation.vectors, "vector")
        assert described["index_type"] == kind.value
        calls.close()


def test_tenants_share_a_gallery_and_never_see_each_other(settings: MilvusSettings, gallery: str) -> None:
    tenants = ["alpha", "beta", "alpha2"]
    stores = [MilvusStore.open(replace(settings, tenant=one), gallery=gallery, card=make_card()) for one in tenants]
    for number, store in enumerate(stores):
        own = make_record("of-" + tenants[number])
        store.put([make_record("same", names=[tenants[number]]), own], [rows(axis(number)), rows(axis(0))])
    for number, store in enumerate(stores):
        records = list(store.scan())
        assert [record.image_id for record in records] == ["of-" + tenants[number], "same"]
        assert records[1].names == (tenants[number],)
        assert store.count() == 2
        hits = store.search(rows(axis(number)), 10)[0]
        assert sorted(hit.image_id for hit in hits) == ["of-" + tenants[number], "same"]
        assert {hit.image_id: hit.similarity for hit in hits}["same"] == 1
    stores[0].delete(["same"])
    assert stores[0].get(["same"]) == {}
    assert stores[1].get(["same"])["same"].names == ("beta",)
    assert [len(store.search(rows(axis(1)), 10)[0]) for store in stores] == [1, 2, 2]
    for store in stores:
        store.close()


def test_vectors_of_a_writer_that_died_are_never_found_and_can_be_removed(
    store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([make_record("kept")], [rows(axis(0, scale=0.5))])

    def die(self: MilvusCalls, collection: str, written: list[Row]) -> None:
        raise StoreUnavailable("the process ends here")

    with monkeypatch.context() as patched:
        patched.setattr(MilvusCalls, "upsert", die)
        for image_id in ("new", "kept"):
            with pytest.raises(StoreUnavailable):
                store.put([make_record(image_id, instances=2)], [rows(axis(0), axis(1))])
    for limit in (1, 2, 100):
        [hits] = store.search(rows(axis(0)), limit)
        assert [(hit.image_id, hit.similarity) for hit in hits] == [("kept", 0.5)]
    assert store.remove_leftovers(older_than_s=HOUR_S) == 0
    assert store.remove_leftovers(older_than_s=-HOUR_S) == 4
    assert store.remove_leftovers(older_than_s=-HOUR_S) == 0
    assert [hit.image_id for hit in store.search(rows(axis(0)), 10)[0]] == ["kept"]


def forget(self: MilvusCalls, collection: str, pks: Sequence[str]) -> None:
    """Delete nothing."""


def test_vectors_that_a_dead_writer_replaced_but_did_not_remove_are_never_found(
    store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([make_record("a", instances=2), make_record("b")], [rows(axis(0), axis(1)), rows(axis(0, scale=0.5))])
    with monkeypatch.context() as patched:
        patched.setattr(MilvusCalls, "delete", forget)
        store.put([make_record("a")], [rows(axis(2))])
    assert [hit.image_id for hit in store.search(rows(axis(0)), 1)[0]] == ["b"]
    assert [(hit.image_id, hit.instance) for hit in store.search(rows(axis(2)), 5)[0]] == [("a", 0), ("b", 0)]
    assert store.remove_leftovers(older_than_s=-HOUR_S) == 2


def test_an_image_that_two_stores_put_at_once_is_there_once(settings: MilvusSettings, gallery: str) -> None:
    first, second = (MilvusStore.open(settings, gallery=gallery, card=make_card()) for _ in range(2))
    first.put([make_record("x", names=["first"])], [rows(axis(0))])
    second.put([make_record("x", names=["second"])], [rows(axis(1))])
    for store in (first, second):
        assert [record.names for record in store.scan()] == [("second",)]
        assert [(hit.image_id, hit.similarity) for hit in store.search(rows(axis(1)), 5)[0]] == [("x", 1.0)]
    first.delete(["x"])
    assert second.search(rows(axis(1)), 5) == [[]]
    first.close()
    second.close()


def test_ids_that_do_not_fit_are_refused_by_put_and_unknown_to_the_rest(store: MilvusStore) -> None:
    long = "i" * 481
    with pytest.raises(InputError, match="more than 480 bytes"):
        store.put([make_record("fits"), make_record(long)], [rows(axis(0)), rows(axis(0))])
    assert list(store.scan()) == []
    assert store.get([long]) == {}
    store.delete([long])


def test_one_image_may_have_more_vectors_than_one_call_takes(store: MilvusStore) -> None:
    vectors = rows(*[axis(n % 8, scale=1 + n / 4000) for n in range(4000)])
    store.put([make_record("many", instances=4000)], [vectors])
    assert store.search(rows(axis(7)), 1)[0][0].instance == 3999
    assert len(store.search(rows(axis(0)), 10_000)[0]) == 4000
    store.delete(["many"])
    assert store.search(rows(axis(0)), 5) == [[]]


def test_what_is_not_indexed_yet_is_searched_exactly(settings: MilvusSettings) -> None:
    with closing(MilvusStore.open(settings, gallery=f"x{uuid4().hex}", card=make_card(width=32))) as store:
        vectors_ND, queries_QD = put_random(store, images=6000)
        for query_D, hits in zip(queries_QD, store.search(queries_QD, 100), strict=True):
            nearest = np.argsort(-(vectors_ND @ query_D))[:100]
            assert [int(hit.image_id) for hit in hits] == nearest.tolist()


def put_random(store: MilvusStore, *, images: int) -> tuple[FloatArray, FloatArray]:
    """Put images of one unit vector each and metadata that one in 60 shares; return the vectors and five queries."""
    vectors_ND = np.random.default_rng(7).standard_normal((images + 5, 32)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    records = [replace(make_record(f"{n:05}"), metadata={"part": n % 60}) for n in range(images)]
    store.put(records, list(vectors_ND[:images, None]))
    return vectors_ND[:images], vectors_ND[images:]
