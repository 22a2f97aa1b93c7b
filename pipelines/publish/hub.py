"""The YAML at the head of a card, by which the Hugging Face hub files a dataset and `load_dataset` finds its files.

Source: https://huggingface.co/docs/hub/datasets-cards; the licenses are those of
https://huggingface.co/docs/hub/repositories-licenses.
"""

import json
import re
from collections.abc import Mapping, Sequence

SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")  # bounds of the categories, in rows
SPDX = {  # SPDX id in lower case -> the hub's id, where they differ
    "gpl-2.0-only": "gpl-2.0", "gpl-2.0-or-later": "gpl-2.0", "gpl-3.0-only": "gpl-3.0", "gpl-3.0-or-later": "gpl-3.0",
    "agpl-3.0-only": "agpl-3.0", "agpl-3.0-or-later": "agpl-3.0", "lgpl-2.1-only": "lgpl-2.1",
    "lgpl-2.1-or-later": "lgpl-2.1", "lgpl-3.0-only": "lgpl-3.0", "lgpl-3.0-or-later": "lgpl-3.0",
    "odc-by-1.0": "odc-by", "odbl-1.0": "odbl", "pddl-1.0": "pddl",
}  # fmt: skip
HUB_LICENSES = {
    *SPDX.values(), "apache-2.0", "mit", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd-2-clause", "bsd-3-clause",
    "bsd-3-clause-clear", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0", "cdla-permissive-1.0",
    "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0", "eupl-1.1", "eupl-1.2", "isc", "lppl-1.3c", "ms-pl",
    "mpl-2.0", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib",
}  # fmt: skip


def front_matter(
    mix: str, licenses: Sequence[str | None], n_rows: int, tags: Sequence[str], files: Mapping[str, str]
) -> str:
    """The head of a card. No language is named: a recipe does not state one.

    Args:
        licenses: of the documents in the mix, each once; None: not stated.
        files: name of a configuration -> a glob of its files, relative to the card; the first is the default.
    """
    lines = [f"pretty_name: {json.dumps(mix)}", *license_of(licenses), "task_categories:", "- text-generation"]
    lines += ["size_categories:", f"- {size_of(n_rows)}", "tags:", *(f"- {tag}" for tag in tags), "configs:"]
    for i, (name, pattern) in enumerate(files.items()):
        lines += [f"- config_name: {name}", f"  data_files: {json.dumps(pattern)}", *["  default: true"][i:]]
    return "\n".join(["---", *lines, "---"])


def license_of(licenses: Sequence[str | None]) -> list[str]:
    """The hub's own id where all documents have one and the same; else `other`, or `unknown` where none is stated."""
    stated = sorted({name for name in licenses if name is not None})
    if not stated:
        return ["license: unknown"]
    if len(stated) == 1 and None not in licenses:
        identifier = SPDX.get(stated[0].lower(), stated[0].lower())
        if identifier in HUB_LICENSES:
            return [f"license: {identifier}"]
        return ["license: other", f"license_name: {json.dumps(slug(stated[0]))}"]
    return ["license: other", "license_name: several"]


def slug(name: str) -> str:
    """A license's name as the hub writes one: small letters, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower())[:64].strip("-.") or "other"


def size_of(n_rows: int) -> str:
    """The hub's category of a number of rows: "n<1K", "1K<n<10K", ..., "n>1T"."""
    for i, bound in enumerate(SIZES):
        if n_rows < 10 ** (3 + i):
            return f"{SIZES[i - 1]}<n<{bound}" if i else f"n<{bound}"
    return f"n>{SIZES[-1]}"
