"""Attacks that read or write what the user did not name: queries, names and paths."""

import json
import os
import shutil
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa
from pyarrow import ipc

from benchmarks.attack.ground import Attack, Ground, Outcome, newest, outcome, refused
from benchmarks.attack.inputs import list_files
from tests import micro

SECRET = "the-secret-of-another-folder"


def secret(ground: Ground) -> Path:
    path = ground.folder / "secret.txt"
    path.write_text(f"{SECRET}\n" * 9)
    return path


def copies_over_readme(ground: Ground) -> Outcome:
    root = ground.built()
    page = newest(root) / "README.md"
    before = page.read_bytes()
    ended = ground.run("query", root, f"COPY (SELECT 1) TO '{page}'")
    is_same = page.is_file() and page.read_bytes() == before
    return outcome(is_same, ended.summary() if is_same else "README.md was overwritten")


def reads_secret(ground: Ground, sql: str) -> Outcome:
    """A query that prints a file outside the root."""
    root, path = ground.built(), secret(ground)
    ended = ground.run("query", root, sql.format(path=path), "--format", "csv")
    is_read = SECRET in ended.output.replace(sql.format(path=path), "")
    return outcome(not is_read, "the file was printed" if is_read else ended.summary())


def attaches(ground: Ground) -> Outcome:
    root, path = ground.built(), ground.folder / "own.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE t AS SELECT 1")
    ended = ground.run("query", root, f"ATTACH '{path}' AS own; CREATE TABLE own.u AS SELECT 2; FROM own.t")
    with duckdb.connect(str(path), read_only=True) as con:
        n_tables = len(con.execute("SHOW TABLES").fetchall())
    return outcome(n_tables == 1 and ended.status != 0, ended.summary() if n_tables == 1 else "a table was written")


def installs(ground: Ground) -> Outcome:
    root, home = ground.built(), ground.made("home")
    ground.environment["HOME"] = str(home)
    extension = ground.folder / "own.duckdb_extension"
    extension.write_bytes(b"no extension" * 99)
    ended = ground.run("query", root, f"INSTALL '{extension}'")
    made = files_of_extensions(home)
    return outcome(not made and ended.status != 0, f"{made} was made" if made else ended.summary())


def files_of_extensions(home: Path) -> str:
    paths = sorted(home.glob(".duckdb/**/*"))
    return paths[0].name if paths else ""


def split_outside(ground: Ground) -> Outcome:
    """A saved dataset whose recipe names a split beside its folder."""
    folder = ground.folder / "saved"
    for name, text in (("saved/train", "a text of the dataset"), ("secret", SECRET)):
        write_saved(ground.folder / name, text)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "../secret"]}))
    ended = ground.build_small(f'name = "saved"\ndomain = "web"\npath = "{folder}"\nsplit = "../secret"')
    if not ended.is_done:
        return refused(ended)
    n_read = documents_with(ground, SECRET)
    return outcome(n_read == 0, f"built, {n_read} documents from the other folder")


def documents_with(ground: Ground, text: str) -> int:
    """How many documents of the small mix hold a text."""
    sql = f"SELECT count(*) n FROM tables.DOCUMENTS WHERE text LIKE '%{text}%'"
    answer = ground.run("query", ground.folder / "root", sql, "--format", "csv")
    return int(answer.last_line) if answer.status == 0 else 0


def write_saved(folder: Path, text: str) -> None:
    """A folder as save_to_disk of `datasets` writes it."""
    folder.mkdir(parents=True)
    table = pa.table({"text": [f"{text} {i}" for i in range(9)]})
    with ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), table.schema) as writer:
        writer.write_table(table)
    list_files(folder)


def mix_name_outside(ground: Ground) -> Outcome:
    ended = ground.build_small("", top='mix = "../../outside"')
    is_made = (ground.folder / "outside").exists() or (ground.folder.parent / "outside").exists()
    return outcome(ended.is_refused and not is_made, "a folder outside was made" if is_made else ended.summary())


def source_name_outside(ground: Ground) -> Outcome:
    ended = ground.build_small('name = "../../outside"\ndomain = "web"\npath = "pages.jsonl"')
    is_made = (ground.folder / "outside").exists()
    return outcome(ended.is_refused and not is_made, "a folder outside was made" if is_made else ended.summary())


def link_outside(ground: Ground) -> Outcome:
    """A link in a source's folder to a file outside it: the file is no document."""
    folder, path = ground.made("texts"), secret(ground)
    shutil.copy(micro.CORPUS / "book" / micro.SPEECH, folder / "speech.txt")
    (folder / "link.txt").symlink_to(path)
    ended = ground.build_small(f'name = "texts"\ndomain = "web"\npath = "{folder}"')
    n_read = documents_with(ground, SECRET) if ended.is_done else 0
    return outcome(n_read == 0 and (ended.is_done or ended.is_refused), "it was read" if n_read else ended.summary())


def special_paths(ground: Ground) -> Outcome:
    """Paths of a recipe that are no files: a device without an end, a pipe that nobody writes, a folder."""
    pipe = ground.folder / "pipe.jsonl"
    os.mkfifo(pipe)
    wrong = []
    encode = 'tokenizer = "{}"\neos_token = "<|endoftext|>"'
    for sections, source in (
        ({"encode": encode.format("/dev/zero")}, ""),
        ({"encode": encode.format(ground.made("folder"))}, ""),
        ({}, f'name = "pipe"\ndomain = "web"\npath = "{pipe}"'),
    ):
        ended = ground.build_small(source, 60, **sections)
        if not ended.is_refused:
            wrong.append(ended.summary())
    return outcome(not wrong, f"{3 - len(wrong)} of 3 refused; {wrong[0]}" if wrong else "3 of 3 refused in one line")


READ = "SELECT content FROM read_text('{path}')"
ATTACKS: dict[str, Attack] = {
    "query-copies": ("the README is unchanged", copies_over_readme),
    "query-reads": ("the file is not printed", partial(reads_secret, sql=READ)),
    "query-attaches": ("nothing is attached or written", attaches),
    "query-installs": ("nothing is installed", installs),
    "query-unlocks": (
        "the lock stays",
        partial(reads_secret, sql=f"SET enable_external_access = true; SET lock_configuration = false; {READ}"),
    ),
    "split-outside": ("refused in one line", split_outside),
    "mix-name": ("refused in one line, no folder", mix_name_outside),
    "source-name": ("refused in one line, no folder", source_name_outside),
    "link-outside": ("the file is no document", link_outside),
    "recipe-paths": ("each is refused within 60 s", special_paths),
}
