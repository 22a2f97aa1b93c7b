"""Texts: each file is a document; plain, .gz or .zst. A byte order mark at its start is no part of the text."""

from collections.abc import Callable, Iterator

from pipelines.ingest.readers.jsonl import BOM
from pipelines.ingest.readers.record import File, Found, Pieces, Record, Unusable, Wanted, decoded, usable_text
from pipelines.ingest.readers.streams import blocks


class Text:
    suffixes = (".txt",)  # a source's text_suffixes take their place

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def misfit(self, file: File, wanted: Wanted) -> Unusable | None:  # noqa: ARG002
        return None

    def records(self, file: File, wanted: Wanted) -> Iterator[Record]:
        text = Pieces(wanted.max_record_bytes)
        try:
            for block in blocks(file.path, file.name):
                text.add(block)
        except Unusable as stopped:
            yield text.record(file.name, 0, stopped)
        else:
            yield text.record(file.name, 0)

    def parser(self, wanted: Wanted) -> Callable[[bytes], Found]:  # noqa: ARG002
        def parse(raw: bytes) -> Found:
            data = raw.removeprefix(BOM)
            usable_text(decoded(data, "text"))
            return Found(data, None, None, None)

        return parse
