import pytest

from glyphseek.evaluation.published import comparable_column, published_figures


def _figure(method: str, source: str, column: str) -> float:
    [row] = [r for r in published_figures().rows if r.method == method and r.source.startswith(source)]
    return row.map_percent[column]


@pytest.mark.parametrize(
    ("method", "source", "column", "expected"),
    [
        ("TDSL", "TDSL", "CTR", 66.45),
        ("TDSL", "MSTAR", "TTR (list B)", 74.75),
        ("TDSL", "CAYN", "TTR (list A)", 76.38),
        ("FDP-L", "FDP", "IIIT-STR", 89.46),
        ("CAYN RN50x16-768", "CAYN", "SVT", 92.72),
        ("MSTAR + rerank", "MSTAR", "IC15", 82.69),
        ("MSTAR", "MSTAR", "MQTR semantic", 75.14),
    ],
)
def test_figures_are_those_of_the_papers(method: str, source: str, column: str, expected: float) -> None:
    assert _figure(method, source, column) == expected


def test_every_row_names_its_source_and_only_known_columns() -> None:
    known = {column.name for column in published_figures().columns}
    for row in published_figures().rows:
        assert row.source
        assert row.map_percent
        assert set(row.map_percent) <= known
        assert all(0 < value < 100 for value in row.map_percent.values())


def test_no_source_prints_a_method_twice() -> None:
    pairs = [(row.method, row.source) for row in published_figures().rows]
    assert len(set(pairs)) == len(pairs)


def test_only_a_gallery_and_a_list_of_the_papers_size_compare() -> None:
    assert comparable_column("SVT", images=249, queries=427) == "SVT"
    assert comparable_column("SVT", images=248, queries=427) is None
    assert comparable_column("SVT", images=249, queries=60) is None
    assert comparable_column("unheard of", images=249, queries=427) is None
