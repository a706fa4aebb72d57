"""The tokenizers: the same ids from all, the text restored, and as many threads as each says."""

import json
import os
import subprocess
import sys
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
    made = tokenizers.made()
    workloads = tokenizers.suite.workloads
    every = workloads["tokenize"].implementations | workloads["tokenize_threads"].implementations
    return {name: implementation.function(texts, made) for name, implementation in every.items()}


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
    made = tokenizers.made()
    ids = ids_of_all(texts)
    assert all(given == ids["encode_batch"] for given in ids.values())
    tokenizers.restored((texts, made), ids["encode_batch"])
    for name, one in tokenizers.suite.workloads["detokenize"].implementations.items():
        assert one.function(ids["encode_batch"], made, texts) == texts, name


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40))
def test_fast_and_slow_agree_on_any_text(text: str) -> None:
    made = tokenizers.made()
    fast, slow = made.fast([text])["input_ids"], made.slow([text])["input_ids"]
    assert fast == slow
    assert made.slow.decode(slow[0]) == text


def test_ids_that_do_not_restore_the_text_are_an_error() -> None:
    texts, made = tokenizers.texts_and_tokenizers(CPU, 3, 200)
    ids = tokenizers.encode_batch(texts, made)
    ids[1] = ids[1][:-1]
    with pytest.raises(ValueError, match="document 1 is another text"):
        tokenizers.restored((texts, made), ids)
    with pytest.raises(ValueError, match="document 2 is decoded to another text"):
        tokenizers.same_texts((ids, made, texts), [*texts[:2], texts[2][:-1]])


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
from torchduet.suites.transformers.tokenizers import Tokenizers, encode_batch, one_by_one

texts = corpus.documents(64, 2048, 1)

def seconds():
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in Path("/proc/self/task").iterdir()}

def busy(encode):
    "How many threads did at least a tenth of the work."
    made = Tokenizers(corpus.trained(), None, None)
    began = seconds()
    for _ in range(5):
        encode(texts, made)
    took = [now - began.get(name, 0) for name, now in seconds().items()]
    return sum(10 * one > sum(took) for one in took)

def in_a_child():
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, bytes([busy(encode_batch)]))
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
    threads = [threading.Thread(target=encode) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        both |= inside == 2
        time.sleep(0.001)
    return both
"""


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="only Linux counts the time of each thread there")
@pytest.mark.skipif(cores() < 2, reason="with one core there is one thread")
def test_a_batch_is_encoded_by_a_thread_per_core_and_a_single_text_by_one() -> None:
    counts = in_a_new_process(
        MEASURED + "print(json.dumps([in_a_child(), busy(encode_batch), busy(one_by_one), in_a_child()]))"
    )
    child_of_what_only_imports, in_batch, alone, child_of_what_has_used_its_pool = counts
    assert 2 <= in_batch <= cores()
    assert 2 <= child_of_what_only_imports <= cores()
    assert alone == 1
    assert child_of_what_has_used_its_pool == 1


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="only Linux counts the time of each thread there")
def test_the_pool_has_the_threads_that_were_asked_for_before_its_first_use() -> None:
    code = "first = busy(encode_batch); os.environ['RAYON_NUM_THREADS'] = '2'; second = busy(encode_batch)\n"
    assert in_a_new_process(
        MEASURED + code + "print(json.dumps([first, second, at_the_same_time()]))", RAYON_NUM_THREADS="1"
    ) == [1, 1, True]
