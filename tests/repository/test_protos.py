from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from repository.loaded_scripts import load_script

pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")

protos = load_script("protos")


def test_generated_code_is_what_the_protos_make_of_it_and_no_caller_of_a_release_breaks() -> None:
    assert protos.main(["check"]) == 0


def test_generated_code_that_was_edited_lost_or_left_over_is_found(tmp_path: Path) -> None:
    protos.generate(tmp_path)
    assert list(protos.find_drift(tmp_path)) == []
    folder = tmp_path / "glyphseek/api/v1"
    with (folder / "types_pb2.py").open("a") as file:
        file.write("# edited\n")
    (folder / "types_pb2.pyi").unlink()
    (folder / "old_pb2.py").write_text("")
    assert [one.split(" ")[0] for one in protos.find_drift(tmp_path)] == [
        f"glyphseek/api/v1/{name}" for name in ("old_pb2.py", "types_pb2.py", "types_pb2.pyi")
    ]


def _file(contract: FileDescriptorSet, name: str) -> FileDescriptorProto:
    return next(file for file in contract.file if file.name.endswith(f"/{name}.proto"))


def _term(contract: FileDescriptorSet) -> DescriptorProto:
    return next(one for one in _file(contract, "types").message_type if one.name == "Term")


def _remove_field(contract: FileDescriptorSet) -> None:
    del _term(contract).field[0]


def _renumber_field(contract: FileDescriptorSet) -> None:
    _term(contract).field[0].number = 9


def _retype_field(contract: FileDescriptorSet) -> None:
    field = _term(contract).field[0]
    field.type = field.TYPE_BYTES


def _rename_field(contract: FileDescriptorSet) -> None:
    _term(contract).field[0].name = "word"


def _repeat_field(contract: FileDescriptorSet) -> None:
    field = _term(contract).field[0]
    field.label = field.LABEL_REPEATED


def _move_into_oneof(contract: FileDescriptorSet) -> None:
    term = _term(contract)
    term.oneof_decl.add(name="either")
    term.field[0].oneof_index = 0


def _remove_value(contract: FileDescriptorSet) -> None:
    del _term(contract).enum_type[0].value[1]


def _renumber_value(contract: FileDescriptorSet) -> None:
    _term(contract).enum_type[0].value[1].number = 9


def _remove_enum(contract: FileDescriptorSet) -> None:
    _term(contract).ClearField("enum_type")


def _remove_message(contract: FileDescriptorSet) -> None:
    messages = _file(contract, "types").message_type
    messages.remove(_term(contract))


def _remove_rpc(contract: FileDescriptorSet) -> None:
    del _file(contract, "search_service").service[0].method[0]


def _change_rpc(contract: FileDescriptorSet) -> None:
    _file(contract, "search_service").service[0].method[0].server_streaming = True


def _remove_service(contract: FileDescriptorSet) -> None:
    _file(contract, "search_service").ClearField("service")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_remove_field, "field 1 (text) of glyphseek.api.v1.Term is gone"),
        (_renumber_field, "field 1 (text) of glyphseek.api.v1.Term is gone"),
        (_retype_field, "field 1 (text) of glyphseek.api.v1.Term has changed"),
        (_rename_field, "field 1 (text) of glyphseek.api.v1.Term has changed"),
        (_repeat_field, "field 1 (text) of glyphseek.api.v1.Term has changed"),
        (_move_into_oneof, "field 1 (text) of glyphseek.api.v1.Term has changed"),
        (_remove_value, "value 1 (KIND_WORD) of glyphseek.api.v1.Term.Kind is gone or renamed"),
        (_renumber_value, "value 1 (KIND_WORD) of glyphseek.api.v1.Term.Kind is gone or renamed"),
        (_remove_enum, "enum glyphseek.api.v1.Term.Kind is gone"),
        (_remove_message, "message glyphseek.api.v1.Term is gone"),
        (_remove_rpc, "rpc Search of glyphseek.api.v1.SearchService is gone"),
        (_change_rpc, "rpc Search of glyphseek.api.v1.SearchService has changed"),
        (_remove_service, "service glyphseek.api.v1.SearchService is gone"),
    ],
)
def test_what_callers_rely_on_cannot_go_unseen(change: Callable[[FileDescriptorSet], None], told: str) -> None:
    released = protos.read_released()
    now = FileDescriptorSet.FromString(released.SerializeToString())
    assert list(protos.find_breaks(released, now)) == []
    change(now)
    assert any(one.startswith(told) for one in protos.find_breaks(released, now))


def _add_field(contract: FileDescriptorSet) -> None:
    field = _term(contract).field.add(name="language", number=9)
    field.type, field.label = field.TYPE_STRING, field.LABEL_OPTIONAL


def _add_rpc(contract: FileDescriptorSet) -> None:
    service = _file(contract, "search_service").service[0]
    service.method.add(name="Explain", input_type=".glyphseek.api.v1.Term", output_type=".glyphseek.api.v1.Term")


def _retire_field(contract: FileDescriptorSet) -> None:
    term = _term(contract)
    number = term.field[0].number
    del term.field[0]
    term.reserved_range.add(start=number, end=number + 1)


@pytest.mark.parametrize("change", [_add_field, _add_rpc, _retire_field])
def test_what_callers_need_not_know_may_change(change: Callable[[FileDescriptorSet], None]) -> None:
    released = protos.read_released()
    now = FileDescriptorSet.FromString(released.SerializeToString())
    change(now)
    assert list(protos.find_breaks(released, now)) == []


def test_a_broken_contract_is_not_released(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    promised = tmp_path / "released.binpb"
    contract = protos.read_released()
    _add_field(contract)
    promised.write_bytes(contract.SerializeToString())
    monkeypatch.setattr(protos, "RELEASED", promised)
    assert protos.main(["release"]) == 1
    assert promised.read_bytes() == contract.SerializeToString()
    promised.unlink()
    assert protos.main(["release"]) == 0
    assert list(protos.find_breaks(protos.describe(), protos.read_released())) == []


@pytest.mark.parametrize("path", sorted(protos.PROTOS.rglob("*.proto")), ids=lambda path: path.stem)
def test_comments_of_the_contract_are_sentences_and_every_rpc_has_one(path: Path) -> None:
    lines = [line.strip() for line in path.read_text().splitlines()]
    for line, following in pairwise(lines):
        if line.startswith("//") and not following.startswith("//"):
            assert line.endswith("."), line
        if following.startswith(("rpc ", "service ")):
            assert line.startswith("//"), following
