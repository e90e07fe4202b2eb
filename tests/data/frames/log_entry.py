"""`LogEntry` as protobuf itself reads and writes it, and frames made of it: the other side of the codec's input.

The descriptor is built at run time: generated code would only run with the protobuf version that generated it.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FIELDS = {
    "LogEntry": "source:string time_nano:int64 line:bytes partial:bool partial_log_metadata:PartialLogEntryMetadata",
    "PartialLogEntryMetadata": "last:bool id:bytes ordinal:int32",
}
"""As in moby, but `id`, a string there, is read without a check of its UTF-8, as the codec does."""


def _log_entry() -> Any:
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="entry.proto", package="docker", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, field in enumerate(fields.split(), 1):
            field_name, kind = field.split(":")
            entry = message.field.add(name=field_name, number=number, label=types.LABEL_OPTIONAL)
            if kind in _FIELDS:
                entry.type, entry.type_name = types.TYPE_MESSAGE, f".docker.{kind}"
            else:
                entry.type = types.Type.Value(f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("docker.LogEntry"))


LogEntry = _log_entry()


def framed(entry: bytes) -> bytes:
    return len(entry).to_bytes(4, "big") + entry


def frame(
    line: bytes = b"",
    time: int = 1_763_980_000_123_456_789,
    source: str = "stdout",
    id: str | None = None,
    last: bool = False,
    partial: bool | None = None,
    ordinal: int = 0,
) -> bytes:
    """A frame as the engine writes it; with an `id` it is a piece of a long line."""
    entry = LogEntry(source=source, time_nano=time, line=line, partial=id is not None if partial is None else partial)
    if id is not None:
        entry.partial_log_metadata.SetInParent()
        entry.partial_log_metadata.id = id.encode()
        entry.partial_log_metadata.last = last
        entry.partial_log_metadata.ordinal = ordinal
    written: bytes = entry.SerializeToString()
    return framed(written)
