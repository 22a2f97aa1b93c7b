"""Package files from the registries that this machine is configured for, fetched by apt-get, pip and npm.

Nothing is installed and no code of a package is run: pip fetches only pure wheels (a source distribution would run its
build), npm ignores scripts. The clients take registries, proxies and keys from the system's configuration.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

MAX_SECONDS = 1800  # per package
APT_EXTRAS = (  # index files that other programs add to the package lists
    "CNF", "Contents-deb", "DEP-11", "DEP-11-icons-small", "DEP-11-icons", "DEP-11-icons-large", "DEP-11-icons-hidpi",
)  # fmt: skip
URL = re.compile(r"\w+://\S+")
HOST = re.compile(
    r"\b(?:[a-z0-9-]+\.)+(?!(?:deb|whl|tgz|tar|gz|xz|json|log|py|js)\b)[a-z]{2,}\b(?::\d+)?|\b\d+(?:\.\d+){3}\b"
)


class FetchError(Exception):
    """A package could not be fetched; a retry may succeed."""

    def __init__(self, message: str, stderr: str = ""):
        super().__init__(message)
        self.stderr = stderr  # complete output of the client; it may name hosts, so it is never printed


class Gone(Exception):  # noqa: N818 a result, not a fault
    """The registry does not have the package or version, or has another file under its name; a retry cannot succeed."""


class Registry(Protocol):
    @property
    def tools(self) -> tuple[str, ...]: ...  # the programs that it needs on PATH

    def prepare(self, names: list[str]) -> None:
        """Prepare to fetch these packages; called once per run.

        Raises:
            FetchError: the preparation is incomplete. Fetching may still succeed.
        """
        ...

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        """The complete package file in `folder`; the newest version if `version` is empty.

        Raises:
            Gone: the registry does not have this version.
            FetchError: the download failed.
        """
        ...


class Apt:
    """Debian packages, with separate package lists: needs no root and does not change the system's lists."""

    tools = ("apt-get", "apt-cache")

    def __init__(self, state: Path):
        self.state = state.absolute()
        self.available: dict[str, set[str]] = {}  # package -> versions
        self.newest: dict[str, str] = {}

    def prepare(self, names: list[str]) -> None:
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        (self.state / "status").touch()
        (self.state / "apt.conf").write_text(apt_settings(self.state), encoding="utf-8")
        try:
            self.run("apt-get", "update", "-q")
        finally:  # often one of many sources fails; the lists of the others are usable
            every = versions(self.run("apt-cache", "show", *names, check=False))
            candidates = versions(self.run("apt-cache", "show", "--no-all-versions", *names, check=False))
            self.available = {name: set(of_package) for name, of_package in every.items()}
            self.newest = {name: of_package[0] for name, of_package in candidates.items()}

    def run(self, tool: str, *arguments: str, folder: Path | None = None, check: bool = True) -> str:
        settings = self.state / "apt.conf"
        return run([tool, "-c", str(settings), *arguments], folder or self.state, check)

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        if name not in self.newest:
            raise Gone("the package is not in the package lists of this machine")
        if version and version not in self.available[name]:
            raise Gone(f"version {version} is no longer available")
        version = version or self.newest[name]
        prefix = f"{name}_{version.replace(':', '%3a')}_"
        for other in [path for path in folder.iterdir() if not path.name.startswith(prefix)]:
            other.unlink()
        self.run("apt-get", "download", "-q", f"{name}={version}", folder=folder)  # resumes an interrupted download
        return only_file(folder)


