"""A source: where raw text lies, in which format, and what of a record is used."""

import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.record import Fields
from schemas.names import from_name, path_named

SOURCE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
HUB_ID = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$"
FORMATS = tuple(name for name in READERS if name != "hub")


class Source(BaseModel):
    """One entry of the recipe's sources: a file, a folder or a glob, or a dataset of the Hugging Face hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=SOURCE_NAME)
    domain: str = Field(min_length=1)
    path: Annotated[str, from_name(lambda folder, name: str(path_named(folder, name)))] | None = None
    hub: str | None = Field(default=None, pattern=HUB_ID)
    config: str | None = None  # of the hub's dataset
    revision: str | None = None  # of the hub's dataset; without it, the newest commit
    split: str | None = None  # of the hub's dataset, or of a saved one
    format: str | None = None  # told by the files' names where it is absent
    text: str = Field(default="text", min_length=1)
    id: str | None = "id"  # a field that records may lack
    origin: str | None = None
    license: str | None = None
    license_field: str | None = None  # where a record has none, `license` stands
    max_record_bytes: PositiveInt = 64_000_000
    text_suffixes: tuple[str, ...] = (".txt",)  # which files of a folder are texts

    @model_validator(mode="after")
    def fits(self) -> Self:
        if (self.path is None) == (self.hub is None):
            raise ValueError("give it a path or a hub id, one of the two")
        if self.format is not None and self.format not in FORMATS:
            raise ValueError(f"format: {self.format!r} is none of {', '.join(FORMATS)}")
        if self.hub is None and (self.config or self.revision):
            raise ValueError("config and revision belong to a hub id")
        if self.hub is not None and (self.format is not None or not self.split):
            raise ValueError('a hub id needs a split, such as split = "train", and takes no format')
        fields = [f for f in (self.text, self.id, self.origin, self.license_field) if f is not None]
        twice = sorted({f for f in fields if fields.count(f) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named for two of text, id, origin and license_field")
        wrong = [s for s in self.text_suffixes if not re.fullmatch(r"\.[^/]+", s)]
        if wrong or not self.text_suffixes:
            raise ValueError(f"text_suffixes: {', '.join(wrong) or 'none'}; wanted some such as .txt")
        return self

    @property
    def fields(self) -> Fields:
        return Fields(self.text, self.id, self.origin, self.license_field, self.max_record_bytes)

    def key(self) -> dict[str, Any]:
        """All of it that changes what a raw record becomes."""
        where = {"path", "hub", "config", "revision", "split", "format", "text_suffixes"}
        return self.model_dump(mode="json", exclude=where)
