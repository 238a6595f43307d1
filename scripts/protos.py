#!/usr/bin/env python3
"""The wire contract: generate its Python code, check that the code is fresh and that no caller of a release breaks.

`generate` writes shared/glyphseek/api from protos/; `check` says whether that was done and whether anything that
protos/released.binpb promises is gone; `release` makes the contract of today the promised one.
"""

from __future__ import annotations

import argparse
import importlib.resources
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
CODE = ROOT / "shared"
RELEASED = PROTOS / "released.binpb"


def main(arguments: list[str] | None = None) -> int:
    """Run one of the commands; return 0, or 1 with the differences on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("generate", "check", "release"))
    match parser.parse_args(arguments).command:
        case "generate":
            generate(CODE)
            problems: list[str] = []
        case "release":
            problems = list(find_breaks(read_released(), describe()))
            if not problems:
                RELEASED.write_bytes(describe().SerializeToString(deterministic=True))
        case _:
            problems = [*find_drift(CODE), *find_breaks(read_released(), describe())]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def generate(folder: Path) -> None:
    """Write the Python code of all protos, with its types, under `folder`."""
    _run_protoc(PROTOS, f"--python_out={folder}", f"--pyi_out={folder}", f"--grpc_python_out={folder}")


def describe(protos: Path = PROTOS) -> FileDescriptorSet:
    """Return the contract as it stands in the folder `protos`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "contract.binpb"
        _run_protoc(protos, f"--descriptor_set_out={path}", "--include_imports")
        return FileDescriptorSet.FromString(path.read_bytes())


def read_released() -> FileDescriptorSet:
    """Return the contract that callers of the last release rely on; an empty one before the first."""
    return FileDescriptorSet.FromString(RELEASED.read_bytes() if RELEASED.exists() else b"")


def find_drift(code: Path) -> Iterator[str]:
    """Yield each generated file that is not what the protos make of it: changed, missing or left over."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*_pb2*")}
    there = {path.relative_to(code): path.read_bytes() for path in code.rglob("*_pb2*.py*") if path.suffix != ".pyc"}
    for path in sorted(fresh.keys() | there.keys()):
        if fresh.get(path) != there.get(path):
            yield f"{path} is not what protos/ makes of it: run scripts/protos.py generate"


def find_breaks(released: FileDescriptorSet, now: FileDescriptorSet) -> Iterator[str]:
    """Yield what callers of `released` would miss in `now`: gone or changed fields, values, messages and rpcs.

    A field that is gone is a break unless its number is reserved.
    """
    yield from _compare_messages(dict(_messages(released)), dict(_messages(now)))
    yield from _compare_enums(dict(_enums(released)), dict(_enums(now)))
    yield from _compare_services(dict(_services(released)), dict(_services(now)))


def _compare_messages(before: dict[str, DescriptorProto], after: dict[str, DescriptorProto]) -> Iterator[str]:
    for name, message in before.items():
        if name not in after:
            yield f"message {name} is gone"
            continue
        fields = {field.number: field for field in after[name].field}
        reserved = [range(one.start, one.end) for one in after[name].reserved_range]
        for field in message.field:
            place = f"field {field.number} ({field.name}) of {name}"
            if (found := fields.get(field.number)) is None:
                if not any(field.number in one for one in reserved):
                    yield f"{place} is gone; reserve its number"
            elif _meaning(field, message) != _meaning(found, after[name]):
                yield f"{place} has changed"


def _meaning(field: FieldDescriptorProto, message: DescriptorProto) -> tuple[object, ...]:
    """Return what must stay: name, type, how often, and whether absence can be told or excludes others."""
    group = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
    return field.name, field.type, field.type_name, field.label, field.proto3_optional, group


def _compare_enums(before: dict[str, EnumDescriptorProto], after: dict[str, EnumDescriptorProto]) -> Iterator[str]:
    for name, enum in before.items():
        if name not in after:
            yield f"enum {name} is gone"
            continue
        values = {value.number: value.name for value in after[name].value}
        for value in enum.value:
            if values.get(value.number) != value.name:
                yield f"value {value.number} ({value.name}) of {name} is gone or renamed"


def _compare_services(
    before: dict[str, ServiceDescriptorProto], after: dict[str, ServiceDescriptorProto]
) -> Iterator[str]:
    for name, service in before.items():
        if name not in after:
            yield f"service {name} is gone"
            continue
        methods = {method.name: method for method in after[name].method}
        for method in service.method:
            if method.name not in methods:
                yield f"rpc {method.name} of {name} is gone"
            elif method != methods[method.name]:
                yield f"rpc {method.name} of {name} has changed"


def _messages(files: FileDescriptorSet) -> Iterator[tuple[str, DescriptorProto]]:
    for file in files.file:
        yield from _nested(file.package, file.message_type)


def _nested(scope: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[str, DescriptorProto]]:
    for message in messages:
        name = f"{scope}.{message.name}"
        yield name, message
        yield from _nested(name, message.nested_type)


def _enums(files: FileDescriptorSet) -> Iterator[tuple[str, EnumDescriptorProto]]:
    for file in files.file:
        yield from ((f"{file.package}.{enum.name}", enum) for enum in file.enum_type)
    for scope, message in _messages(files):
        yield from ((f"{scope}.{enum.name}", enum) for enum in message.enum_type)


def _services(files: FileDescriptorSet) -> Iterator[tuple[str, ServiceDescriptorProto]]:
    for file in files.file:
        yield from ((f"{file.package}.{service.name}", service) for service in file.service)


def _run_protoc(protos: Path, *options: str) -> None:
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    files = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    if protoc.main(["protoc", f"--proto_path={protos}", f"--proto_path={well_known}", *options, *files]):
        raise SystemExit("the protos cannot be compiled")


if __name__ == "__main__":
    sys.exit(main())
