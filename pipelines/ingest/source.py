"""A source: where raw text lies, in which format, and what of a record is used."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from pipelines.encode import EncodeParams, SamplesParams, Template, Unrendered, check_rendered
from pipelines.ingest.readers import READERS
from pipelines.ingest.readers.record import Fields, Parsed, Unusable
from pipelines.ingest.samples import NAMES, SampleFields
from schemas.names import from_name, path_named

SOURCE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
HUB_ID = r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?$"
NO_HUB_ID = re.compile(r"\.\.|--|(^|/)[.-]|[.-](/|$)")  # as the hub's client refuses them
ODD = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\\<>|?*]|\.\.|^/|/$")  # in no name of a config, split or revision
FORMATS = tuple(name for name in READERS if name != "hub")


Name = Annotated[str, Field(min_length=1)]
Path = Annotated[str, from_name(lambda folder, name: str(path_named(folder, name)))]


class Source(BaseModel):
    """One entry of the recipe's sources: a file, a folder or a glob, or a dataset of the Hugging Face hub."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=SOURCE_NAME)
    domain: str = Field(min_length=1)
    path: Path | tuple[Path, ...] | None = None  # of a file or folder, or a glob
    hub: str | None = Field(default=None, pattern=HUB_ID)
    config: str | None = None  # of the hub's dataset
    revision: str | None = None  # of the hub's dataset; without it, the newest commit
    split: str | None = None  # of the hub's dataset, or of a saved one
    format: str | None = None  # told by the files' names where it is absent
    text: Name | tuple[Name, ...] = "text"  # a.b: field b of the object a; of several names the texts are joined
    separator: str = "\n\n"  # between joined texts
    id: str | None = "id"  # a field that records may lack
    origin: str | None = None
    license: str | None = None
    license_field: str | None = None  # where a record has none, `license` stands
    max_record_bytes: PositiveInt = 64_000_000
    max_rejected_share: float = Field(
        default=0.1, ge=0, le=1
    )  # of its records or bytes; 1 allows a source without documents
    zstd_long: int = Field(default=27, ge=27, le=31)  # base-2 logarithm of the widest window, as in zstd --long=31
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
        if not self.texts:
            raise ValueError("text: an empty list; name at least one field")
        fields = [f for f in (*self.texts, self.id, self.origin, self.license_field) if f is not None]
        twice = sorted({f for f in fields if fields.count(f) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named for two of text, id, origin and license_field")
        wrong = [s for s in self.text_suffixes if not re.fullmatch(r"\.[^/]+", s)]
        if wrong or not self.text_suffixes:
            raise ValueError(f"text_suffixes: {', '.join(wrong) or 'none'}; wanted some such as .txt")
        return self

    @model_validator(mode="after")
    def names_no_folder(self) -> Self:
        if self.hub is not None and NO_HUB_ID.search(self.hub):
            raise ValueError(f"hub: {self.hub!r} is no id of a dataset; wanted one such as org/name")
        for key in ("config", "split", "revision"):
            value = getattr(self, key)
            if value is not None and (not value or ODD.search(value) or ("/" in value and key != "revision")):
                raise ValueError(f"{key}: {value[:80]!a} is no name of a {key}; correct it")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,) if isinstance(self.path, str) else self.path or ()

    @property
    def texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def fields(self) -> Fields:
        labels = self.id, self.origin, self.license_field
        return Fields(self.texts, *labels, self.max_record_bytes, separator=self.separator)

    def parser(self, kind: str) -> Callable[[bytes], Parsed]:
        """A function that parses the bytes of a record of a format. It raises Unusable and nothing else."""
        return READERS[kind].parser(self.fields)

    def key(self) -> dict[str, Any]:
        """All of it that changes what a raw record becomes."""
        where = {"path", "hub", "config", "revision", "split", "format", "text_suffixes", "max_rejected_share"}
        return self.model_dump(mode="json", exclude=where)


class SampleSource(Source):
    """One entry of the sources of a recipe of instruction samples.

    messages, ..., tools: the field that holds this part of a sample; told by the usual names where none is given, see
    samples.NAMES.
    """

    messages: str | None = None
    context: str | None = None
    instruction: str | None = None
    response: str | None = None
    system: str | None = None
    tools: str | None = None

    @model_validator(mode="after")
    def has_a_sample(self) -> Self:
        documents_only = sorted({"text", "separator", "text_suffixes"} & self.model_fields_set)
        if documents_only:
            raise ValueError(
                f"{documents_only[0]} belongs to a mix of documents; name messages, or instruction and response"
            )
        if self.format == "text":
            raise ValueError("format: a text file has no messages; use jsonl, parquet or hf")
        names = [name for part in NAMES if (name := getattr(self, part)) is not None]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is named for two parts of a sample")
        if self.messages and (self.context or self.instruction or self.response):
            raise ValueError("messages excludes context, instruction and response; name either")
        return self

    @property
    def fields(self) -> Fields:
        parts = SampleFields.of({part: getattr(self, part) for part in NAMES})
        return Fields("", self.id, self.origin, self.license_field, self.max_record_bytes, parts)

    def key(self) -> dict[str, Any]:
        return {name: value for name, value in super().key().items() if name != "text"}


class RenderedSource(SampleSource):
    """A source whose samples are rejected if a template does not write them as they are."""

    template: Template

    def parser(self, kind: str) -> Callable[[bytes], Parsed]:
        parse = super().parser(kind)

        def checked(raw: bytes) -> Parsed:
            record = parse(raw)
            try:
                check_rendered(record.text, self.template)
            except Unrendered as error:
                raise Unusable(error.reason, error.detail) from None
            return record

        return checked


def sample_sources(
    sources: Sequence[SampleSource], samples: SamplesParams, encode: EncodeParams
) -> tuple[RenderedSource, ...]:
    """The sources of a recipe of samples, with its template.

    Raises:
        RecipeError: the template can't be used.
    """
    template = samples.template_of(encode)
    return tuple(RenderedSource(**source.model_dump(exclude_unset=True), template=template) for source in sources)
