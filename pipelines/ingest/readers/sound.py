"""Whether the buffers of an Arrow array are what its type says: checked before any value is read or cast.

Arrow reads a damaged IPC file without an error and follows its offsets out of bounds later, which ends the process by a
signal. `validate(full=True)` alone is not the check: it also refuses strings that are not UTF-8 and times outside of a
day, each of which costs one record or nothing here. Every check costs O(rows) and copies no text.

Source: arrow/array/validate.cc in apache/arrow, ValidateArrayFull.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BINARY_OF = {  # texts are checked as binaries of the same layout
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}
MAX_DEPTH = 100  # of nested types


def check(array: pa.Array, depth: int = 0) -> None:
    """
    Raises:
        ArrowInvalid: the array would be read out of bounds.
    """
    if depth == 0:
        array.validate()  # sizes of all buffers, nested ones too
    if depth > MAX_DEPTH:
        raise pa.ArrowInvalid("nested too deeply")
    kind = array.type
    if kind in BINARY_OF:
        array.view(BINARY_OF[kind]).validate(full=True)
    elif kind in BINARY_OF.values():
        array.validate(full=True)
    else:
        for child in children_of(array):
            check(child, depth + 1)


def children_of(array: pa.Array) -> list[pa.Array]:
    """The arrays inside of an array, after a check of what leads to them."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return [array.storage]
    if pa.types.is_dictionary(kind):
        check_indices(array)
        return [array.dictionary]
    if pa.types.is_run_end_encoded(kind):
        check_runs(array)
        return [array.values]
    if pa.types.is_union(kind):
        check_union(array)
    if pa.types.is_union(kind) or pa.types.is_struct(kind):
        return [array.field(i) for i in range(kind.num_fields)]
    return items_of(array)


def items_of(array: pa.Array) -> list[pa.Array]:
    """The items of all rows of a list or a map, whose offsets are checked; none of another type."""
    kind = array.type
    if pa.types.is_map(kind):
        check_offsets(array.offsets, len(array.keys))
        return [array.keys, array.items]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        check_offsets(array.offsets, len(array.values))
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        starts, sizes = (numbers(part) for part in (array.offsets, array.sizes))
        n_items = len(array.values)
        if not ((starts >= 0) & (sizes >= 0) & (starts <= n_items - sizes)).all():
            raise pa.ArrowInvalid("the offsets of a list view are out of bounds")
    elif not pa.types.is_fixed_size_list(kind):
        return []
    return [array.values]


def check_offsets(offsets: pa.Array, n_items: int) -> None:
    starts = numbers(offsets)
    if len(starts) and not (starts[0] >= 0 and (np.diff(starts) >= 0).all() and starts[-1] <= n_items):
        raise pa.ArrowInvalid("the offsets of a list are out of bounds")


def check_indices(array: pa.DictionaryArray) -> None:
    ends = pc.min_max(array.indices).as_py()
    if ends["min"] is not None and not (ends["min"] >= 0 and ends["max"] < len(array.dictionary)):
        raise pa.ArrowInvalid("an index of a dictionary is out of bounds")


def check_runs(array: pa.Array) -> None:
    array.run_ends.validate()
    ends = numbers(array.run_ends)
    is_sound = len(ends) == 0 or (ends[0] > 0 and (np.diff(ends) > 0).all())
    last = int(ends[-1]) if len(ends) else 0
    if not is_sound or array.run_ends.null_count or last < array.offset + len(array) or len(array.values) < len(ends):
        raise pa.ArrowInvalid("the ends of runs are out of bounds")


def check_union(array: pa.Array) -> None:
    kind, codes = array.type, numbers(array.type_codes)
    if not np.isin(codes, kind.type_codes).all():
        raise pa.ArrowInvalid("a value of a union has no type")
    if kind.mode != "dense":
        return
    offsets = numbers(array.offsets)
    for i, code in enumerate(kind.type_codes):
        own = offsets[codes == code]
        if len(own) and not (own.min() >= 0 and own.max() < len(array.field(i))):
            raise pa.ArrowInvalid("an offset of a union is out of bounds")


def numbers(array: pa.Array) -> np.ndarray:
    """Integers without NULL, as int64."""
    return np.asarray(array.fill_null(0) if array.null_count else array).astype(np.int64)
