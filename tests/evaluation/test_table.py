from evaluation.toy import toy_report

from glyphseek.evaluation import comparison_table, summary_table


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _table(text: str) -> list[list[str]]:
    return [_cells(line) for line in text.splitlines() if line.startswith("|")]


def test_a_figure_of_another_gallery_has_a_column_of_its_own_that_is_empty_for_papers() -> None:
    head, _, ours, *papers = _table(comparison_table([toy_report()]))
    place = head.index("toy, all")
    assert ours[0] == "tdsl"
    assert ours[1] == "measured here"
    assert ours[place].startswith("**79.17**")
    assert all(cell == "" for number, cell in enumerate(ours) if number > 1 and number != place)
    assert {row[place] for row in papers} == {""}


def test_a_comparable_figure_stands_in_the_papers_column() -> None:
    head, _, ours, *papers = _table(comparison_table([toy_report(comparable_to="SVT")]))
    place = head.index("SVT")
    assert "toy, all" not in head
    assert ours[place].startswith("**79.17**")
    assert ["TDSL", "TDSL, CVPR 2021"] in [row[:2] for row in papers]
    assert {row[place] for row in papers if row[:2] == ["TDSL", "TDSL, CVPR 2021"]} == {"89.38"}


def test_several_methods_have_a_row_each() -> None:
    head, _, first, second, *_ = _table(comparison_table([toy_report("tdsl"), toy_report("ocr")]))
    assert [first[0], second[0]] == ["tdsl", "ocr"]
    assert head.count("toy, all") == 1


def test_without_reports_the_papers_stand_alone() -> None:
    assert "| TDSL | TDSL, CVPR 2021 | 89.38 | 77.09 |  |  | 66.45 |" in comparison_table([])


def test_every_row_has_as_many_cells_as_the_head() -> None:
    rows = _table(comparison_table([toy_report()]))
    assert {len(row) for row in rows} == {len(rows[0])}


def test_the_legend_says_what_each_column_is() -> None:
    text = comparison_table([toy_report()])
    assert "* SVT: SVT test, 249 images, 427 queries: every distinct lower-cased tag." in text
    assert "* toy, all: 4 images, 2 queries; measured here only." in text


def test_the_summary_counts_images_and_queries() -> None:
    *_, row = _table(summary_table([toy_report()]))
    assert row == [
        "tdsl",
        "toy, all",
        "4",
        "2",
        "79.17",
        "58.33 to 100.00",
        "75.00 (2 queries)",
        "50.00",
        "100.00",
        "100.00",
        "100.00",
    ]
