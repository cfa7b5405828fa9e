"""Our values as bytes and back, for the stores."""

from __future__ import annotations

import functools
from collections.abc import Hashable
from dataclasses import is_dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from idbroker.errors import StoreError

Value = TypeVar("Value")


class Codec(Generic[Value]):
    """JSON to and from one kind of value: a frozen dataclass with all that is in it, or a dict of strings."""

    def __init__(self, kind: type[Value]) -> None:
        self._adapter: TypeAdapter[Value] = _adapter(cast(Hashable, kind))

    def pack(self, value: Value) -> bytes:
        """Return the value as bytes; equal values give equal bytes."""
        return self._adapter.dump_json(value)

    def unpack(self, stored: bytes) -> Value:
        """Return the value. StoreError when the bytes are not such a value (an older version's, say)."""
        try:
            return self._adapter.validate_json(stored)
        except ValidationError as error:
            raise StoreError("a stored value does not read") from error


@functools.cache  # it is built of the kind alone, in milliseconds, and many shelves hold the same
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    return TypeAdapter(with_config(config)(kind) if is_dataclass(kind) else kind)
