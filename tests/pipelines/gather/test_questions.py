"""A document is a question with its answers, or all mails of a thread."""

import gzip

import pytest

from pipelines.gather.questions import mail_threads, numbered_questions, perl_questions, python_questions, topic_of
from tests.pipelines.gather.small import members


def test_the_perl_faq():
    pod = "=head1 NAME\n\nx\n\n=head2 How do I C<sort>?\n\nX<sort>\nUse L<< perlfunc >>.\n=over 4\n\n=head2 Why?\n\nSo.\n\n=head1 AUTHOR\n\nno\n"
    files = {"a/pod/perlfaq4.pod": pod, "a/pod/perlfunc.pod": pod}
    assert list(perl_questions(members(files))) == [
        ("a/pod/perlfaq4.pod#000", "Q: How do I C<sort>?\n\nA:\nsort\nUse perlfunc.\n"),
        ("a/pod/perlfaq4.pod#001", "Q: Why?\n\nA:\nSo.\n"),
    ]


def test_the_python_faq():
    page = "General\n=======\n\nWhat is it?\n-----------\n\nA language.\n\nWhy not?\n--------\nBecause.\n"
    files = {"d/_sources/faq/general.rst.txt": page, "d/_sources/howto/x.rst.txt": page}
    assert list(python_questions(members(files))) == [
        ("d/_sources/faq/general.rst.txt#000", "Q: What is it?\n\nA:\nA language.\n"),
        ("d/_sources/faq/general.rst.txt#001", "Q: Why not?\n\nA: Because.\n"),
    ]


def test_a_numbered_faq():
    page = "Contents\n\n1.1. What is\nit?\n\nA system.\n\n1.2. Why\xa0so?\n\nBecause.\n"
    files = {"d/faq.txt.gz": gzip.compress(page.encode())}
    assert list(numbered_questions("*/faq.txt.gz")(members(files))) == [
        ("d/faq.txt#000", "Q: 1.1. What is\nit?\n\nA: A system.\n"),
        ("d/faq.txt#001", "Q: 1.2. Why so?\n\nA: Because.\n"),
    ]


def mail(subject: str, body: str, kind: str = "text/plain") -> str:
    return f"From: a@b.example\nSubject: {subject}\nContent-Type: {kind}\n\n{body}\n"


def test_mails_of_one_subject_are_a_thread_in_the_order_of_their_files():
    files = {
        "m/2.txt": mail("Re: [list] The  Topic", "I agree, write to me@host.example.org now."),
        "m/1.txt": mail("The topic", "A question."),
        "m/3.txt": mail("Another", "x"),
        "m/4.txt": mail("The topic", "<b>no</b>", "text/html"),
        "m/5.txt": mail("", "without a subject"),
        "m/6.txt": mail("The topic", " "),
        "n/1.txt": mail("The topic", "elsewhere"),
    }
    assert list(mail_threads("m/*")(members(files))) == [
        ("m/3.txt+0", "Subject: Another\n\nx\n"),
        ("m/1.txt+1", "Subject: The topic\n\nA question.\n\n---\n\nSubject: Re: [list] The Topic\n\nI agree, write to <address> now.\n"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "topic"),
    [("Re: A", "a"), ("RE: Fwd: [x-y] A  B", "a b"), ("Aw: fw: A", "a"), ("Prepare: a", "prepare: a"), ("Re:", ""), ("[x]", "")],
)  # fmt: skip
def test_a_topic_is_a_subject_without_its_prefixes(subject, topic):
    assert topic_of(subject) == topic
