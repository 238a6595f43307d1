from __future__ import annotations

import numpy as np
from contracts.stores import make_record

from glyphseek.types import RowHit
from glyphseek.vectors.catalogue import CommittedImage
from glyphseek.vectors.ordering import order_hits
from glyphseek.vectors.scan_table import TableHits


def table(*hits: tuple[str, int, float]) -> TableHits:
    return TableHits(
        images=[CommittedImage(key=1, vector_count=9, record=make_record(image_id)) for image_id, _, _ in hits],
        instances_F=np.array([instance for _, instance, _ in hits]),
        similarities_F=np.array([similarity for _, _, similarity in hits], dtype=np.float32),
    )


def test_hits_come_best_first_and_ties_by_image_id_then_instance() -> None:
    found = table(("b", 0, 0.5), ("a", 2, 0.5), ("a", 1, 0.5), ("c", 0, 0.75))
    ordered = [(one.image_id, one.instance) for one in order_hits(found, limit=9, has_instances=True)]
    assert ordered == [("c", 0), ("a", 1), ("a", 2), ("b", 0)]


def test_hits_without_ties_come_best_first() -> None:
    found = table(("a", 0, -0.5), ("b", 0, 0.75), ("c", 1, 0.0))
    assert [one.image_id for one in order_hits(found, limit=2, has_instances=True)] == ["b", "c"]


def test_a_limit_cuts_after_ordering() -> None:
    found = table(("b", 0, 0.5), ("a", 0, 0.5), ("c", 0, 0.75))
    assert [one.image_id for one in order_hits(found, limit=2, has_instances=True)] == ["c", "a"]


def test_without_instances_a_row_stands_for_its_image() -> None:
    expected = [RowHit(image_id="a", instance=None, similarity=0.5)]
    assert order_hits(table(("a", 0, 0.5)), limit=1, has_instances=False) == expected
