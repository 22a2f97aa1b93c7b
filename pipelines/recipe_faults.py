"""What is wrong with a recipe, in the words of its keys; and sizes such as "128K" where a number is expected."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, get_args

from annotated_types import BaseMetadata
from pydantic import BaseModel, ValidationError

from pipelines.ingest.source import HUB_ID, SOURCE_NAME
from pipelines.names import MIX_NAME
from pipelines.names import meant as meant  # noqa: PLC0414 for ingest
from schemas.errors import StageError

SIZE = re.compile(r"(\d+(?:\.\d+)?)([kKMBG])")
UNITS = {"k": 1024, "K": 1024, "M": 10**6, "B": 10**9, "G": 10**9}  # 128K is 131,072 tokens everywhere in longmix

PATTERNS = {
    MIX_NAME: "must be at most 64 lower-case letters, digits, '.', '_' and '-', a letter or digit first",
    SOURCE_NAME: "must be at most 64 letters, digits, '.', '_' and '-', a letter or digit first",
    HUB_ID: "must be an id of the hub, as OWNER/NAME",
}

MOST = 10**15  # a larger number is no quantity of a recipe, and products of two such leave 64 bits
MOST_SEED = 2**64
MOST_CLAUSES = 20  # of a message

LINE = re.compile(r"\(at line (\d+), column \d+\)")

Context = Mapping[str, Any]  # of an error: the bounds that were passed
MESSAGES: dict[str, Callable[[Context], str]] = {  # type of pydantic's error -> what the value must be
    "int_type": lambda _: 'must be a whole number, or a size such as "128K" or "20M"',
    "int_parsing": lambda _: 'must be a whole number, or a size such as "128K" or "20M"',
    "int_from_float": lambda _: "must be a whole number",
    "float_type": lambda _: "must be a number",
    "float_parsing": lambda _: "must be a number",
    "finite_number": lambda _: "must be a finite number",
    "string_type": lambda _: "must be a text in quotes",
    "text_or_list": lambda _: "must be a text in quotes, or a list of them",
    "string_too_short": lambda _: "must not be empty",
    "string_pattern_mismatch": lambda c: PATTERNS.get(c["pattern"], f"must match {c['pattern']}"),
    "bool_type": lambda _: "must be true or false",
    "bool_parsing": lambda _: "must be true or false",
    "tuple_type": lambda _: "must be a list in [brackets]",
    "list_type": lambda _: "must be a list in [brackets]",
    "dict_type": lambda _: "must be a section of keys and values",
    "model_type": lambda _: "must be a section of keys and values",
    "model_attributes_type": lambda _: "must be a section of keys and values",
    "too_short": lambda _: "must not be empty",
    "greater_than": lambda c: f"must be more than {bound(c['gt'])}",
    "greater_than_equal": lambda c: f"must be at least {bound(c['ge'])}",
    "less_than": lambda c: f"must be less than {bound(c['lt'])}",
    "less_than_equal": lambda c: f"must be at most {bound(c['le'])}",
    "literal_error": lambda c: f"must be {c['expected']}",
    "union_tag_invalid": lambda c: f"kind must be one of {c['expected_tags']}",
    "union_tag_not_found": lambda _: "needs the key kind",
}


def complaints(error: ValidationError, kind: type[BaseModel], raw: Mapping[str, Any]) -> list[str]:
    """One clause for each fault, by the key as the recipe writes it.

    Args:
        kind: of the recipe.
        raw: the recipe as it was read.
    """
    faults = of_one_branch(error.errors(), kind)
    above = {fault["loc"][:n] for fault in faults for n in range(len(fault["loc"]))}  # places inside which a fault is
    clauses = []
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"] in above:
            continue  # a list all of whose members have faults of their own
        keys, models = walked(fault["loc"], kind)
        where = ".".join(named(keys, raw))
        if fault["type"] == "extra_forbidden":
            choices = sorted({key for model in models for key in model.model_fields})
            clauses.append(f"{where}: no such key{meant(keys[-1], choices)}")
        elif fault["type"] == "missing":
            clauses.append(f"{where}: missing; {to_add(fault['loc'], kind, where)}")
        elif fault["type"] == "value_error":
            clauses.append(f"{where}: {fault['ctx']['error']}".removeprefix(": "))
        elif fault["type"] == "tuple_type" and keys == ["sources"]:
            clauses.append("sources: each source is a section of its own; begin it with [[sources]], in two brackets")
        elif fault["type"] == "model_type" and keys[:1] == ["sources"]:
            clauses.append(f"{where}: must be a section of keys and values; begin it with [[sources]], in two brackets")
        else:
            message = MESSAGES.get(fault["type"], lambda _, fault=fault: fault["msg"])(fault.get("ctx", {}))
            clauses.append(f"{where}: {message}, not {shown(fault['input'])}")
    clauses = list(dict.fromkeys(clauses))
    rest = [f"and {len(clauses) - MOST_CLAUSES} more faults"] if len(clauses) > MOST_CLAUSES else []
    return clauses[:MOST_CLAUSES] + rest


def of_one_branch(faults: Sequence[Any], kind: type[BaseModel]) -> list[Any]:
    """Faults without those of the other member of a union: a text, or a list of texts."""
    keys_of = [tuple(walked(fault["loc"], kind)[0]) for fault in faults]
    at: dict[tuple[str, ...], list[Any]] = {}  # keys -> the faults there
    above: set[tuple[str, ...]] = set()  # keys inside which a fault is
    for fault, keys in zip(faults, keys_of, strict=True):
        at.setdefault(keys, []).append(fault)
        above.update(keys[:n] for n in range(len(keys)))
    kept = []
    for fault, keys in zip(faults, keys_of, strict=True):
        others = [other for other in at[keys] if other is not fault]
        is_list = isinstance(fault["input"], list)
        if fault["type"] == "tuple_type" and others:
            continue  # no list, and another fault says what is wrong with the text
        if fault["type"] == "string_type" and is_list and (others or keys in above):
            continue  # a list, and other faults say what is wrong with it or its members
        if fault["type"] == "string_type" and any(other["type"] == "tuple_type" for other in others):
            kept.append({**fault, "type": "text_or_list"})
            continue
        kept.append(fault)
    return kept


def toml_fault(error: ValueError, text: str) -> str:
    """A parser's message with the line that it is about, and what people most often forget there."""
    finding = str(error)
    if not (place := LINE.search(finding)):
        return f"{finding}; complete the file"
    line = text.splitlines()[int(place[1]) - 1].strip() if int(place[1]) <= len(text.splitlines()) else ""
    remedy = {
        "Invalid value": "write texts in quotes, true and false in lower case, and lists in [brackets]",
        "Cannot overwrite a value": "the key or section is there twice; keep one",
        "Cannot declare": "the section is there twice; keep one, or write [[sources]] for each source",
        "Unescaped '\\'": "write paths with /, or the text in single quotes",
        "Illegal character": "write the text in quotes on one line",
    }
    hint = next((words for start, words in remedy.items() if finding.startswith(start)), "correct this line")
    return f"{finding}: {shown(line)}; {hint}"


