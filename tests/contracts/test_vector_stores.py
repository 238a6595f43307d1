"""What every vector store must do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from contracts.stores import axis, make_card, make_record, milvus_uri, rows
from filters.random_filters import DIFFERENT_METADATA, filters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glyphseek.errors import InputError
from glyphseek.filters import Filter, parse_filter
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
    where = MilvusSettings(uri=milvus_uri(), index=IndexSettings(kind=kind), timeout_s=60, partitions=2)
    return MilvusStore.open(where, gallery=f"g{uuid4().hex}", card=card)


@pytest.fixture(scope="module", params=list(BUILDERS))
def build(request: pytest.FixtureRequest) -> Builder:
    return BUILDERS[request.param]


@pytest.fixture(scope="module")
def shared_store(build: Builder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    store = build(tmp_path_factory.mktemp("vectors"), make_card())
    yield store
    store.close()


VARIED = {f"{n:03}": one for n, one in enumerate(DIFFERENT_METADATA)}
"""Metadata of many kinds, by the id of its image."""


@pytest.fixture
def store(shared_store: VectorStore) -> VectorStore:
    """A store without images; it is one for all tests of a kind, because opening takes a second or two."""
    shared_store.delete([record.image_id for record in shared_store.scan()])
    return shared_store


@pytest.fixture(scope="module")
def varied_store(build: Builder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    """A store with an image for each of VARIED."""
    store = build(tmp_path_factory.mktemp("varied"), make_card())
    store.put([replace(make_record(one), metadata=VARIED[one]) for one in VARIED], [rows(axis(0))] * len(VARIED))
    yield store
    store.close()


def ids_of(hits: Sequence[RowHit]) -> list[tuple[str, int | None]]:
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


CITIES = {
    "a": {"city": "Oslo", "year": 2019},
    "b": {"city": "Oslo", "year": 2021, "open": True},
    "c": {"city": "Bergen", "year": 2021, "open": False},
    "d": {},
}


def put_cities(store: VectorStore) -> None:
    """Put images whose similarity to the first axis falls from a to d."""
    records = [replace(make_record(image_id, instances=2), metadata=metadata) for image_id, metadata in CITIES.items()]
    store.put(records, [rows(axis(0, scale=4 - n), axis(1)) for n in range(4)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('city == "Oslo"', "ab"),
        ('city != "Oslo"', "c"),
        ('not city == "Oslo"', "cd"),
        ("year >= 2020", "bc"),
        ('city in ["Bergen", "Oslo"] and not year < 2021', "bc"),
        ("open == true or year == 2019", "ab"),
        ("not open == true", "acd"),
        ("open != true", "c"),
        ('year == "2021"', ""),
        ('missing == ""', ""),
        ("not (missing == 1)", "abcd"),
    ],
)
def test_a_filter_lets_through_the_images_it_matches(store: VectorStore, text: str, expected: str) -> None:
    put_cities(store)
    [hits] = store.search(rows(axis(0)), 100, where=parse_filter(text))
    assert ids_of([hit for hit in hits if hit.similarity > 0]) == [(image_id, 0) for image_id in expected]
    assert {hit.image_id for hit in hits} == set(expected)


def test_a_filter_is_applied_before_the_limit(store: VectorStore) -> None:
    put_cities(store)
    assert ids_of(store.search(rows(axis(0)), 1, where=parse_filter('city == "Bergen"'))[0]) == [("c", 0)]
    answers = store.search(rows(axis(0), axis(1)), 2, where=parse_filter("year > 2020"))
    assert [ids_of(hits) for hits in answers] == [[("b", 0), ("c", 0)], [("b", 1), ("c", 1)]]


def test_metadata_returns_as_it_was_put_and_is_replaced_with_its_image(store: VectorStore) -> None:
    metadata = {
        "city": "写真 \"quoted\" 'single' \\ \n\0 😀",
        "size": -1.5e-300,
        "year": 2020,
        "open": False,
        "none": "",
    }
    record = replace(make_record("a"), metadata=metadata)
    store.put([record], [rows(axis(0))])
    assert store.get(["a"]) == {"a": record}
    assert store.get(["a"])["a"].metadata == metadata
    store.put([replace(record, metadata={"year": 2021})], [rows(axis(0))])
    assert [record.metadata for record in store.scan()] == [{"year": 2021}]
    assert store.search(rows(axis(0)), 5, where=parse_filter("year == 2020")) == [[]]
    assert ids_of(store.search(rows(axis(0)), 5, where=parse_filter("year == 2021"))[0]) == [("a", 0)]


def test_the_largest_metadata_there_may_be_is_kept_and_found(store: VectorStore) -> None:
    largest = {f"{'k' * 62}{n:02}": "写" * 317 for n in range(16)}
    store.put([replace(make_record("a", instances=3), metadata=largest)], [rows(axis(0), axis(1), axis(2))])
    assert store.get(["a"])["a"].metadata == largest
    where = parse_filter(f"{'k' * 62}15 == '{'写' * 317}'")
    assert ids_of(store.search(rows(axis(1)), 1, where=where)[0]) == [("a", 1)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(filters, min_size=1, max_size=8))
def test_random_filters_let_through_what_they_match(varied_store: VectorStore, several: list[Filter]) -> None:
    for where in several:
        [hits] = varied_store.search(rows(axis(0)), 1000, where=where)
        assert {hit.image_id for hit in hits} == {image_id for image_id, one in VARIED.items() if where.matches(one)}


def test_a_scan_goes_on_after_an_image(store: VectorStore) -> None:
    ids = ["10", "9", "A", "a", "a1", "b", "ä", "写", "😀"]
    store.put([make_record(image_id) for image_id in ids], [rows(axis(0))] * len(ids))
    for place, image_id in enumerate(ids):
        assert [record.image_id for record in store.scan(after=image_id)] == ids[place + 1 :]
    assert [record.image_id for record in store.scan(after="a0")] == ids[4:]
    assert [record.image_id for record in store.scan(after="a0" * 500)] == ids[4:]
    assert list(store.scan(after="😀😀")) == []


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
