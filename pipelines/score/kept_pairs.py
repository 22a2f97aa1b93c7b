"""Measured pairs, kept by document as they come: (content_hash, the scorer's fingerprint) leads to a document's pairs.

    ROOT/measured/chunk_gain/a1b2.../3f/3f09....jsonl

A line for each pair, in the order of the document's sequence: [target, context, nll alone, nll after, check]. A block of
lines is written in one piece and synced before the next block is measured. A torn or damaged line ends the document's
pairs. So a crash loses at most one block, and a refresh measures new documents only.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.store import files
from scorers.chunk_gain import MeasuredPair


@dataclass(frozen=True)
class Measured:
    """The pairs measured under one fingerprint."""

    folder: Path

    def path(self, content_hash: str) -> Path:
        return self.folder / content_hash[:2] / f"{content_hash}.jsonl"

    def of(self, content_hash: str) -> list[MeasuredPair]:
        """The document's pairs; none where none was measured."""
        return self.undamaged(content_hash)[0]

    def undamaged(self, content_hash: str) -> tuple[list[MeasuredPair], int]:
        """The pairs up to the first line that is torn or damaged, and the bytes they take."""
        try:
            raw = self.path(content_hash).read_bytes()
        except FileNotFoundError:
            return [], 0
        pairs: list[MeasuredPair] = []
        n_bytes = 0
        for line in raw.splitlines(keepends=True):
            pair = parsed(line)
            if pair is None:
                break
            pairs.append(pair)
            n_bytes += len(line)
        return pairs, n_bytes

    def add(self, content_hash: str, pairs: Iterable[MeasuredPair]) -> None:
        """Append pairs after the document's undamaged ones."""
        lines = b"".join(line_of(pair) for pair in pairs)
        files.append(self.path(content_hash), lines, n_valid=self.undamaged(content_hash)[1])


def line_of(pair: MeasuredPair) -> bytes:
    body = json.dumps(list(pair))
    return f"[{body[1:-1]}, {zlib.crc32(body.encode())}]\n".encode()


def parsed(line: bytes) -> MeasuredPair | None:
    """The pair of a line; None where it is torn or damaged."""
    try:
        *values, check = json.loads(line)
    except (ValueError, TypeError):
        return None
    if not line.endswith(b"\n") or zlib.crc32(json.dumps(values).encode()) != check:
        return None
    return MeasuredPair(*values)
