"""The content hash of a table: a hash of its values that does not depend on library versions or batch sizes."""

from hashlib import blake2b

import numpy as np
import pyarrow as pa


class ColumnHash:
    """A running hash of one column, with separate streams for validity, lengths and values.

    The streams are plain little-endian bytes: for each value a uint8 of its validity (only in nullable fields), an
    int64 of its length (only strings and lists), and the value itself, without NULLs. Batch boundaries do not affect
    the hash.
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
        import pyarrow.compute as pc  # slow to import, and `longmix query` needs none

        kind = self.field.type
        is_list = pa.types.is_nested(kind) and not pa.types.is_struct(kind)
        if self.field.nullable:
            self.valid.update(pc.is_valid(array).cast(pa.uint8()).to_numpy(zero_copy_only=False))
            array = array if is_list else array.drop_null()  # flatten() below skips NULL, and does not copy lists
        if pa.types.is_struct(kind):
            for child, values in zip(self.children, array.flatten(), strict=True):
                child.update(values)
        elif is_list:
            if not pa.types.is_fixed_size_list(kind):
                self.lengths.update(pc.list_value_length(array).drop_null().cast(pa.int64()).to_numpy())
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
        column = blake2b(str(self.field.type).encode())
        for digest in [stream.digest() for stream in (self.valid, self.lengths, self.values)] + [
            c.digest() for c in self.children
        ]:
            column.update(digest)
        return column.digest()


def values_buffer(array: pa.Array) -> memoryview:
    """The concatenated bytes of a string or binary array, without a copy."""
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    _, offsets, data = array.buffers()
    if len(array) == 0 or data is None:
        return memoryview(b"")
    starts = np.frombuffer(offsets, np.int64 if wide else np.int32)
    return memoryview(data)[int(starts[array.offset]) : int(starts[array.offset + len(array)])]


class TableHash:
    """A running content hash of a table that is written piece by piece."""

    def __init__(self, name: str, schema: pa.Schema):
        self.name = name
        self.hashes = {field.name: ColumnHash(field) for field in schema}
        self.n_rows = 0

    def update(self, table: pa.Table) -> None:
        self.n_rows += table.num_rows
        for name, column in self.hashes.items():
            for chunk in table[name].chunks:
                column.update(chunk)

    def columns(self) -> dict[str, str]:
        """Column -> blake2b-128 of its values, hex."""
        return {name: blake2b(column.digest(), digest_size=16).hexdigest() for name, column in self.hashes.items()}

    def content_hash(self) -> str:
        table = blake2b(f"{self.name}\0{self.n_rows}".encode(), digest_size=16)
        for name, digest in self.columns().items():
            table.update(f"\0{name}\0{digest}".encode())
        return table.hexdigest()
