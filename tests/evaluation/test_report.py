import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation.toy import toy_benchmark, toy_report

from glyphseek.errors import InputError, StoreError
from glyphseek.evaluation import evaluate, report_to_dict, save_reports

SALE = 100 * (1 / 2 + 2 / 3) / 2


def test_the_mean_is_over_queries_on_the_whole_gallery() -> None:
    report = toy_report()
    assert [(r.query, r.relevant) for r in report.per_query] == [("open", 1), ("sale", 2)]
    assert [r.average_precision_percent for r in report.per_query] == pytest.approx([100, SALE])
    assert report.map_percent == pytest.approx((100 + SALE) / 2)
    assert (report.images, report.queries, report.query_list) == (4, 2, "all")


def test_the_interval_stands_around_the_mean() -> None:
    report = toy_report()
    assert report.interval_95.low == pytest.approx(SALE)
    assert report.interval_95.high == pytest.approx(100)


def test_recall_is_the_mean_over_queries() -> None:
    assert toy_report().recall_percent == pytest.approx({1: 50, 5: 100, 10: 100, 100: 100})


def test_a_bucket_of_height_ranks_its_images_against_those_without_the_word() -> None:
    buckets = {bucket.label: bucket for bucket in toy_report().by_height}
    # "sale" is 10 px in a (of a, c, d: rank 2) and 60 px in b (of b, c, d: rank 2); "open" is 20 px in b.
    assert buckets["<16"].map_percent == pytest.approx(50)
    assert buckets["16-24"].map_percent == pytest.approx(100)
    assert buckets["24-48"].map_percent is None
    assert buckets[">=48"].map_percent == pytest.approx(50)


def test_small_text_is_ranked_against_images_without_the_word() -> None:
    small = toy_report().small_text
    # Under 24 px are "sale" in a (rank 2 of a, c, d) and "open" in b (rank 1 of 4).
    assert (small.label, small.queries) == ("<24", 2)
    assert small.map_percent == pytest.approx(75)


def test_a_list_without_small_text_has_no_figure_for_it() -> None:
    benchmark = toy_benchmark()
    report = evaluate(
        benchmark, benchmark.query_lists[0], lambda query: np.zeros(4, np.float32), method="tdsl", longer_side=None
    )
    unmeasured = replace(benchmark, images=tuple(replace(image, items=()) for image in benchmark.images))
    bare = evaluate(unmeasured, benchmark.query_lists[0], lambda query: np.zeros(4, np.float32), method="tdsl")
    assert report.small_text.queries == 2
    assert (bare.small_text.queries, bare.small_text.map_percent) == (0, None)


def test_scores_that_do_not_fit_the_gallery_are_refused() -> None:
    benchmark = toy_benchmark()
    with pytest.raises(InputError, match="do not fit"):
        evaluate(benchmark, benchmark.query_lists[0], lambda query: np.zeros(3, np.float32), method="short")


def test_a_report_survives_json(tmp_path: Path) -> None:
    report = toy_report()
    save_reports(tmp_path / "new" / "report.json", [report])
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    assert document == {"reports": [json.loads(json.dumps(report_to_dict(report)))]}
    assert document["reports"][0]["recall_percent"]["10"] == pytest.approx(100)
    assert document["reports"][0]["per_query"][0]["query"] == "open"
    assert document["reports"][0]["figures"] == {"images_per_s": 4.0}


def test_a_report_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        save_reports(tmp_path / "file" / "report.json", [toy_report()])
