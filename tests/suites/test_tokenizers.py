"""The tokenizers: the same ids from all, the text restored, and as many threads as each says."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from torchduet.suites.cpus import cores

pytest.importorskip("transformers")

from torchduet.suites.transformers import corpus, tokenizers

CPU = torch.device("cpu")
TOKENIZE, THREADS, DETOKENIZE = tokenizers.suite.workloads.values()
ENCODING = {**TOKENIZE.implementations, **THREADS.implementations}
ODD = [
    "",
    " ",
    "\n\n\t x\r\n",
    "don't they'll I'VE 's",
    "²½ Ⅷ ١٢٣ 3,141.59 %",
    "e\u0301 क्षि ñ\u0303 ﷽",
    "👩‍🔬👍🏽🇪🇸❤️\u200d",
    "\x00\x7f\ufeff\u2028",
    "日本語とカナ。",
    "a" * 300,
    "<|endoftext|> [CLS]",
]


def ids_of_all(texts: list[str]) -> dict[str, Any]:
    """The ids that each implementation gives."""
    process = tokenizers.tokenizers_of_process()
    return {name: implementation.function(texts, process) for name, implementation in ENCODING.items()}


def in_a_new_process(code: str, **environment: str) -> Any:
    """What a new interpreter prints, as JSON."""
    kept = {name: value for name, value in os.environ.items() if "RAYON" not in name and "TOKENIZERS" not in name}
    done = subprocess.run([sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The text


def test_the_text_is_the_same_in_every_process() -> None:
    code = (
        "import json; from torchduet.suites.transformers.corpus import documents; "
        "print(json.dumps(documents(3, 500, 7)))"
    )
    here = corpus.documents(3, 500, 7)
    assert in_a_new_process(code, PYTHONHASHSEED="1") == here
    assert corpus.documents(3, 500, 8) != here


@pytest.mark.parametrize("length", [1, 2, 3, 64, 1000])
def test_documents_have_the_length_that_is_asked_for_in_bytes(length: int) -> None:
    assert {len(text.encode()) for text in corpus.documents(20, length, 3)} == {length}


def test_the_text_has_the_scripts_the_signs_and_the_frequencies_of_natural_text() -> None:
    text = "\n".join(corpus.documents(200, 2000, 5))
    for sign in ("e", "б", "λ", "ع", "क", "日", "가", "7", "?", "'s", "।", "。", "\n\n", "👍🏽"):
        assert sign in text
    words = text.split()
    counts = sorted((words.count(word) for word in set(words[:3000])), reverse=True)
    assert counts[0] > 5 * counts[20] > 5  # Zipf's law: about 21 times


# The ids


def test_all_give_the_same_ids_and_restore_the_text() -> None:
    texts = [*corpus.documents(20, 500, 11), *ODD]
    process = tokenizers.tokenizers_of_process()
    ids = ids_of_all(texts)
    assert all(given == ids["encode_batch"] for given in ids.values())
    tokenizers.restored((texts, process), ids["encode_batch"])
    for name, implementation in DETOKENIZE.implementations.items():
        assert implementation.function(ids["encode_batch"], process, texts) == texts, name


class Noted(dict[str, Any]):
    """A dictionary that keeps the keys that are read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


def test_no_two_implementations_that_encode_share_a_tokenizer_and_the_words_that_it_keeps() -> None:
    process = tokenizers.tokenizers_of_process()
    owner: dict[int, str] = {id(process.fast._tokenizer): "transformers_fast"}
    for name, implementation in ENCODING.items():
        rust = Noted(process.rust)
        implementation.function(["a text"], dataclasses.replace(process, rust=rust))
        assert {owner.setdefault(id(process.rust[key]), name) for key in rust.read} <= {name}
    assert len(owner) == len(ENCODING) - 1  # all but the one in Python


def test_the_slow_tokenizer_adds_no_special_tokens_in_any_version_of_transformers() -> None:
    slow = tokenizers.tokenizers_of_process().slow
    assert slow.special_tokens_pattern == "none"  # transformers 5.0 would add those of BERT by default
    assert slow.build_inputs_with_special_tokens([1, 2]) == [1, 2]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_fast_and_slow_agree_on_any_text(text: str) -> None:
    process = tokenizers.tokenizers_of_process()
    fast, slow = process.fast([text])["input_ids"], process.slow([text])["input_ids"]
    assert fast == slow
    assert process.slow.decode(slow[0]) == text


