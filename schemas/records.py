"""Records in JSON that carry a checksum of themselves: actions and manifests.

The checksum is xxh3-128, hex, over the canonical JSON of the record without it. It finds damage, and no intent.
"""

import json
from collections.abc import Mapping
from typing import Any

import xxhash

CHECKSUM = "checksum"


def with_checksum(record: Mapping[str, Any]) -> dict[str, Any]:
    return {**record, CHECKSUM: checksum_of(record)}


def checked(data: bytes) -> dict[str, Any]:
    """The record of some bytes of JSON, without its checksum.

    Raises:
        ValueError: not an object in JSON, or it has no checksum or another one.
    """
    record = json.loads(data)
    if not isinstance(record, dict):
        raise ValueError("not an object in JSON")  # noqa: TRY004 a finding about bytes
    checksum = record.pop(CHECKSUM, None)
    if checksum != checksum_of(record):
        raise ValueError("it differs from its checksum" if checksum else "it has no checksum")
    return record


def checksum_of(record: Mapping[str, Any]) -> str:
    canonical = json.dumps(record, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return xxhash.xxh3_128_hexdigest(canonical.encode())
