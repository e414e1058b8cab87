"""The image that the manifest names: what its Dockerfile copies is there, and what it installs is pinned.

Nothing is built here: there is no Docker where tests run.
"""

from __future__ import annotations

import json
import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTALLS = "RUN pip install -c constraints.txt .\n"


def instructions(text: str) -> list[tuple[str, str]]:
    """Word and the rest of each instruction; its continued lines are one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in whole.splitlines())]


def is_sent(source: str) -> bool:
    """Whether .dockerignore lets a path into the build: its last line that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#") and fnmatch(source, line.removeprefix("!")):
            sent = line.startswith("!")
    return sent


def problems(text: str) -> list[str]:
    """What is wrong with a Dockerfile of this repository."""
    found, copied = [], set()
    known = {"FROM", "RUN", "COPY", "WORKDIR", "USER", "CMD"}
    for word, rest in instructions(text):
        if word not in known:
            found.append(f"{word} is no instruction that is used here")
        if word == "COPY":
            *sources, _ = rest.split()
            copied |= set(sources)
            found += [f"{source} is not there" for source in sources if not (ROOT / source).exists()]
            found += [f"{source} is ignored" for source in sources if not is_sent(source)]
        if word == "RUN":
            for command in re.split(r"&&|;", rest):
                words = shlex.split(command)
                if words[:2] == ["pip", "install"]:
                    pinned = "-c" in words and words[words.index("-c") + 1] == "constraints.txt"
                    found += [] if pinned else [f"not pinned: {command.strip()}"]
                    found += [] if "constraints.txt" in copied else ["constraints.txt is not there when pip runs"]
    stages = [rest.split(" AS ")[-1] for word, rest in instructions(text) if word == "FROM"]
    bases = [rest.split(" AS ")[0] for word, rest in instructions(text) if word == "FROM"]
    found += [f"no base {base}" for base in bases[1:] if base not in stages and ":" not in base]
    return found


def test_what_it_copies_is_there_and_what_it_installs_is_pinned() -> None:
    assert problems(DOCKERFILE) == []
    assert any("pip install" in rest for word, rest in instructions(DOCKERFILE) if word == "RUN")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("COPY nowhere.txt ./\n", "nowhere.txt is not there"),
        ("COPY tests ./\n", "tests is ignored"),
        (INSTALLS, "constraints.txt is not there when pip runs"),
        ("COPY constraints.txt ./\nRUN pip install \\\n  .\n", "not pinned: pip install ."),
        ("COPPY constraints.txt ./\n", "COPPY is no instruction that is used here"),
        ("FROM other AS last\n", "no base other"),
    ],
)
def test_the_check_sees_what_is_wrong(text: str, problem: str) -> None:
    assert problem in problems("FROM python:3.11 AS base\n" + text)


def test_it_is_the_image_of_the_manifest_by_the_documented_command() -> None:
    _, _, job = yaml.safe_load_all((ROOT / "clusters" / "kuberay-rayjob.yaml").read_text(encoding="utf-8"))
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    images = {one["image"] for group in groups for one in group["template"]["spec"]["containers"]}
    (image,) = images
    for page in ("Dockerfile", "docs/clusters.md"):
        assert f"docker build -t {image} ." in (ROOT / page).read_text(encoding="utf-8"), page
    user = re.search(r"--uid (\d+)", DOCKERFILE)
    assert user is not None
    assert {group["template"]["spec"]["securityContext"]["fsGroup"] for group in groups} == {int(user[1])}


def test_it_has_the_python_that_is_pinned_and_the_linker_of_the_manifest() -> None:
    (version,) = re.findall(r"for Python (\S+) on", (ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert f"FROM python:{version}-" in DOCKERFILE
    manifest = (ROOT / "clusters" / "kuberay-rayjob.yaml").read_text(encoding="utf-8")
    (linker,) = re.findall(r"linker: (\S+)-g\+\+", manifest)
    assert f"g++-{linker}" in DOCKERFILE


def test_the_development_container_is_a_stage_of_it() -> None:
    folder = ROOT / ".devcontainer"
    document = json.loads((folder / "devcontainer.json").read_text(encoding="utf-8"))
    build = document["build"]
    assert (folder / build["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (folder / build["context"]).resolve() == ROOT
    assert f" AS {build['target']}\n" in DOCKERFILE
    assert f"useradd --uid 1000 --create-home {document['remoteUser']}\n" in DOCKERFILE
    command, target = document["postCreateCommand"].split()
    assert command == "make"
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
