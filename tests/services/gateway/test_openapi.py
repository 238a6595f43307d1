"""The description of the HTTP interface."""

from __future__ import annotations

import json
import re
from pathlib import Path

from glyphseek_gateway.__main__ import write_openapi

COMMITTED = Path(__file__).parents[3] / "docs/api/openapi.json"


def test_the_committed_description_is_that_of_the_code() -> None:
    hint = "write it again: python -m glyphseek_gateway --openapi > docs/api/openapi.json"
    assert write_openapi() == COMMITTED.read_text(encoding="utf-8"), hint


def test_every_schema_that_is_named_is_there() -> None:
    text = COMMITTED.read_text(encoding="utf-8")
    named = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert named <= set(json.loads(text)["components"]["schemas"])


def test_every_operation_under_v1_tells_of_keys_and_problems() -> None:
    paths = json.loads(COMMITTED.read_text(encoding="utf-8"))["paths"]
    operations = [one for path, found in paths.items() if path.startswith("/v1/") for one in found.values()]
    assert len(operations) == 13
    for operation in operations:
        assert operation["security"] == [{"bearer": []}, {"header": []}]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
