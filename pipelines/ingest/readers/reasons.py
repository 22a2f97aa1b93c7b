"""Reasons in REJECTED of what a file really is, and of how it is packed; the others are in record.py."""

FILE_REASONS = {
    "lfs_pointer": "a pointer of Git LFS in the place of the file; `git lfs pull` fetches the file",
    "other_format": "the content is of another format than the source's, such as a page of HTML or an archive",
    "not_xz": "the name ends in .xz, but the content is neither xz nor text",
    "truncated_xz": "the file ends inside an xz stream; the complete records before its end are kept",
    "corrupt_xz": "the xz stream is corrupt from this point on; the records before it are kept",
    "xz_memory": "decompression needs more than 256 MiB",
    "not_bz2": "the name ends in .bz2, but the content is neither bz2 nor text",
    "truncated_bz2": "the file ends inside a bz2 stream; the complete records before its end are kept",
    "corrupt_bz2": "the bz2 stream is corrupt from this point on; the records before it are kept",
    "not_utf16": "a byte order mark says UTF-16 or UTF-32, and the content is damaged from this point on",
    "unpacks_too_far": "the file unpacks to more than 1 GiB, and ten times its size, that become no record, such as blank lines",
    "too_many_rejected": "nearly all records of the file were rejected; the rest of it was not read",
    "truncated_json": "the file ends before its JSON array does; the elements before its end are kept",
    "csv_columns": "a row of CSV with more or fewer values than the header has, or with quotes that do not end",
}
