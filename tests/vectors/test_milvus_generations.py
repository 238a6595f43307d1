"""Generations of a gallery on the Milvus that all tests share."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from uuid import uuid4

import pytest
from contracts.stores import axis, make_card, make_record, milvus_uri, rows
from pymilvus import DataType, MilvusClient

from glyphseek.errors import GalleryNotFound, ModelMismatch, SettingError, StoreUnavailable
from glyphseek.filters import parse_filter
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_generations import MilvusGenerations
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings

OLD, NEW = make_card(name="old", fingerprint="aa" * 16), make_card(name="new", fingerprint="bb" * 16)


@pytest.fixture(scope="module")
def settings() -> MilvusSettings:
    return MilvusSettings(uri=milvus_uri(), timeout_s=60, index=IndexSettings(kind=IndexKind.FLAT), partitions=2)


@pytest.fixture
def generations(settings: MilvusSettings) -> Iterator[MilvusGenerations]:
    with MilvusGenerations(settings) as opened:
        yield opened


@pytest.fixture
def gallery(settings: MilvusSettings) -> str:
    """A gallery of the old model with one image."""
    name = f"n{uuid4().hex}"
    fill(settings, name, OLD, "of-old")
    return name


def fill(settings: MilvusSettings, gallery: str, card: ModelCard, image_id: str, *, is_new: bool = False) -> None:
    with closing(MilvusStore.open(settings, gallery=gallery, card=card, is_new_generation=is_new)) as store:
        store.put([make_record(image_id)], [rows(axis(0))])


def ids_of(settings: MilvusSettings, gallery: str, card: ModelCard) -> list[str]:
    with closing(MilvusStore.open(settings, gallery=gallery, card=card)) as store:
        return [hit.image_id for hit in store.search(rows(axis(0)), 5)[0]]


def test_the_first_generation_is_the_current_one(generations: MilvusGenerations, gallery: str) -> None:
    current = generations.current(gallery)
    assert (current.gallery, current.model, current.fingerprint, current.is_current) == (
        gallery,
        "old",
        OLD.fingerprint,
        True,
    )
    assert [one for one in generations.list() if one.gallery == gallery] == [current]


def test_another_model_is_refused_with_both_names(settings: MilvusSettings, gallery: str) -> None:
    with pytest.raises(ModelMismatch, match=r"written by model 'old' \(aa.*the model in use is 'new' \(bb"):
        MilvusStore.open(settings, gallery=gallery, card=NEW)


def test_a_new_generation_is_built_beside_the_old_and_switched_to_at_once(
    settings: MilvusSettings, generations: MilvusGenerations, gallery: str
) -> None:
    fill(settings, gallery, NEW, "of-new", is_new=True)
    assert [(one.model, one.is_current) for one in generations.list() if one.gallery == gallery] == [
        ("old", True),
        ("new", False),
    ]
    assert ids_of(settings, gallery, OLD) == ["of-old"]
    generations.switch(gallery, NEW.fingerprint)
    assert generations.current(gallery).model == "new"
    assert ids_of(settings, gallery, NEW) == ["of-new"]
    with pytest.raises(ModelMismatch):
        MilvusStore.open(settings, gallery=gallery, card=OLD)
    generations.switch(gallery, OLD.fingerprint)
    assert ids_of(settings, gallery, OLD) == ["of-old"]


def test_readers_that_follow_the_alias_while_it_is_switched_fifty_times_never_fail_nor_mix(
    settings: MilvusSettings, generations: MilvusGenerations, gallery: str
) -> None:
    fill(settings, gallery, NEW, "of-new", is_new=True)
    stores = {
        card.fingerprint: MilvusStore.open(settings, gallery=gallery, card=card, is_new_generation=True)
        for card in (OLD, NEW)
    }
    is_over = threading.Event()

    def follow() -> list[tuple[str, tuple[str, ...]]]:
        answers: list[tuple[str, tuple[str, ...]]] = []
        with MilvusGenerations(settings) as seen:
            while not is_over.is_set() or not answers:
                current = seen.current(gallery)
                [hits] = stores[current.fingerprint].search(rows(axis(0)), 5)
                answers.append((current.model, tuple(hit.image_id for hit in hits)))
        return answers

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(follow) for _ in range(3)]
        for number in range(50):
            generations.switch(gallery, (NEW, OLD)[number % 2].fingerprint)
        is_over.set()
        answers = [answer for reader in readers for answer in reader.result()]
    assert set(answers) == {("old", ("of-old",)), ("new", ("of-new",))}
    for store in stores.values():
        store.close()


def test_a_generation_that_is_built_leaves_searches_of_the_current_one_alone(
    settings: MilvusSettings, gallery: str
) -> None:
    old = MilvusStore.open(settings, gallery=gallery, card=OLD)
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(fill, settings, gallery, NEW, "of-new", is_new=True)
        while not building.done():
            assert [hit.image_id for hit in old.search(rows(axis(0)), 5)[0]] == ["of-old"]
        building.result()
    old.close()


def test_a_gallery_is_dropped_with_all_its_generations_and_may_be_made_again(
    settings: MilvusSettings, generations: MilvusGenerations, gallery: str
) -> None:
    fill(settings, gallery, NEW, "of-new", is_new=True)
    other = f"{gallery}_2"
    fill(settings, other, OLD, "of-other")
    generations.drop_gallery(gallery)
    assert [one.gallery for one in generations.list() if one.gallery.startswith(gallery)] == [other]
    for call in (generations.current, generations.drop_gallery):
        with pytest.raises(GalleryNotFound, match=f"no gallery '{gallery}'"):
            call(gallery)
    fill(settings, gallery, NEW, "of-another-time")
    assert ids_of(settings, gallery, NEW) == ["of-another-time"]
    assert ids_of(settings, other, OLD) == ["of-other"]


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_gallery_whose_drop_dies_is_whole_or_gone_and_the_next_drop_finishes(
    settings: MilvusSettings, generations: MilvusGenerations, gallery: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(settings, gallery, NEW, "of-new", is_new=True)
    left = iter(range(steps))
    with monkeypatch.context() as patched:
        for name in ("drop_collection", "drop_alias"):
            patched.setattr(MilvusClient, name, die_when_over(left, getattr(MilvusClient, name)))
        with pytest.raises(StoreUnavailable, match="dies here"):
            generations.drop_gallery(gallery)
    if steps <= 2:  # both collections of the generation that is not current
        assert ids_of(settings, gallery, OLD) == ["of-old"]
    else:
        with pytest.raises(GalleryNotFound):
            generations.current(gallery)
    generations.drop_gallery(gallery)
    with pytest.raises(GalleryNotFound):
        generations.drop_gallery(gallery)


def die_when_over(left: Iterator[int], real: Callable[..., None]) -> Callable[..., None]:
    def call(*arguments: object, **named: object) -> None:
        if next(left, None) is None:
            raise StoreUnavailable("the process dies here")
        real(*arguments, **named)

    return call


def test_a_generation_made_before_metadata_serves_all_that_needs_none(settings: MilvusSettings) -> None:
    gallery = f"n{uuid4().hex}"
    make_without_metadata(settings, gallery, OLD)
    with closing(MilvusStore.open(settings, gallery=gallery, card=OLD)) as store:
        assert not store.generation.has_metadata
        store.put([make_record("a"), make_record("b")], [rows(axis(0)), rows(axis(1))])
        store.delete(["b"])
        assert [hit.image_id for hit in store.search(rows(axis(0)), 5)[0]] == ["a"]
        for call in (
            lambda: store.search(rows(axis(0)), 5, where=parse_filter("year == 2020")),
            lambda: store.put([replace(make_record("c"), metadata={"year": 2020})], [rows(axis(0))]),
        ):
            with pytest.raises(SettingError, match=f"'old' of gallery '{gallery}' was made before images had metadata"):
                call()
        assert [record.image_id for record in store.scan()] == ["a"]


def make_without_metadata(settings: MilvusSettings, gallery: str, card: ModelCard) -> None:
    """Make a generation as the first version of this library did."""
    described = {"format": 1, "gallery": gallery, "model": card.name, "fingerprint": card.fingerprint}
    client = MilvusClient(settings.uri)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    vectors = client.create_schema(auto_id=False, description=json.dumps(described))
    vectors.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=1120)
    vectors.add_field("tenant", DataType.VARCHAR, is_partition_key=True, max_length=64)
    vectors.add_field("writing", DataType.VARCHAR, max_length=32)
    vectors.add_field("vector", DataType.FLOAT_VECTOR, dim=card.vector_width)
    images = client.create_schema(auto_id=False, description=json.dumps(described))
    images.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=1040)
    images.add_field("writing", DataType.VARCHAR, max_length=32)
    images.add_field("vector_count", DataType.INT64)
    images.add_field("record", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=4096, max_length=60_000)
    images.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
    prefix = f"glyphseek_{gallery}_{card.fingerprint[:16]}"
    client.create_collection(f"{prefix}_vectors", schema=vectors, index_params=index, num_partitions=2)
    client.create_collection(f"{prefix}_images", schema=images, index_params=index)
    client.create_alias(f"{prefix}_images", f"glyphseek_{gallery}")
    client.close()


def test_only_a_generation_that_is_not_current_can_be_dropped(
    settings: MilvusSettings, generations: MilvusGenerations, gallery: str
) -> None:
    fill(settings, gallery, NEW, "of-new", is_new=True)
    with pytest.raises(SettingError, match=r"'old' is the current one .* switch first"):
        generations.drop(gallery, OLD.fingerprint)
    generations.switch(gallery, NEW.fingerprint)
    generations.drop(gallery, OLD.fingerprint)
    assert [one.model for one in generations.list() if one.gallery == gallery] == ["new"]
    with pytest.raises(GalleryNotFound, match=r"has no generation aa.*; it has: new \(bb"):
        generations.switch(gallery, OLD.fingerprint)


def test_a_gallery_that_is_not_there_is_said(generations: MilvusGenerations) -> None:
    with pytest.raises(GalleryNotFound, match="no gallery 'nobody'"):
        generations.current("nobody")
    with pytest.raises(SettingError, match="gallery 'No Name'"):
        generations.current("No Name")
