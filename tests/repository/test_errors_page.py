from pathlib import Path

from glyphseek.rpc.status import TABLE

PAGE = Path(__file__).parents[2] / "docs/api/errors.md"


def test_the_page_of_errors_has_every_row_of_the_table_and_no_other() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [f"| `{row.reason}` | {row.code.name} | {row.http} | {row.title} |" for row in TABLE]
