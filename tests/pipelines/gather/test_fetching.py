"""A package file that is there and whole is never fetched again; what did not come is named."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.gather import fetching
from pipelines.gather.catalogue import Source
from pipelines.gather.extractors import plain_files
from pipelines.gather.fetching import CorpusError, Locked, Package
from pipelines.gather.gathered import read_lock
from pipelines.gather.registries import version_of
from tests.pipelines.gather.small import FILES, KEYS, TABLE, Run, fetches, lock_of, rows, text


def test_a_damaged_cached_file_is_found_and_fetched_again(run, served, clean):
    run()
    served.calls()
    (cached,) = run.cache.glob("deb/delta/*.deb")
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    shutil.rmtree(run.out)
    run()
    assert run.reports("deb:delta: the cached delta_3_all.deb is damaged")
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
    assert run.reports(f"{key}: {KEYS[old][1]} is no longer available; using the newest, {taken}")
    assert not manifest.failures
    served.calls()
    before = run.bytes()
    run()
    assert run.reports("nothing to do")
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
    assert "the lock has 000000000000..." in manifest.failures["github/deb:delta"]
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
    assert not [line for line in run.reported if "example" in line or "10.1.2.3" in line]
    assert run.reports("deb: E: Failed to fetch") == (name == "update" and not comes)


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


SCRIPT = """
import json, sys
from pathlib import Path
from pipelines.gather import Arguments, Lock, fetching, gather, registries
from tests.pipelines.gather.small import TABLE
registries.has_pip = lambda: False
fetching.N_DOWNLOADS = 1
gather(Path(sys.argv[1]), Path(sys.argv[2]), Arguments(), Lock(Path(sys.argv[3])), sources=TABLE)
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


def test_a_pinned_version_is_the_newest_that_is_taken(run, served):
    served.put("deb", "delta_9_all.deb", {"src/new.py": text(120)})
    pinned = [Source("github", Package("deb", "delta", "3"), "MIT", "permissive", plain_files("src/*"))]
    assert run(sources=TABLE[4:5], lock=None).packages["deb:delta"].version == "9"
    assert run(sources=pinned, lock=None, seed=1).packages["deb:delta"].version == "3"  # though 9 is cached
