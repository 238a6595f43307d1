"""Generations of a gallery on the Milvus that all tests share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import pytest
from contracts.stores import axis, make_card, make_record, milvus_uri, rows

from glyphseek.errors import GalleryNotFound, ModelMismatch, SettingError
from glyphseek.types import ModelCard
from glyphseek.vectors.milvus_generations import MilvusGenerations
from glyphseek.vectors.milvus_server import MilvusStore
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings

OLD, NEW = make_card(name="old", fingerprint="aa" * 16), make_card(name="new", fingerprint="bb" * 16)


@pytest.fixture(scope="module")
def settings() -> MilvusSettings:
    return MilvusSettings(uri=milvus_uri(), index=IndexSettings(kind=IndexKind.FLAT), partitions=2)


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


def test_searches_while_the_alias_moves_to_and_fro_answer_from_one_generation_each(
    settings: MilvusSettings, generations: MilvusGenerations, gallery: str
) -> None:
    fill(settings, gallery, NEW, "of-new", is_new=True)
    old = MilvusStore.open(settings, gallery=gallery, card=OLD)
    new = MilvusStore.open(settings, gallery=gallery, card=NEW, is_new_generation=True)
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            for card in (NEW, OLD):
                generations.switch(gallery, card.fingerprint)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        for _ in range(20):
            assert [hit.image_id for hit in old.search(rows(axis(0)), 5)[0]] == ["of-old"]
            assert [hit.image_id for hit in new.search(rows(axis(0)), 5)[0]] == ["of-new"]
            assert generations.current(gallery).model in ("old", "new")
    finally:
        stop.set()
        thread.join()
    old.close()
    new.close()


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
