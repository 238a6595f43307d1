from __future__ import annotations

import pytest

from glyphseek.errors import SettingError
from glyphseek.vectors.milvus_settings import IndexKind, IndexSettings, MilvusSettings


def make(**changes: object) -> MilvusSettings:
    return MilvusSettings(**{"uri": "http://127.0.0.1:19530", **changes})  # pyright: ignore[reportArgumentType]


def test_the_token_is_never_printed() -> None:
    assert "hidden" not in repr(make(token="root:hidden"))


@pytest.mark.parametrize("uri", ["", "milvus.db", "127.0.0.1:19530", "http://root:hidden@here:19530"])
def test_a_uri_of_another_form_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(SettingError, match="http://host:port") as caught:
        make(uri=uri)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("tenant", ["", "Upper", "a-b", 'a"', "1a", "a" * 65])
def test_a_tenant_that_could_be_mistaken_in_a_filter_is_refused(tenant: str) -> None:
    with pytest.raises(SettingError, match="tenant"):
        make(tenant=tenant)


@pytest.mark.parametrize(("name", "value"), [("timeout_s", 0), ("shards", 0), ("partitions", 5000), ("replicas", 0)])
def test_a_value_outside_its_bounds_is_refused_with_them(name: str, value: float) -> None:
    with pytest.raises(SettingError, match=f"{name} is {value}, it must be within"):
        make(**{name: value})


@pytest.mark.parametrize(
    ("kind", "built", "searched"),
    [
        (IndexKind.FLAT, {}, {}),
        (IndexKind.HNSW, {"M": 16, "efConstruction": 200}, {"ef": 500}),
        (IndexKind.IVF_SQ8, {"nlist": 1024}, {"nprobe": 64}),
        (IndexKind.DISKANN, {}, {"search_list": 500}),
    ],
)
def test_each_index_is_told_what_it_knows_and_holds_as_many_candidates_as_are_asked_for(
    kind: IndexKind, built: dict[str, int], searched: dict[str, int]
) -> None:
    settings = IndexSettings(kind=kind, search_width=300)
    assert settings.build_parameters() == built
    assert settings.search_parameters(500) == searched


def test_more_effort_looks_further_as_far_as_there_is_more() -> None:
    assert IndexSettings(kind=IndexKind.HNSW).search_parameters(500, effort=4) == {"ef": 2000}
    assert IndexSettings(kind=IndexKind.HNSW).search_parameters(10_000, effort=4) == {"ef": 32_768}
    assert IndexSettings(kind=IndexKind.IVF_SQ8).search_parameters(500, effort=4) == {"nprobe": 256}
    assert IndexSettings(kind=IndexKind.IVF_SQ8, lists=100).search_parameters(500, effort=4) == {"nprobe": 100}


def test_an_index_of_impossible_shape_is_refused() -> None:
    with pytest.raises(SettingError, match="graph_degree is 2, it must be within 4 to 64"):
        IndexSettings(graph_degree=2)
