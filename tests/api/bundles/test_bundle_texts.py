"""What a sweep's folder says is text in the files of its bundle: no markup, no command, no code."""

from __future__ import annotations

import re

from sweep.api.bundles.texts import header, page
from tests.report.hostile import ALL

CODE = 'x"; } int main() { system("canary"); } //\\\n#include "canary"\n'


def entry(name: str) -> dict[str, object]:
    return {"name": name, "shape": [1, 3], "dtype": "float32", "file": f"data/{name}.bin"}


def manifest(text: str) -> dict[str, object]:
    return {
        "model": {"name": text, "source": text},
        "library": "lib.so",
        "entry": text,
        "inputs": [entry(text), entry("second")],
        "outputs": [entry(text)],
        "tolerance": 0.1,
        "threads": 1,
        "target": {"mcpu": text},
        "axes": {"batch": 1, "precision": text},
        "cpu": {"architecture": text, "features": {text: text}},
        "versions": {"apache-tvm": f"0.27.0; rm -rf $(x) {text}", "apache-tvm-ffi": "0.1.14.post0"},
        "latency": {"text": text, "disturbed": text},
        "chosen": {"how": text},
        "files": {},
        "output_check": {"is_compared": True, "reason": None},
    }


def test_the_page_has_no_markup_of_theirs() -> None:
    text = page(manifest(ALL))
    assert "\x1b" not in text
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", re.sub(r"`[^`\n]*`", "", text.partition("## In Python")[0]))
    assert "`" not in bare
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| input")}) == 1
    assert "<" not in bare
    assert "](" not in bare
    (install,) = [line for line in text.splitlines() if line.startswith("pip install")]
    assert re.fullmatch(r"pip install apache-tvm==[\w.+!-]+ apache-tvm-ffi==0\.1\.14\.post0 numpy", install)
    assert "Network().run(array_0, array_1)" in text


def test_the_page_says_that_outputs_were_compared_with_nothing() -> None:
    said = "**Its outputs were compared with nothing**: onnxruntime refuses it."
    check = {"is_compared": False, "reason": "onnxruntime refuses it"}
    assert said in page({**manifest("net"), "output_check": check})
    assert "compared with nothing" not in page(manifest("net"))


def test_the_page_names_no_batch_of_a_network_that_keeps_its_own() -> None:
    assert "\nbatch 8, float32," in page({**manifest("net"), "axes": {"batch": 8, "precision": "float32"}})
    text = page({**manifest("net"), "axes": {"batch": None, "precision": "float32"}})
    assert "\nfloat32, 1 thread." in text
    assert "None" not in text


def test_the_header_has_no_code_of_theirs() -> None:
    lines = header(manifest(CODE), [entry("out")]).splitlines()
    strings = re.compile(r'"(?:[^"\\]|\\.)*"')
    assert "canary" not in "\n".join(strings.sub('""', line) for line in lines)
    assert all(strings.sub("", line).count('"') == 0 for line in lines if not line.startswith("#include <"))
