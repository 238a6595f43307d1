from __future__ import annotations

from contracts.stores import make_record

from glyphseek.types import RowHit
from glyphseek.vectors.catalogue import CommittedImage
from glyphseek.vectors.ordering import order_hits
from glyphseek.vectors.scan_table import TableHit


def hit(image_id: str, instance: int, similarity: float) -> TableHit:
    image = CommittedImage(key=1, vector_count=9, record=make_record(image_id))
    return TableHit(image=image, instance=instance, similarity=similarity)


def test_hits_come_best_first_and_ties_by_image_id_then_instance() -> None:
    found = [hit("b", 0, 0.5), hit("a", 2, 0.5), hit("a", 1, 0.5), hit("c", 0, 0.75)]
    ordered = [(one.image_id, one.instance) for one in order_hits(found, limit=9, has_instances=True)]
    assert ordered == [("c", 0), ("a", 1), ("a", 2), ("b", 0)]


def test_hits_without_ties_come_best_first() -> None:
    found = [hit("a", 0, -0.5), hit("b", 0, 0.75), hit("c", 1, 0.0)]
    assert [one.image_id for one in order_hits(found, limit=2, has_instances=True)] == ["b", "c"]


def test_a_limit_cuts_after_ordering() -> None:
    found = [hit("b", 0, 0.5), hit("a", 0, 0.5), hit("c", 0, 0.75)]
    assert [one.image_id for one in order_hits(found, limit=2, has_instances=True)] == ["c", "a"]


def test_without_instances_a_row_stands_for_its_image() -> None:
    expected = [RowHit(image_id="a", instance=None, similarity=0.5)]
    assert order_hits([hit("a", 0, 0.5)], limit=1, has_instances=False) == expected