class Pip:
    tools = ("pip",)

    def prepare(self, names: list[str]) -> None:
        pass

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        make_empty(folder)
        requirement = f"{name}=={version}" if version else name
        wheels = ["--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
        quiet = ["-q", "--no-deps", "--no-cache-dir", "--ignore-requires-python", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip"] if has_pip() else ["pip"]
        quiet += ["--retries", "1"]  # within each of our tries
        try:
            run([*pip, "download", *quiet, *wheels, "-d", ".", requirement], folder)
        except FetchError as error:
            if "versions: none" in error.stderr:
                raise FetchError(f"the index can't be reached, or has no pure wheel of {name}") from error
            if "No matching distribution" in error.stderr:
                raise Gone(f"the index has no pure wheel of {requirement}") from error
            raise
        return only_file(folder)


class Npm:
    tools = ("npm",)

    def prepare(self, names: list[str]) -> None:
        pass

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        make_empty(folder)
        package = f"{name}@{version}" if version else name
        cache = folder / "cache"
        try:
            quiet = ["--loglevel=error", "--logs-max=0", "--fetch-retries=0", "--ignore-scripts", f"--cache={cache}"]
            run(["npm", "pack", *quiet, package], folder)
        except FetchError as error:
            if re.search(r"\b(ETARGET|E404)\b", error.stderr):
                raise Gone(f"the registry has no {package}") from error
            raise
        finally:
            shutil.rmtree(cache, ignore_errors=True)
        return only_file(folder)


def registry_clients(cache: Path) -> dict[str, Registry]:
    return {"deb": Apt(cache / ".apt"), "npm": Npm(), "pypi": Pip()}


def missing_tool(registry: Registry) -> str:
    """The first program that the registry needs and that is not on PATH; empty if none."""
    return next((tool for tool in registry.tools if not (tool == "pip" and has_pip()) and not shutil.which(tool)), "")


def has_pip() -> bool:
    """Whether this Python has a pip module; then pip need not be on PATH."""
    return importlib.util.find_spec("pip") is not None


def apt_settings(state: Path) -> str:
    """Settings that apt reads after the system's own: separate lists and cache, and the same files on every machine."""
    return "\n".join(
        [
            "#clear APT::Update::Pre-Invoke;",  # the system's hooks clean the system's cache
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
            "#clear Acquire::IndexTargets::deb-src;",  # package lists only
            *(f"#clear Acquire::IndexTargets::deb::{kind};" for kind in APT_EXTRAS),
            'Acquire::Languages "none";',
            'APT::Update::Error-Mode "any";',  # a list that fails to download is an error, not a warning
            "#clear APT::Architectures;",  # locked files are of one architecture; the texts are the same in all
            'APT::Architecture "amd64";',
            'APT::Architectures { "amd64"; };',
            'APT::Sandbox::User "root";',  # if run as root, apt does not switch to a user without access to the folder
            f'Dir::State "{state}";',
            f'Dir::State::status "{state}/status";',
            f'Dir::Cache "{state}/cache";',
            'Dir::Cache::pkgcache "pkgcache.bin";',
            'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
            "",
        ]
    )


def versions(records: str) -> dict[str, list[str]]:
    """Package -> versions, from the output of `apt-cache show`."""
    by_package: dict[str, list[str]] = {}
    for record in records.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in record.splitlines() if re.match(r"(Package|Version): ", line))
        if len(fields) == 2:
            by_package.setdefault(fields["Package"], []).append(fields["Version"])
    return by_package


def version_of(registry: str, name: str, file: str) -> str:
    """The version in a package file's name; the names of all three registries contain it."""
    if registry == "deb":
        return file.split("_")[1].replace("%3a", ":")
    if registry == "pypi":
        return file.split("-")[1]
    return file.removesuffix(".tgz").removeprefix(name.removeprefix("@").replace("/", "-") + "-")


def run(command: list[str], folder: Path, check: bool = True) -> str:
    """The standard output of a client.

    Raises:
        FetchError: the client could not be run, or failed and `check` is true.
    """
    environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        completed = subprocess.run(  # noqa: S603 a client by name, and package names from the catalogue
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=MAX_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(without_hosts(f"{Path(command[0]).name} did not complete: {error}")) from error
    if completed.returncode and check:
        stderr = completed.stderr.decode(errors="replace")
        raise FetchError(first_error(stderr) or f"exit status {completed.returncode}", stderr)
    return completed.stdout.decode(errors="replace")


def first_error(stderr: str) -> str:
    """The first line that a client marks as an error, or else its last line; at most 200 characters, without hosts."""
    lines = [line for line in stderr.splitlines() if re.match(r"(E: |ERROR|npm (error|ERR!) )", line)]
    informative = [line for line in lines if not re.match(r"npm (error|ERR!) (code|errno|syscall) ", line)]
    return without_hosts((informative or lines or stderr.strip().splitlines()[-1:] or [""])[0])[:200]


def without_hosts(text: str) -> str:
    """The text without URLs and host names, so that manifests do not reveal which registry a machine uses."""
    return HOST.sub("HOST", URL.sub("URL", text))


def make_empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if len(files) != 1:
        raise FetchError(f"the client left {len(files)} files instead of one")
    return files[0]
