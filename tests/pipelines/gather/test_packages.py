"""Files of a package are read as a stream, and a package that unfolds into too much is refused."""

import gzip
import io
import tarfile
import zlib

import pytest

from pipelines.gather import packages
from pipelines.gather.packages import Bounded, PackageError, Window, gunzip, inflate, members
from tests.clients import COMPRESS, deb_of, package_of, tar_of, wheel_of

FILES = {"./usr/a.txt": b"one", "usr/b.bin": bytes(range(256)) * 9, "empty": b""}
PLAIN = {"usr/a.txt": b"one", "usr/b.bin": bytes(range(256)) * 9, "empty": b""}


def read(path):
    return {member.path: member.read() for member in members(path)}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_debian_package_whatever_it_is_packed_with(tmp_path, suffix):
    path = tmp_path / "a_1_all.deb"
    path.write_bytes(deb_of(tar_of(FILES), suffix))
    assert read(path) == PLAIN


def test_an_archive_of_npm_and_a_wheel(tmp_path):
    (tmp_path / "a.tgz").write_bytes(package_of("a.tgz", FILES))
    (tmp_path / "a.whl").write_bytes(package_of("a.whl", {**FILES, "folder/": b""}))
    assert read(tmp_path / "a.tgz") == read(tmp_path / "a.whl") == PLAIN


def test_links_folders_and_devices_are_no_files(tmp_path):
    others = []
    for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("dir", tarfile.DIRTYPE), ("dev", tarfile.CHRTYPE)):  # fmt: skip
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        others.append(info)
    (tmp_path / "a.deb").write_bytes(deb_of(tar_of({"a": b"x"}, *others)))
    assert read(tmp_path / "a.deb") == {"a": b"x"}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no archive", "a.deb: not a Debian package"),
        (b"!<arch>\n", "a.deb: contains no data archive"),
        (deb_of(b"", "").replace(b"data.tar", b"else.tar"), "a.deb: contains no data archive"),
        (
            deb_of(b"", "").replace(b"data.tar ", b"data.tar.br "[:9]),
            "a.deb: the data archive ends in '.'; only",
        ),
    ],
)
def test_what_is_no_debian_package(tmp_path, data, message):
    (tmp_path / "a.deb").write_bytes(data)
    with pytest.raises(PackageError) as error:
        read(tmp_path / "a.deb")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("file", ["a.deb", "a.tgz", "a.whl"])
def test_a_package_that_unfolds_into_too_much_is_refused(tmp_path, monkeypatch, file):
    path = tmp_path / file
    path.write_bytes(package_of(file, {"a": b"\0" * 300_000, "b": b"\0" * 300_000}))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(packages, "MAX_PACKAGE_BYTES", 599_999 if file == "a.whl" else 500_000)
    with pytest.raises(PackageError, match=rf"^{file}: more than .* bytes uncompressed"):
        read(path)
    monkeypatch.setattr(packages, "MAX_PACKAGE_BYTES", 2 << 30)
    monkeypatch.setattr(packages, "MAX_MEMBER_BYTES", 299_999)
    with pytest.raises(PackageError, match=rf"^{file}: a has 300,000 bytes, more than the limit of 299,999$"):
        read(path)
    monkeypatch.setattr(packages, "MAX_MEMBER_BYTES", 300_000)
    assert len(read(path)) == 2


def test_streams_inside_a_package_have_a_limit(monkeypatch):
    monkeypatch.setattr(packages, "MAX_MEMBER_BYTES", 1_000)
    for n in (0, 999, 1_000):
        assert gunzip(gzip.compress(b"x" * n)) == b"x" * n
        stream = zlib.compress(b"x" * n)
        assert inflate(stream + b"more") == (b"x" * n, len(stream))
    for unfold, stream in ((gunzip, gzip.compress(b"x" * 1_001)), (inflate, zlib.compress(b"x" * 1_001))):
        with pytest.raises(PackageError, match="more than 1,000 bytes uncompressed"):
            unfold(stream)
    with pytest.raises(PackageError, match="truncated"):
        inflate(zlib.compress(b"x" * 100)[:-5])


def test_a_window_ends_where_it_was_said_to():
    stream = io.BytesIO(b"0123456789")
    stream.seek(2)
    window = Window(stream, 5)
    assert [window.read(2), window.read(), window.read(1)] == [b"23", b"456", b""]
    bounded = Bounded(io.BytesIO(b"0123456789"), 5, "a.deb")
    assert bounded.read(5) == b"01234"
    with pytest.raises(PackageError, match=r"^a\.deb: more than 5 bytes uncompressed$"):
        bounded.read(1)


def test_a_path_that_is_not_utf_8_can_be_an_id(tmp_path):
    (tmp_path / "a.deb").write_bytes(deb_of(tar_of({"caf\udce9": b"x"})))
    assert list(read(tmp_path / "a.deb")) == ["caf?"]


def test_a_wheel_is_read_by_its_list(tmp_path):
    (tmp_path / "a.whl").write_bytes(wheel_of({"x/y.py": b"1"}))
    assert read(tmp_path / "a.whl") == {"x/y.py": b"1"}