def test_ids_that_do_not_restore_the_text_are_an_error() -> None:
    texts, process = tokenizers.texts_and_tokenizers(CPU, 3, 200)
    ids = tokenizers.encode_batch(texts, process)
    ids[1] = ids[1][:-1]
    with pytest.raises(ValueError, match="document 1 is another text"):
        tokenizers.restored((texts, process), ids)
    with pytest.raises(ValueError, match="document 2 is decoded to another text"):
        tokenizers.same_texts((ids, process, texts), [*texts[:2], texts[2][:-1]])


def test_each_call_has_other_documents_and_the_same_tokenizers() -> None:
    first, second = (tokenizers.texts_and_tokenizers(CPU, 2, 300) for _ in range(2))
    assert first[0] != second[0]
    assert first[1] is second[1]


def test_the_samples_are_the_tokens() -> None:
    workload = tokenizers.suite.workloads["tokenize"]
    size = {"documents": 100, "length": 1024}
    ids = tokenizers.encode_batch(*workload.inputs(CPU, **size))
    assert workload.cost is not None
    assert workload.cost(**size).samples == pytest.approx(sum(map(len, ids)), rel=0.03)
    assert workload.cost(**size).bytes == 100 * 1024


# The threads

MEASURED = """
import json, os, threading, time
from pathlib import Path
import tokenizers as package
from torchduet.suites.transformers import corpus
from torchduet.suites.transformers.tokenizers import ENCODING, Tokenizers, encode_batch, one_by_one

texts = corpus.documents(64, 2048, 1)

def seconds():
    tasks = Path("/proc/self/task").iterdir()
    return {task.name: int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks}

def helpers(encode, awaited=0):
    "How many threads beside the main one work for a millisecond; where fewer than awaited do, the work is repeated."
    rust = corpus.trained()
    tokenizers = Tokenizers(dict.fromkeys(ENCODING, rust), None, None)
    began, working = seconds(), set()
    for number in range(200):
        encode(texts, tokenizers)
        took = {name: now - began.get(name, 0.0) for name, now in seconds().items() if name != str(os.getpid())}
        working = {name for name, spent in took.items() if spent > 1e-3}
        if number >= 4 and len(working) >= awaited:
            break
    return len(working)

def in_a_child(awaited=0):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, bytes([helpers(encode_batch, awaited)]))
        os._exit(0)
    os.wait()
    return os.read(read, 1)[0]

def at_the_same_time():
    "Whether two threads are in Rust while a third one of Python goes on."
    rust, inside, both = corpus.trained(), 0, False
    def encode():
        nonlocal inside
        inside += 1
        rust.encode_batch(["".join(texts)])
        inside -= 1
    for _ in range(20):
        threads = [threading.Thread(target=encode) for _ in range(2)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            both |= inside == 2
            time.sleep(0.001)
        if both:
            break
    return both
"""
only_linux = pytest.mark.skipif(
    not Path("/proc/self/schedstat").exists(), reason="only Linux counts the time of each thread there"
)


@only_linux
@pytest.mark.skipif(cores() < 2, reason="with one core there is one thread")
def test_a_batch_is_encoded_by_a_thread_per_core_and_a_single_text_by_one() -> None:
    calls = "in_a_child(2), helpers(encode_batch, 2), helpers(one_by_one), in_a_child()"
    counts = in_a_new_process(MEASURED + f"print(json.dumps([{calls}]))")
    child_of_what_only_imports, in_batch, alone, child_of_what_has_used_its_pool = counts
    assert 2 <= in_batch <= cores()
    assert 2 <= child_of_what_only_imports <= cores()
    assert alone == 0  # the main thread does it
    assert child_of_what_has_used_its_pool == 0


@only_linux
def test_the_pool_has_the_threads_that_were_asked_for_before_its_first_use() -> None:
    code = (
        "first = helpers(encode_batch, 1); os.environ['RAYON_NUM_THREADS'] = '2'; second = helpers(encode_batch, 1)\n"
    )
    assert in_a_new_process(
        MEASURED + code + "print(json.dumps([first, second, at_the_same_time()]))", RAYON_NUM_THREADS="1"
    ) == [1, 1, True]
