"""The corpus is the same bytes whatever happened on the way, and says what it could not have. Offline: stand-in clients."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import zstandard

import pipelines.gather as gather_module
from pipelines.gather import gathered as manifest_module
from pipelines.gather.catalogue import DOMAINS
from pipelines.gather.fetching import CorpusError, Locked
from pipelines.store.lock import locked
from schemas.errors import BusyError, LongmixError
from tests.pipelines.gather.small import FILES, TABLE, Run, fetches, rows, text


def test_what_is_written(run):
    manifest = run()
    found = rows(run.out / "book.jsonl.zst")
    assert [row["id"] for row in found] == sorted(
        [f"book/alpha/docs/{i}.txt" for i in range(9)] + [f"book/@scope/beta/package/{i}.txt" for i in (1, 2)]
    )
    assert found[0] == {
        "id": "book/@scope/beta/package/1.txt", "text": text(70).decode() + "\n", "source": "npm:@scope/beta",
        "domain": "book", "license": "CC0-1.0",
    }  # fmt: skip
    assert list(found[0]) == ["id", "text", "source", "domain", "license"]
    assert {p.name for p in run.out.iterdir()} == {
        "book.jsonl.zst",
        "c4.jsonl.zst",
        "github.jsonl.zst",
        "manifest.json",
    } | {f"{domain}.jsonl.zst" for domain in DOMAINS}
    for domain, facts in manifest.domains.items():
        raw = (run.out / facts.file).read_bytes()
        inside = zstandard.ZstdDecompressor().stream_reader(raw).read()
        texts = [row["text"].encode() for row in rows(run.out / facts.file)]
        assert (facts.sha256, facts.jsonl_sha256) == tuple(hashlib.sha256(part).hexdigest() for part in (raw, inside))
        assert (facts.documents, facts.text_bytes) == (len(texts), sum(map(len, texts))), domain
        assert (facts.jsonl_bytes, facts.file_bytes) == (len(inside), len(raw))
    assert manifest.packages == {key: Locked(**entry) for key, entry in json.loads(run.lock.read_text()).items()}
    assert manifest.left_out == {"github/npm:@scope/beta": "its license is of the kind contested"}
    assert not manifest.failures
    assert not manifest.moved
    assert manifest.domains["github"].available["deb:delta"].model_dump() == {
        "documents": 2, "text_bytes": len(text(50)) + len(text(99)) + 2, "license": "Apache-2.0", "kind": "permissive",
    }  # fmt: skip
    assert [line for line in run.reported if line.startswith("github/deb:delta: 2 documents, 0.00 MB")]
    assert run.reported[-1].endswith("s processing")
    assert " s downloading, " in run.reported[-1]


def test_min_chars_counts_characters_and_is_met_by_equal_length(run):
    run(min_chars=151)  # 150 and a newline
    assert len(rows(run.out / "github.jsonl.zst")) == 3
    run(min_chars=152)
    assert len(rows(run.out / "github.jsonl.zst")) == 2


def test_kinds_and_domains(run):
    manifest = run(domains=["github", "c4"], allow=["contested", "permissive"])
    assert list(manifest.domains) == ["c4", "github"]
    assert manifest.left_out == {"c4/pypi:gamma": "its license is of the kind copyleft"}
    assert {row["source"] for row in rows(run.out / "github.jsonl.zst")} == {"deb:delta", "npm:@scope/beta"}


def test_the_order_of_the_table_cannot_show(clean, run):
    run(sources=TABLE[::-1])
    assert run.bytes() == clean


def test_the_order_inside_a_package_cannot_show(served, tmp_path):
    made = []
    for name, turn in (("a", 1), ("b", -1)):
        for (registry, file), files in FILES.items():
            served.put(registry, file, dict(list(files.items())[::turn]))
        one = Run(tmp_path / name, served)
        one(max_mb=0.002, lock=None)
        made.append({file: content for file, content in one.bytes().items() if file != "manifest.json"})
    assert made[0] == made[1]


def test_a_cap_keeps_to_its_bytes_and_is_a_part_of_the_whole(run):
    whole = {row["id"]: row for row in (run(), rows(run.out / "book.jsonl.zst"))[1]}
    manifest = run(max_mb=0.002)
    capped = rows(run.out / "book.jsonl.zst")
    assert 0 < manifest.domains["book"].text_bytes <= 2000
    assert 0 < len(capped) < len(whole)
    assert all(whole[row["id"]] == row for row in capped)
    assert manifest.domains["book"].available["deb:alpha"].documents == 9
    assert rows(run.out / "book.jsonl.zst") != (run(max_mb=0.002, seed=1), rows(run.out / "book.jsonl.zst"))[1]


def test_a_second_run_does_nothing(run, served):
    run()
    served.calls()
    before = {path: path.stat().st_mtime_ns for path in run.out.iterdir()}
    shutil.rmtree(run.cache)  # what is there was made from the locked files: they are not needed
    run()
    assert run.reports("nothing to do")
    assert not served.calls()
    assert {path: path.stat().st_mtime_ns for path in run.out.iterdir()} == before


def test_what_makes_it_gather_again(run, served, clean, monkeypatch):
    run()
    served.calls()
    for damage in (b"", (run.out / "c4.jsonl.zst").read_bytes()[:-1]):
        (run.out / "c4.jsonl.zst").write_bytes(damage)
        run()
        assert run.bytes() == clean
        assert not run.reports("nothing to do")
    for arguments in ({"seed": 1}, {"seed": 0}, {"max_mb": 1}, {"min_chars": 100}, {"domains": ["book"]}):
        run(**arguments)
        assert not run.reports("nothing to do"), arguments
        run(**arguments)
        assert run.reports("nothing to do"), arguments
    assert not fetches(served)  # all of that out of the cache
    run()
    monkeypatch.setattr(manifest_module, "VERSION", 10**6)
    monkeypatch.setattr(gather_module, "VERSION", 10**6)
    run()
    assert not run.reports("nothing to do")
    served.without("npm")
    assert "book/npm:@scope/beta" in run().left_out
    assert not run.reports("nothing to do")


def test_another_lock_gathers_again(run, served):
    run()
    served.put("deb", "delta_4_all.deb", {"src/new.py": text(120)})
    lock = json.loads(run.lock.read_text())
    digest = hashlib.sha256((served.pool / "deb/delta_4_all.deb").read_bytes()).hexdigest()
    run.lock.write_text(json.dumps(lock | {"deb:delta": {"version": "4", "file": "delta_4_all.deb", "sha256": digest}}))
    assert run().packages["deb:delta"].version == "4"
    assert [row["id"] for row in rows(run.out / "github.jsonl.zst")] == ["github/delta/src/new.py"]


def test_nothing_at_all_is_an_error(run, served):
    served.without("apt-get", "npm", "pip")
    with pytest.raises(CorpusError, match=r"nothing could be gathered: apt-get is not on PATH \(3 sources\); .*npm"):
        run()
    assert not (run.out / "manifest.json").exists()


def test_a_damaged_or_changed_package_is_left_out(run, served):
    served.put("deb", "alpha_1%3a1.0_all.deb", {"other/place.txt": text(99)})
    path = served.put("deb", "delta_3_all.deb", FILES["deb", "delta_3_all.deb"])
    path.write_bytes(path.read_bytes()[:-40])
    (served.pool / "pypi" / "gamma-0.5-py3-none-any.whl").write_bytes(b"PK not a zip")
    manifest = run(lock=None)
    assert set(manifest.failures) == {"book/deb:alpha", "c4/deb:alpha", "github/deb:delta", "c4/pypi:gamma"}
    assert "contains no document" in manifest.failures["book/deb:alpha"]
    assert "can't be read (EOFError" in manifest.failures["github/deb:delta"]


def test_an_end_before_the_manifest_leaves_none(run, monkeypatch):
    run(seed=5, max_mb=0.002)
    with monkeypatch.context() as patch:
        patch.setattr(gather_module, "write_json", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run()
    assert not (run.out / "manifest.json").exists()
    assert not (run.cache / ".working").exists()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CorpusError, match="nothing could be gathered"):
        run()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"domains": ["boook"]}, "domains: unknown value 'boook'; did you mean book"),
        ({"domains": []}, "domains: no value is given; choose from arxiv"),
        ({"allow": ["gpl"]}, "allow: unknown value 'gpl'; choose from pd, permissive"),
        ({"max_mb": -1}, "max_mb: -1"),
        ({"max_mb": float("nan")}, "max_mb: nan"),
        ({"lock": Path("no/such.json")}, r"no/such.json: can't be read \(No such file"),
        ({"lock": None, "update_lock": True}, "update_lock: no lock file is given"),
    ],
)
def test_what_is_refused(run, arguments, words):
    with pytest.raises(CorpusError, match=words):
        run(**arguments)


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("out", "cache"):
        setattr(run, place, tmp_path / "file" / place)
        with pytest.raises(LongmixError, match=r"choose another (folder|--cache)$"):
            run()


def test_a_second_gather_on_a_cache_is_refused(run):
    with (
        locked(run.cache, "another gathering", "--cache"),
        pytest.raises(BusyError, match=r"another gathering holds it since .*; wait for it or choose another --cache"),
    ):
        run()
    run()
