"""Text files: one document per file; plain or compressed. A byte order mark at the start is not part of the text."""

from collections.abc import Callable, Iterator

from pipelines.ingest.readers.jsonl import BOM
from pipelines.ingest.readers.record import Fields, File, Parsed, Record, RecordBuffer, Unusable, check_text, decoded
from pipelines.ingest.readers.streams import blocks


class Text:
    suffixes = (".txt",)  # overridden by a source's text_suffixes
    may_be_compressed = True

    def members(self, folder: str, split: str | None) -> list[str] | None:  # noqa: ARG002
        return None

    def schema_error(self, file: File, fields: Fields) -> Unusable | None:  # noqa: ARG002
        return Unusable("sample_missing", "a text has no fields") if fields.parts else None

    def records(self, file: File, fields: Fields) -> Iterator[Record]:
        text = RecordBuffer(fields.max_record_bytes)
        try:
            for block in blocks(file):
                text.add(block)
        except Unusable as error:
            yield text.record(file.name, 0, error)
        else:
            yield text.record(file.name, 0)

    def parser(self, fields: Fields) -> Callable[[bytes], Parsed]:
        def parse(raw: bytes) -> Parsed:
            if fields.parts:
                raise Unusable("sample_missing", "a text has no fields")
            data = raw.removeprefix(BOM)
            check_text(decoded(data, "text"))
            return Parsed(data, None, None, None)

        return parse