def is_worth_a_retry(error: ValidationError) -> bool:
    """Whether no fault is the recipe's: all are of a hub that can't be reached."""
    causes = [getattr(fault.get("ctx", {}).get("error"), "__cause__", None) for fault in error.errors()]
    return all(isinstance(cause, StageError) for cause in causes)


def depth(value: Any) -> int:
    """How many lists and sections are within each other. Not recursive."""
    level, inner = 0, [value]
    while inner := [item for item in inner if isinstance(item, dict | list)]:
        level += 1
        inner = [each for item in inner for each in (item.values() if isinstance(item, dict) else item)]
    return level


def size_fault(value: Any, raw: Mapping[str, Any], place: tuple[str, ...] = ()) -> str | None:
    """What is wrong with the first whole number that is too large for any key; None where there is none."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return next((fault for key, each in items if (fault := size_fault(each, raw, (*place, str(key))))), None)
    most = MOST_SEED if place and place[-1].endswith("seed") else MOST
    if not isinstance(value, int) or abs(value) <= most:
        return None
    words = "at most" if value > 0 else "at least -"
    return f"{'.'.join(named(place, raw))}: must be {words.strip()} {most:,}".replace("- ", "-") + f", not {value:.3g}"


def one_line(text: str) -> str:
    """A text with its control characters escaped: names in a recipe may hold line feeds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def bound(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def to_add(place: tuple[int | str, ...], kind: type[BaseModel], where: str) -> str:
    """What to write for a missing key or section."""
    inner: list[type[BaseModel]] = [kind]
    for part in place:
        inner = models_of(inner, part) if isinstance(part, str) else inner
    if not inner:
        return "add it"
    needed = [key for key, field in inner[0].model_fields.items() if field.is_required()]
    head = f"[[{where}]]" if where == "sources" else f"[{where}]"
    return f"add the section {head}" + (f" with {', '.join(needed)}" if needed else "")


def named(keys: Sequence[str], raw: Mapping[str, Any]) -> list[str]:
    """Keys with a source's name in the place of its number: ["sources", "0", "path"] -> ["sources", "web", "path"].

    A source without a name is named by its path or hub, or counted from 1.
    """
    sources = raw.get("sources")
    if len(keys) < 2 or keys[0] != "sources" or not keys[1].isdecimal():
        return list(keys)
    place = int(keys[1])
    source = sources[place] if isinstance(sources, list) and place < len(sources) else None
    labels = [source.get(key) for key in ("name", "path", "hub")] if isinstance(source, dict) else []
    label = next((label for label in labels if isinstance(label, str) and label), f"number {place + 1}")
    return [keys[0], label if label == (labels or [None])[0] else f"({label})", *keys[2:]]


def walked(place: tuple[int | str, ...], kind: type[BaseModel]) -> tuple[list[str], list[type[BaseModel]]]:
    """A fault's place as a recipe of a kind writes it, and the models whose keys may stand where its last part does.

    ("score", "also", 0, "prolong", "sed") -> ["score", "also", "0", "sed"], [ProLong]: pydantic names the union's member.
    """
    keys: list[str] = []
    here: list[type[BaseModel]] = []
    inner: list[type[BaseModel]] = [kind]
    for part in place:
        if isinstance(part, str) and len(inner) > 1:
            inner = [model for model in inner if part in get_args(model.model_fields["kind"].annotation)]
            continue
        if isinstance(part, str) and not inner and is_member(part):
            continue
        keys.append(str(part))
        if isinstance(part, str):  # a number is a place in a list, of the models that the list's key has
            here, inner = inner, models_of(inner, part)
    return keys, here


def is_member(part: str) -> bool:
    """Whether a part of a place is pydantic's name of a member of a union of plain types, and no key."""
    return (
        part in ("int", "float", "str", "bool", "constrained-int", "constrained-float", "constrained-str")
        or "[" in part
    )


def models_of(models: Sequence[type[BaseModel]], key: str) -> list[type[BaseModel]]:
    """The models that the value of a key may have."""
    fields = [model.model_fields.get(key) for model in models]
    return [model for field in fields if field for model in types_in(field.annotation) if is_model(model)]


def types_in(annotation: object) -> Iterator[Any]:
    """The plain types of an annotation such as X, X | None, tuple[X, ...], Annotated[X, ...] or X | Y."""
    if inner := get_args(annotation):
        for each in inner:
            if not isinstance(each, BaseMetadata):
                yield from types_in(each)
    else:
        yield annotation


def is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def with_sizes(raw: Any, models: Sequence[type[BaseModel]]) -> Any:
    """A recipe's values with sizes as whole numbers: {"budget_tokens": "20M"} -> {"budget_tokens": 20000000}.

    models: those that the value may be. A text stays as it is where a key may be a text.
    """
    if isinstance(raw, list):
        return [with_sizes(item, models) for item in raw]
    if not isinstance(raw, dict):
        return raw
    return {key: with_size(value, models, key) for key, value in raw.items()}


def with_size(value: Any, models: Sequence[type[BaseModel]], key: str) -> Any:
    if isinstance(value, str | bool):
        fields = [model.model_fields[key] for model in models if key in model.model_fields]
        kinds = {kind for field in fields for kind in types_in(field.annotation)}
        if isinstance(value, bool):  # pydantic takes true for 1
            return str(value).lower() if kinds & {int, float} and bool not in kinds else value
        if int in kinds and str not in kinds and (size := SIZE.fullmatch(value)):
            number = Fraction(size[1]) * UNITS[size[2]]
            return int(number) if number.denominator == 1 else value
        return value
    return with_sizes(value, models_of(models, key))
