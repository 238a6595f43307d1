"""What every vector store must do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.stores import axis, make_card, make_record, milvus_uri, rows

from glyphseek.errors import InputError
from glyphseek.ports import VectorStore
from glyphseek.types import FeatureKind, FloatArray, ModelCard, RowHit
from glyphseek.vectors.memory import MemoryVectorStore
from glyphseek.vectors.milvus import MilvusLiteStore
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings

Builder = Callable[[Path, ModelCard], VectorStore]

BUILDERS: dict[str, Builder] = {
    "memory": lambda _, card: MemoryVectorStore(card=card),
    "milvus lite": lambda folder, card: MilvusLiteStore.open(folder, card=card),
    "milvus server": lambda _, card: open_on_milvus(IndexKind.FLAT, card),
    "milvus server, hnsw": lambda _, card: open_on_milvus(IndexKind.HNSW, card),
}


def open_on_milvus(kind: IndexKind, card: ModelCard) -> VectorStore:
    """Return a store with a gallery of its own on the Milvus that all tests share; skip when there is none."""
    settings = MilvusSettings(uri=milvus_uri(), index=IndexSettings(kind=kind), timeout_s=60, partitions=2)
    return MilvusStore.open(settings, gallery=f"g{uuid4().hex}", card=card)


@pytest.fixture(scope="module", params=list(BUILDERS))
def build(request: pytest.FixtureRequest) -> Builder:
    return BUILDERS[request.param]


@pytest.fixture(scope="module")
def shared_store(build: Builder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    store = build(tmp_path_factory.mktemp("vectors"), make_card())
    yield store
    store.close()


@pytest.fixture
def store(shared_store: VectorStore) -> VectorStore:
    """A store without images; it is one for all tests of a kind, because opening takes a second or two."""
    shared_store.delete([record.image_id for record in shared_store.scan()])
    return shared_store


def ids_of(hits: list[RowHit]) -> list[tuple[str, int | None]]:
    return [(hit.image_id, hit.instance) for hit in hits]


def random_units(seed: int, count: int, width: int = 8) -> FloatArray:
    vectors = np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_new_store_is_empty(store: VectorStore) -> None:
    assert list(store.scan()) == []
    assert store.get(["a"]) == {}
    assert store.search(rows(axis(0), axis(1)), 10) == [[], []]


def test_rows_come_best_first_with_their_inner_product(store: VectorStore) -> None:
    store.put(
        [make_record("a", instances=2), make_record("b")],
        [rows(axis(0, scale=0.25), axis(0, scale=0.75)), rows(axis(0, scale=0.5))],
    )
    assert store.search(rows(axis(0)), 10) == [
        [
            RowHit(image_id="a", instance=1, similarity=0.75),
            RowHit(image_id="b", instance=0, similarity=0.5),
            RowHit(image_id="a", instance=0, similarity=0.25),
        ]
    ]


def test_each_query_has_its_own_answer(store: VectorStore) -> None:
    store.put([make_record("a"), make_record("b")], [rows(axis(0)), rows(axis(1))])
    answers = store.search(rows(axis(1), axis(0), axis(1)), 1)
    assert [ids_of(hits) for hits in answers] == [[("b", 0)], [("a", 0)], [("b", 0)]]


def test_no_query_gives_no_answer(store: VectorStore) -> None:
    store.put([make_record("a")], [rows(axis(0))])
    assert store.search(rows(), 3) == []


def test_equal_similarities_are_ordered_by_image_id_then_instance(store: VectorStore) -> None:
    ids = ["m", "Z", "a", "ä", "a1", "0"]
    for image_id in ids:
        store.put([make_record(image_id, instances=2)], [rows(axis(0), axis(0))])
    expected = [(image_id, instance) for image_id in sorted(ids) for instance in (0, 1)]
    assert ids_of(store.search(rows(axis(0)), 20)[0]) == expected


@pytest.mark.parametrize("limit", [1, 3, 99])
def test_a_limit_that_cuts_through_ties_keeps_the_first_by_id(store: VectorStore, limit: int) -> None:
    ids = [f"{n:03}" for n in range(100)]
    order = np.random.default_rng(1).permutation(100)
    store.put([make_record(ids[n]) for n in order], [rows(axis(0))] * 100)
    assert ids_of(store.search(rows(axis(0)), limit)[0]) == [(image_id, 0) for image_id in ids[:limit]]


def test_an_image_without_vectors_is_there_and_never_found(store: VectorStore) -> None:
    store.put([make_record("empty", instances=0), make_record("a")], [rows(), rows(axis(0))])
    assert [record.image_id for record in store.scan()] == ["a", "empty"]
    assert ids_of(store.search(rows(axis(0)), 10)[0]) == [("a", 0)]


def test_a_record_returns_as_it_was_put(store: VectorStore) -> None:
    names = ("a 'quoted' \"name\".jpg", "back\\slash", "line\nend\r\t\0", "Ünï/写真/😀.png", "not utf-8 \udcff", "")
    record = make_record("id with 'both' \"quotes\" \\ and 写真", names=names, instances=3)
    store.put([record], [rows(axis(0))])
    assert store.get([record.image_id]) == {record.image_id: record}
    assert list(store.scan()) == [record]


def test_a_record_may_have_very_many_names(store: VectorStore) -> None:
    record = make_record("a", names=[f"a/long/path/to/the/copy/number/{n}.jpg" for n in range(5000)])
    store.put([record], [rows(axis(0))])
    assert store.get(["a"]) == {"a": record}


def test_unknown_ids_are_absent_from_get(store: VectorStore) -> None:
    store.put([make_record("a")], [rows(axis(0))])
    assert set(store.get(["b", "a", "a"])) == {"a"}


def test_scan_is_ordered_by_image_id(store: VectorStore) -> None:
    for image_id in ["b", "A", "ä", "a", "10", "9"]:
        store.put([make_record(image_id)], [rows(axis(0))])
    assert [record.image_id for record in store.scan()] == ["10", "9", "A", "a", "b", "ä"]


def test_a_later_put_replaces_record_and_vectors(store: VectorStore) -> None:
    store.put([make_record("a", instances=3)], [rows(axis(0), axis(1), axis(2))])
    changed = make_record("a", names=["elsewhere.jpg"])
    store.put([changed], [rows(axis(3))])
    assert list(store.scan()) == [changed]
    assert ids_of(store.search(rows(axis(0)), 10)[0]) == [("a", 0)]
    assert store.search(rows(axis(3)), 10)[0][0].similarity == 1


def test_deleted_images_are_in_no_later_answer(store: VectorStore) -> None:
    ids = [f"{n:02}" for n in range(30)]
    store.put([make_record(image_id) for image_id in ids], [rows(axis(0))] * 30)
    store.delete([*ids[::2], "unknown", ids[0]])
    assert [record.image_id for record in store.scan()] == ids[1::2]
    assert store.get(ids[::2]) == {}
    assert ids_of(store.search(rows(axis(0)), 100)[0]) == [(image_id, 0) for image_id in ids[1::2]]


def test_a_deleted_image_may_be_put_again(store: VectorStore) -> None:
    store.put([make_record("a")], [rows(axis(0))])
    store.delete(["a"])
    store.put([make_record("a")], [rows(axis(1))])
    assert store.search(rows(axis(1)), 5) == [[RowHit(image_id="a", instance=0, similarity=1.0)]]


def test_nothing_put_and_nothing_deleted_change_nothing(store: VectorStore) -> None:
    store.put([], [])
    store.delete([])
    assert list(store.scan()) == []


def test_more_than_a_thousand_images_and_vectors_in_one_call_all_arrive(store: VectorStore) -> None:
    vectors = random_units(5, 2600)
    records = [make_record(f"{n:04}", instances=2) for n in range(1300)]
    store.put(records, [vectors[2 * n : 2 * n + 2] for n in range(1300)])
    assert list(store.scan()) == records
    nearest = store.search(vectors[::100], 1)
    assert [ids_of(hits) for hits in nearest] == [[(f"{n // 2:04}", n % 2)] for n in range(0, 2600, 100)]
    store.delete([record.image_id for record in records[:1250]])
    assert list(store.scan()) == records[1250:]
    assert len(store.search(vectors[:1], 10_000)[0]) == 100


def test_answers_equal_the_plain_definition(store: VectorStore) -> None:
    vectors, queries = random_units(1, 600), random_units(2, 5)
    store.put([make_record(f"{n:03}", instances=3) for n in range(200)], list(vectors.reshape(200, 3, 8)))
    answers = store.search(queries, 50)
    for query, hits in zip(queries, answers, strict=True):
        expected = sorted(range(600), key=lambda row: -float(vectors[row] @ query))[:50]
        assert ids_of(hits) == [(f"{row // 3:03}", row % 3) for row in expected]
        np.testing.assert_allclose([hit.similarity for hit in hits], vectors[expected] @ query, atol=1e-6)


def test_search_sees_what_was_put_just_before(store: VectorStore) -> None:
    for n in range(20):
        store.put([make_record(f"{n:02}")], [rows(axis(n % 8))])
        assert (f"{n:02}", 0) in ids_of(store.search(rows(axis(n % 8)), 10)[0])


def test_rows_of_a_model_with_global_vectors_have_no_instance(build: Builder, tmp_path: Path) -> None:
    store = build(tmp_path, make_card(kind=FeatureKind.GLOBAL))
    store.put([make_record("a"), make_record("b")], [rows(axis(0)), rows(axis(1))])
    assert ids_of(store.search(rows(axis(1)), 5)[0]) == [("b", None), ("a", None)]
    with pytest.raises(InputError, match="'c' has 2 vectors, the limit is 1"):
        store.put([make_record("c")], [rows(axis(0), axis(1))])
    store.close()


def test_vectors_that_do_not_fit_are_refused_and_nothing_is_written(store: VectorStore) -> None:
    good, bad = rows(axis(0)), rows(axis(0, width=9))
    with pytest.raises(InputError, match=r"'b' have shape \(1, 9\), expected \(n, 8\)"):
        store.put([make_record("a"), make_record("b")], [good, bad])
    with pytest.raises(InputError, match="2 records came with 1"):
        store.put([make_record("a"), make_record("b")], [good])
    with pytest.raises(InputError, match="2 records name 1 images"):
        store.put([make_record("a"), make_record("a")], [good, good])
    with pytest.raises(InputError, match="not finite"):
        store.put([make_record("a")], [rows(axis(0, scale=float("nan")))])
    assert list(store.scan()) == []


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_outside_its_bounds_is_refused_with_them(store: VectorStore, limit: int) -> None:
    with pytest.raises(InputError, match="1 to 10000"):
        store.search(rows(axis(0)), limit)


def test_queries_that_do_not_fit_are_refused(store: VectorStore) -> None:
    with pytest.raises(InputError, match=r"\(1, 9\), expected \(Q, 8\)"):
        store.search(rows(axis(0, width=9)), 5)
    with pytest.raises(InputError, match="not finite"):
        store.search(rows(axis(0, scale=float("inf"))), 5)


def test_searches_beside_a_writer_see_each_image_whole_in_one_version(store: VectorStore) -> None:
    versions = [rows(axis(0, scale=0.5), axis(0, scale=0.25)), rows(axis(0, scale=2), axis(0, scale=4))]
    store.put([make_record("kept"), make_record("changing", instances=2)], [rows(axis(0)), versions[0]])
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            store.put([make_record("changing", instances=2)], [versions[n % 2]])

    def search() -> list[list[float]]:
        return [[hit.similarity for hit in store.search(rows(axis(0)), 50)[0]] for _ in range(60)]

    with ThreadPoolExecutor(3) as pool:
        writing = pool.submit(write)
        searches = [pool.submit(search) for _ in range(2)]
        answers = [answer for done in searches for answer in done.result()]
        stop.set()
        writing.result()
    assert {tuple(answer) for answer in answers} <= {(1.0, 0.5, 0.25), (4.0, 2.0, 1.0)}
    assert len(answers) == 120
