"""Random text in several scripts for tokenizers. A seed gives the same text everywhere.

Words are random syllables; how often each occurs follows Zipf's law, as in natural text: the word of rank r has a share
in proportion to 1/r. Sentences have punctuation, numbers, contractions and a few emoji.
"""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

EMOJI = ("🙂", "🎉", "👍🏽", "👩‍🔬", "🇪🇸", "❤️", "🚀", "🤷‍♀️")  # with modifiers, joiners and flags
CONTRACTIONS = ("'s", "'t", "'re", "'ll", "'ve")
PADDING = "."
TRAINING_SEED = 1  # of the documents that the tokenizer is trained on
FIRST_SEED = 2  # of others


@dataclass(frozen=True)
class Script:
    """How the words and sentences of a script look.

    Attributes:
        share: of the sentences.
        words: how many there are.
        onsets, vowels: parts of a syllable.
        syllables: the most that a word has.
        space: what separates words.
        ends: of a sentence.
    """

    share: float
    words: int
    onsets: str
    vowels: str
    syllables: int = 4
    space: str = " "
    ends: str = "..?!"


SCRIPTS = (
    Script(0.72, 6000, "bcdfghjklmnprstvwyz", "aeiouéüe"),
    Script(0.08, 1000, "бвгджзклмнпрстфхчш", "аеиоуыя"),
    Script(0.04, 1000, "βγδθκλμνπρστφχ", "αεηιοωά"),
    Script(0.04, 1000, "بتجدرزسشعفقكلمنه", "اوي", ends="..؟"),
    Script(0.04, 1000, "कगचजटडतदनपबमरलवस", "ािीुेो", ends="।"),  # vowels that are marks, not letters
    Script(0.05, 1000, "日月火水木金土山川田人口大小中上下左右", "年時分国学生先会社", 2, "", "。！"),
    Script(0.03, 1000, "가나다라마바사아자차카타파하", "은는이를에서고"),
)


@functools.cache
def _vocabulary(script: Script) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The words of a script and their cumulated weights; frequent words are short, as in natural languages."""
    rng = random.Random(script.onsets)
    words: dict[str, None] = {}
    for rank in itertools.count(1):
        longest = min(script.syllables, 1 + len(str(rank)) // 2 + rank % 2)
        count = rng.randint(1, longest) if rank < 200 else rng.randint(min(2, longest), script.syllables)
        words["".join(rng.choice(script.onsets) + rng.choice(script.vowels) for _ in range(count))] = None
        if len(words) == script.words or rank > 20 * script.words:
            break
    return tuple(words), tuple(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))


def _sentence(rng: random.Random, script: Script) -> str:
    words, weights = _vocabulary(script)
    chosen = rng.choices(words, cum_weights=weights, k=rng.randint(4, 18))
    chosen[0] = chosen[0].capitalize()
    if rng.random() < 0.15:
        chosen[rng.randrange(len(chosen))] = rng.choice((str(rng.randrange(2100)), f"{100 * rng.random():.2f} %"))
    if rng.random() < 0.1:
        chosen[0] += rng.choice(CONTRACTIONS)
    if rng.random() < 0.3:
        chosen[rng.randrange(len(chosen) - 1)] += ","
    return (
        script.space.join(chosen) + rng.choice(script.ends) + (f" {rng.choice(EMOJI)}" if rng.random() < 0.04 else "")
    )


def _sentences(rng: random.Random) -> Iterator[str]:
    """Endless text; scripts change between paragraphs."""
    shares = [script.share for script in SCRIPTS]
    while True:
        (script,) = rng.choices(SCRIPTS, shares)
        for _ in range(rng.randint(2, 5)):
            yield _sentence(rng, script) + " "
        yield "\n\n"


def documents(count: int, length: int, seed: int) -> list[str]:
    """Documents of exactly ``length`` bytes in UTF-8 each; another seed gives others."""
    texts = []
    for number in range(count):
        parts, size = [], 0
        for part in _sentences(random.Random(f"{seed} {number}")):
            parts.append(part)
            size += len(part.encode())
            if size >= length:
                break
        text = "".join(parts).encode()[:length].decode(errors="ignore")  # without the bytes of a character that is cut
        texts.append(text + PADDING * (length - len(text.encode())))
    return texts


@functools.cache
def trained(vocabulary: int = 6000) -> Any:
    """A byte-level BPE as GPT-2's, trained on other documents of the same kind, once per process: a third of a second.

    Returns:
        a ``tokenizers.Tokenizer``. Training starts its pool of threads in this process.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator(documents(100, 2048, TRAINING_SEED), trainer)
    return tokenizer
