"""Our figures and the papers' in one Markdown table; what nobody measured stays empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glyphseek.evaluation.breakdown import Bucket
from glyphseek.evaluation.published import published_figures
from glyphseek.evaluation.report import Report


def comparison_table(reports: Sequence[Report]) -> str:
    """Return a Markdown table of mAP in percent: one row a method and source, one column a gallery and query list.

    Our rows come first, each figure with its 95 % interval. A figure of ours stands in a paper's column only when
    it was measured on the same number of images and queries of that set; otherwise it gets a column of its own, in
    which the papers' cells are empty. The list under the table says what each column is.
    """
    columns = [column.name for column in published_figures().columns]
    columns += list(dict.fromkeys(_column(report) for report in reports if _column(report) not in columns))
    rows = [_row(method, "measured here", cells, columns) for method, cells in _our_cells(reports).items()]
    for row in published_figures().rows:
        cells = {column: f"{value:.2f}" for column, value in row.map_percent.items()}
        rows.append(_row(row.method, row.source, cells, columns))
    head = f"| method | source | {' | '.join(columns)} |"
    rule = f"|---|---|{'---:|' * len(columns)}"
    return "\n".join([head, rule, *rows, "", *_legend(reports)]) + "\n"


def summary_table(reports: Sequence[Report]) -> str:
    """Return our figures alone as a Markdown table, one row a report, with counts, interval, small text and recall."""
    counts = list(reports[0].recall_percent) if reports else []
    recalls = "".join(f" R@{count} |" for count in counts)
    head = f"| method | gallery | images | queries | mAP % | 95 % interval | mAP % of text under 24 px |{recalls}"
    rule = f"|---|---|---:|---:|---:|---|---|{'---:|' * len(counts)}"
    return "\n".join([head, rule, *(_summary_row(report) for report in reports)]) + "\n"


def _summary_row(report: Report) -> str:
    cells = [
        report.method,
        f"{report.benchmark}, {report.query_list}",
        str(report.images),
        str(report.queries),
        f"{report.map_percent:.2f}",
        f"{report.interval_95.low:.2f} to {report.interval_95.high:.2f}",
        _told(report.small_text),
        *(f"{value:.2f}" for value in report.recall_percent.values()),
    ]
    return f"| {' | '.join(cells)} |"


def _told(bucket: Bucket) -> str:
    return "" if bucket.map_percent is None else f"{bucket.map_percent:.2f} ({bucket.queries} queries)"


def _our_cells(reports: Sequence[Report]) -> dict[str, dict[str, str]]:
    cells: dict[str, dict[str, str]] = {}
    for report in reports:
        interval = f"{report.interval_95.low:.1f}-{report.interval_95.high:.1f}"
        cells.setdefault(report.method, {})[_column(report)] = f"**{report.map_percent:.2f}** ({interval})"
    return cells


def _column(report: Report) -> str:
    return report.comparable_to or f"{report.benchmark}, {report.query_list}"


def _row(method: str, source: str, cells: Mapping[str, str], columns: Sequence[str]) -> str:
    return f"| {method} | {source} | {' | '.join(cells.get(column, '') for column in columns)} |"


def _legend(reports: Sequence[Report]) -> list[str]:
    lines = [
        f"* {column.name}: {column.gallery}, {column.images} images, {column.queries} queries: {column.made_of}."
        for column in published_figures().columns
    ]
    ours = {
        _column(report): f"* {_column(report)}: {report.images} images, {report.queries} queries; measured here only."
        for report in reports
        if report.comparable_to is None
    }
    return [*lines, *ours.values()]
