from glyphseek.indexing import NO_DESCRIPTIONS, Descriptions
from glyphseek.metadata import Metadata
from glyphseek.types import ImageRecord

OSLO, BERGEN = Metadata({"city": "Oslo"}), Metadata({"city": "Bergen"})
RECORD = ImageRecord(
    image_id="a", content_hash="a", names=("a.jpg", "b.jpg"), width=1, height=1, instance_count=0, metadata=OSLO
)


def test_a_photo_gets_what_is_said_of_the_first_of_its_names() -> None:
    said = Descriptions(by_name={"b.jpg": BERGEN, "a.jpg": Metadata({})})

    assert said.describe(RECORD, ("a.jpg", "b.jpg")).metadata == {}
    assert said.describe(RECORD, ("b.jpg", "c.jpg")).metadata == BERGEN


def test_a_photo_of_which_nothing_new_is_said_is_the_very_same() -> None:
    for said in (NO_DESCRIPTIONS, Descriptions(by_name={"c.jpg": BERGEN}), Descriptions(by_name={"a.jpg": OSLO})):
        assert said.describe(RECORD, RECORD.names) is RECORD
