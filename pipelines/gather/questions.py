"""Package members -> documents, one per question with its answers, or per thread of a mailing list."""

import email
import email.policy
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import partial

from pipelines.gather.cleaning import decode, squeeze
from pipelines.gather.extractors import Documents, Extract, file_of, matcher
from pipelines.gather.packages import Member


def question_and_answer(question: str, answer: str) -> str:
    return squeeze(f"Q: {question}\n\nA: {answer}")


def perl_questions(members: Iterable[Member]) -> Documents:
    """The Perl FAQ in POD: every head2 is a question."""
    for member in members:
        if re.search(r"/pod/perlfaq[1-9]\.pod$", member.path):
            parts = re.split(r"^=head2 ", decode(member.read()), flags=re.MULTILINE)[1:]
            for n, part in enumerate(parts):
                text = re.split(r"^=head1 ", part, maxsplit=1, flags=re.MULTILINE)[0]
                question, _, answer = text.partition("\n")
                answer = re.sub(r"^=\w+.*\n", "", answer, flags=re.MULTILINE)
                answer = re.sub(r"[A-Z]<{1,3}\s?(.*?)\s?>{1,3}", r"\1", answer)  # C<code>, L<<link>>
                yield f"{member.path}#{n:03d}", question_and_answer(question, answer)


def python_questions(members: Iterable[Member]) -> Documents:
    """The FAQ pages of the Python manual in reStructuredText: every underlined title that ends in `?` is a question."""
    for member in members:
        if re.search(r"/_sources/faq/\w+\.rst\.txt$", member.path):
            parts = re.split(r"^(\S.*\?)\n[-=~^]{4,}\n", decode(member.read()), flags=re.MULTILINE)
            for n, (question, answer) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
                yield f"{member.path}#{n:03d}", question_and_answer(question, answer)


def each_numbered_question(members: Iterable[Member], pattern: str) -> Documents:
    for member in members:
        if matcher((pattern,))(member.path):
            path, raw = file_of(member)
            text = decode(raw).replace("\xa0", " ")
            parts = re.split(r"^(\d+\.\d+\. .+(?:\n.+)*)\n\n", text, flags=re.MULTILINE)
            for n, (question, answer) in enumerate(zip(parts[1::2], parts[2::2], strict=True)):
                yield f"{path}#{n:03d}", question_and_answer(question, answer)


def numbered_questions(pattern: str) -> Extract:
    """A FAQ in plain text with questions of the form `7.2. How ...?`."""
    return partial(each_numbered_question, pattern=pattern)


def each_thread(members: Iterable[Member], pattern: str) -> Documents:
    threads: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for member in members:
        if matcher((pattern,))(member.path):
            message = email.message_from_bytes(member.read(), policy=email.policy.compat32)
            if message.is_multipart() or message.get_content_type() != "text/plain":
                continue
            payload = message.get_payload(decode=True)
            body = decode(payload if isinstance(payload, bytes) else b"")
            body = re.sub(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", "<address>", body).strip()
            subject = " ".join(decode(str(message.get("Subject", "")).encode("utf-8", "replace")).split())
            if body and (topic := topic_of(subject)):
                threads[topic].append((member.path, f"Subject: {subject}\n\n{body}\n"))
    for _, mails in sorted(threads.items()):
        mails.sort()
        yield f"{mails[0][0]}+{len(mails) - 1}", squeeze("\n\n---\n\n".join(text for _, text in mails))


def topic_of(subject: str) -> str:
    bare = re.sub(r"(?i)\b(re|fwd?|aw)\s*:|\[[^\]]*\]", "", subject)
    return re.sub(r"\s+", " ", bare).strip().lower()


def mail_threads(pattern: str) -> Extract:
    """Mails of a mailing list, joined into threads by subject. Addresses are masked, names are not."""
    return partial(each_thread, pattern=pattern)
