"""The content hash of a table: over its values, in a form that no library version and no batch size changes."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class ColumnHash:
    """A running hash of one column: validity, lengths and values each in a stream of their own.

    The streams are plain little-endian bytes: a uint8 a value for validity (nullable fields only), an int64 a value
    for the length of a string or list, the values themselves with NULL left out. How the column was cut into
    batches can't show.
    """

    def __init__(self, field: pa.Field):
        self.field = field
        self.valid, self.lengths, self.values = blake2b(), blake2b(), blake2b()
        kind = field.type
        if pa.types.is_struct(kind):
            self.children = [ColumnHash(f) for f in kind]
        elif pa.types.is_nested(kind):
            self.children = [ColumnHash(kind.value_field)]
        else:
            self.children = []

    def update(self, array: pa.Array) -> None:
        if self.field.nullable:
            self.valid.update(pc.is_valid(array).cast(pa.uint8()).to_numpy(zero_copy_only=False))
            array = array.drop_null()
        kind = self.field.type
        if pa.types.is_struct(kind):
            for child, values in zip(self.children, array.flatten(), strict=True):
                child.update(values)
        elif pa.types.is_nested(kind):
            if not pa.types.is_fixed_size_list(kind):
                self.lengths.update(pc.list_value_length(array).cast(pa.int64()).to_numpy())
            self.children[0].update(array.flatten())
        elif pa.types.is_primitive(kind):
            self.values.update(
                array.to_numpy(zero_copy_only=False).astype(
                    np.dtype(kind.to_pandas_dtype()).newbyteorder("<"), copy=False
                )
            )
        else:
            self.lengths.update(pc.binary_length(array).cast(pa.int64()).to_numpy())
            self.values.update(values_buffer(array))

    def digest(self) -> bytes:
        whole = blake2b(str(self.field.type).encode())
        for part in [stream.digest() for stream in (self.valid, self.lengths, self.values)] + [
            c.digest() for c in self.children
        ]:
            whole.update(part)
        return whole.digest()


def values_buffer(array: pa.Array) -> memoryview:
    """The bytes of a string or binary array, back to back, without a copy."""
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, offsets, data = array.buffers()
    if len(array) == 0 or data is None:
        return memoryview(b"")
    places = np.frombuffer(offsets, np.int64 if wide else np.int32)
    return memoryview(data)[int(places[array.offset]) : int(places[array.offset + len(array)])]


class TableHash:
    """The content hash of a table that comes in pieces."""

    def __init__(self, name: str, schema: pa.Schema):
        self.name = name
        self.hashes = {field.name: ColumnHash(field) for field in schema}
        self.n_rows = 0

    def update(self, table: pa.Table) -> None:
        self.n_rows += table.num_rows
        for name, running in self.hashes.items():
            for chunk in table[name].chunks:
                running.update(chunk)

    def columns(self) -> dict[str, str]:
        """Column -> blake2b-128 of its values, hex."""
        return {name: blake2b(running.digest(), digest_size=16).hexdigest() for name, running in self.hashes.items()}

    def content_hash(self) -> str:
        whole = blake2b(f"{self.name}\0{self.n_rows}".encode(), digest_size=16)
        for name, value in self.columns().items():
            whole.update(f"\0{name}\0{value}".encode())
        return whole.hexdigest()
