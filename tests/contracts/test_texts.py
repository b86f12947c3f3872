"""Rules on text, as a whole and as it comes: however a text is cut into chunks, the same rules are broken."""

import dataclasses
import random
import string
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resilient_ml.contracts import Check, Language, Length, NoRepetition, Pattern, Schema, Script
from resilient_ml.contracts.fits import check_type, misfit
from resilient_ml.contracts.repetition import _WORD, _alike, _words_alike

PROSE = """A breaker that is open holds every call back until its time is over, and then lets a few of them
through to see whether the model is well again. Where they succeed it closes, and traffic flows as it did
before; where one of them fails it opens once more, for longer this time. Nothing else decides: a success that
comes late belongs to a call from before the trip, and says nothing about how the model is now."""
LISTED = "\n".join(
    f"{number}. The item number {number} costs {number * 7} euros and weighs {number * 3} kilos."
    for number in range(40)
)
LOOP = "I cannot answer that. "


def follow(rule, chunks):
    """The first flaw that a stream of *chunks* has."""
    watch = rule.watch(None)
    for chunk in chunks:
        flaw = watch.take(chunk)
        if flaw is not None:
            return flaw
    return watch.end()


def cut(text, seed):
    rng = random.Random(seed)
    while text:
        size = rng.choice([1, 2, 3, 5, 8, 40, 200])
        yield text[:size]
        text = text[size:]


BROKEN = [
    (Length(), "", "is empty"),
    (Length(), " \n ", "is empty"),
    (Length(5), "abc", "has 3 characters, fewer than 5"),
    (Length(0, 3), "abcd", "has 4 characters, more than 3"),
    (Length(0, 3, blank=True), "a   ", "has 4 characters, more than 3"),
    (Pattern("yes|no"), "maybe", "does not match the pattern that it must"),
    (Pattern(never=r"<\|\w+\|>"), "well <|im_end|>", "holds what it never may, at character 5"),
    (NoRepetition(), PROSE + LOOP * 10, "repeats one piece of 22 characters again and again"),
    (NoRepetition(), "so " + "a" * 200, "repeats one piece of 1 character again and again"),
    (Script("cyrillic"), PROSE, "has 309 of 309 letters"),
    (Schema(), "no json", "is not JSON"),
    (Schema(), '{"a": 1', "is not JSON: Expecting ',' delimiter at character 7"),
    (Schema(list[int]), "[1, 2.5]", "does not fit: it at 1 is a float, not int"),
]
FINE = [
    (Length(), "x"),
    (Length(0), ""),
    (Length(3, 3), "  abc  "),
    (Pattern("yes|no"), "no"),
    (Pattern(never="x{3}"), "xx xx"),
    (NoRepetition(), PROSE),
    (NoRepetition(), LISTED),
    (NoRepetition(), ""),
    (NoRepetition(), "na " * 20),
    (NoRepetition(), "| a | b |\n|---|---|\n" + "".join(f"| {n} | {n * n} |\n" for n in range(60))),
    (NoRepetition(), "".join(chr(0x4E00 + (n * 7919) % 3000) for n in range(600))),
    (Script("latin"), PROSE),
    (Script("latin"), "да"),
    (
        Script("cyrillic", "latin"),
        "\u041d\u0435\u0431\u043e \u0433\u043e\u043b\u0443\u0431\u043e\u0435 today and it will be " * 3,
    ),
    (Schema(), ' {"a": [1, 2, null]}'),
    (Schema(), '"text"'),
    (Schema(list[int]), "[1, 2]"),
]


@pytest.mark.parametrize(("rule", "text", "flaw"), BROKEN)
def test_a_broken_text_is_found_as_a_whole_and_in_any_chunks(rule, text, flaw):
    found = rule.flaw(text)
    if rule.name == "script":
        assert found is not None
        assert "in cyrillic, less than 80%" in found
    else:
        assert found == flaw or found.startswith(flaw)
    for seed in range(20):
        assert follow(rule, cut(text, seed)) is not None
    assert follow(rule, [text]) is not None


@pytest.mark.parametrize(("rule", "text"), FINE)
def test_a_good_text_passes_as_a_whole_and_in_any_chunks(rule, text):
    assert rule.flaw(text) is None
    for seed in range(20):
        assert follow(rule, cut(text, seed)) is None
    assert follow(rule, [text]) is None


@given(
    st.text(alphabet="ab \n", max_size=40),
    st.integers(0, 10),
    st.integers(0, 30),
    st.integers(0, 99),
    st.booleans(),
)
def test_a_length_is_the_same_in_any_chunks(text, least, more, seed, blank):
    rule = Length(least, least + more, blank=blank)
    whole = rule.flaw(text)
    parts = follow(rule, cut(text, seed))
    assert (whole is None) == (parts is None)


@given(st.text(alphabet="xyz|<>", max_size=60), st.integers(0, 99))
def test_what_must_never_come_is_found_in_any_chunks(text, seed):
    rule = Pattern(never=r"<\|[xyz]{1,3}\|>")
    assert rule.flaw(text) == follow(rule, cut(text, seed))


def test_what_must_never_come_is_found_at_its_place_far_on():
    rule = Pattern(never="STOP")
    assert (
        follow(rule, [*("a" * 100 for _ in range(50)), "ST", "OP"])
        == "holds what it never may, at character 5000"
    )


def test_a_loop_is_found_in_the_middle_of_an_answer():
    assert (
        NoRepetition().flaw(PROSE + LOOP * 12 + PROSE) == "repeats one piece of 22 characters again and again"
    )


def test_a_loop_is_found_soon_after_it_has_begun():
    rule = NoRepetition(times=4, span=64)
    watch = rule.watch(None)
    for chunk in cut(PROSE, 1):
        assert watch.take(chunk) is None
    taken = 0
    while watch.take(LOOP) is None:
        taken += 1
    assert taken in (3, 4)


def test_a_loop_that_counts_is_found_by_its_phrases():
    text = "".join(f"{n}. I am sorry, but I cannot help you with that request at all. " for n in range(60))
    flaw = NoRepetition().flaw(text)
    assert flaw is not None
    assert "phrases of 4 words" in flaw
    assert follow(NoRepetition(), cut(text, 3)) is not None
    assert NoRepetition(share=1).flaw(text) is None


def test_a_loop_that_changes_its_case_is_one():
    rng = random.Random(1)
    text = "".join(
        rng.choice([str.upper, str.lower])(
            f"{n}. i am sorry but i cannot help you with that request at all today or ever "
        )
        for n in range(60)
    )
    assert NoRepetition().flaw(text) is not None
    assert follow(NoRepetition(), cut(text, 3)) is not None


def test_phrases_that_leave_the_window_are_forgotten_one_by_one():
    rng = random.Random(1)
    words = [rng.choice(["red", "green", "blue"]) for _ in range(2000)]
    watch = NoRepetition(1000, share=1).watch(None)
    for word in words:
        assert watch.take(f"{word} ") is None
    loops = watch._loops
    assert sum(loops._counts.values()) == len(loops._phrases) == 200
    assert all(loops._counts.values())


def test_random_text_is_no_loop():
    rng = random.Random(1)
    for _ in range(200):
        text = "".join(rng.choices(string.ascii_letters + "     ", k=1500))
        assert NoRepetition().flaw(text) is None


def test_memory_of_what_follows_a_stream_is_bounded():
    rules = [
        NoRepetition(),
        Pattern("x", never="zzz"),
        Script("latin"),
        Language("en", detect=lambda text: "en"),
        Length(),
    ]
    rng = random.Random(1)
    watches = [rule.watch(None) for rule in rules]
    for _ in range(3000):
        for watch in watches:
            watch.take("".join(rng.choices(string.ascii_lowercase + "  ", k=100)))
    loops = watches[0]._loops
    assert len(loops._tail) < 10_000
    assert len(loops._counts) <= 201
    assert watches[1]._whole.text is None
    assert watches[1].end() == "is longer than 262,144 characters, which is as much as must= is matched with"
    assert watches[3].end() is None


@pytest.mark.parametrize(
    "rule",
    [Pattern("x"), NoRepetition(), Script("latin"), Language("en", detect=len), Schema()],
)
def test_what_is_no_text_is_refused_with_the_remedy(rule):
    assert rule.watch(None).take(3) == "has a chunk that is a int, not text; pass text_of="
    assert rule.watch(lambda chunk: chunk["t"]).take({"t": "1 x"}) is None
    assert rule.watch(None).take(b"1 x") is None
    assert rule.flaw(3) in ("is a int, not text", "is a int, not the text of a JSON")


def test_lengths_of_lists_are_items():
    assert Length(2).flaw([1]) == "has 1 items, fewer than 2"
    assert Length(2).flaw([]) == "is empty"
    assert Length(0).flaw(3) == "is a int, which has no length"
    assert follow(Length(0, 2), [1, 2, 3]) == "has 3 items, more than 2"


# -- language ----------------------------------------------------------------------------------------------


def test_a_language_is_what_the_detector_says():
    asked = []

    def detect(text):
        asked.append(text)
        return ("de", 0.9) if "der" in text else ("en", 0.9)

    rule = Language("en", "fr", detect=detect)
    assert rule.flaw(PROSE) is None
    assert rule.flaw("der Himmel ist heute blau wie nie") == "is in 'de', not in 'en' or 'fr'"
    assert rule.flaw("der") is None
    assert len(asked) == 2


def test_on_a_stream_the_language_is_asked_for_less_and_less_often():
    asked = []

    def detect(text):
        asked.append(len(text))
        return "en"

    watch = Language("en", detect=detect).watch(None)
    for _ in range(4000):
        watch.take("word ")
    assert watch.end() is None
    assert asked == [200, 400, 800, 1000]


def test_without_a_detector_the_language_needs_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "py3langid", None)
    with pytest.raises(ImportError, match=r"pip install 'resilient-ml\[language\]'"):
        Language("en")


def test_the_extra_tells_languages_apart():
    pytest.importorskip("py3langid")
    rule = Language("en")
    assert rule.flaw(PROSE) is None
    assert (
        rule.flaw("Der Himmel ist heute so blau, dass man kaum glauben mag, es sei schon November.")
        == "is in 'de', not in 'en'"
    )


# -- structure ---------------------------------------------------------------------------------------------


class Verdict(TypedDict):
    label: Literal["good", "bad"]
    score: float
    why: NotRequired[str]


@dataclasses.dataclass
class Box:
    left: int
    right: int = 0
    tags: list[str] = dataclasses.field(default_factory=list)


@pytest.mark.parametrize(
    ("value", "wanted", "found"),
    [
        (1, int, None),
        (1, float, None),
        (True, int, "is a bool, not int"),
        (True, bool, None),
        (True, object, None),
        (1.5, int, "is a float, not int"),
        (None, None, None),
        (0, None, "is a int, not None"),
        (None, int | None, None),
        ("a", int | None, "is a str, not int | None"),
        ("x", Any, None),
        ("good", Literal["good", "bad"], None),
        (1, Literal["1", True], "is none of '1', True"),
        ([1, 2], list[int], None),
        ([1, None], list[int], "at 1 is None, not int"),
        ((1, "a"), tuple[int, str], None),
        ((1,), tuple[int, str], "has 1 items, not 2"),
        ((1, 2, 3), tuple[int, ...], None),
        ({"a": 1}, dict[str, int], None),
        ({1: 1}, dict[str, int], "has a key that is a int, not str"),
        ({"a": "b"}, dict[str, int], "has 'a', which is a str, not int"),
        ([1], list, None),
        ({"label": "good", "score": 1}, Verdict, None),
        ({"label": "good", "score": 1, "why": 3}, Verdict, "has 'why', which is a int, not str"),
        ({"label": "good"}, Verdict, "lacks 'score'"),
        ([], Verdict, "is a list, not an object"),
        ({"left": 1}, Box, None),
        ({"right": 1}, Box, "lacks 'left'"),
        (Box(1), Box, None),
        ("a", Box, "is a str, not Box"),
        ("a", Annotated[str, "x"], None),
    ],
)
def test_a_value_fits_a_type_or_says_where_it_does_not(value, wanted, found):
    assert misfit(value, wanted) == found
    check_type(wanted)


def test_a_sequence_is_no_text():
    from collections.abc import Mapping, Sequence

    assert misfit("abc", Sequence[str]) == "is a str, not Sequence"
    assert misfit(["abc"], Sequence[str]) is None
    assert misfit({"a": 1}, Mapping[str, int]) is None


def test_a_schema_that_is_no_type_is_refused_at_once():
    with pytest.raises(TypeError, match="schema must be a type, got 3; pass a class, a TypedDict"):
        Schema(3)
    with pytest.raises(TypeError, match="schema must be a type, got 'Verdict'"):
        Schema(list["Verdict"])

    class Lost(TypedDict):
        inner: "Nowhere"  # noqa: F821

    with pytest.raises(TypeError, match="schema has annotations that name 'Nowhere', which Lost cannot find"):
        Schema(Lost)


class Model:
    """As pydantic's models: a class with ``model_validate``."""

    @classmethod
    def model_validate(cls, value):
        if "name" not in value:
            error = ValueError("the text of which holds the value")
            error.error_count = lambda: 2
            raise error
        return cls()


class Strict:
    """As what compilers of schemas make: an object with ``validate``."""

    def validate(self, value):
        if value != 1:
            raise KeyError(value)


def test_schemas_of_other_libraries_are_asked():
    assert Schema(Model).flaw('{"name": 1}') is None
    assert Schema(Model).flaw(Model()) is None
    assert Schema(Model).flaw("{}") == "does not fit: ValueError, 2 times"
    assert Schema(Strict()).flaw(1) is None
    assert Schema(Strict()).flaw(2) == "does not fit: KeyError"


def test_a_json_schema_is_checked_by_jsonschema(monkeypatch):
    pytest.importorskip("jsonschema")
    rule = Schema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    assert rule.flaw('{"n": 1}') is None
    assert rule.flaw('{"n": "1"}') == "does not fit at ['n']: type"
    assert rule.flaw("{}") == "does not fit: required"
    with pytest.raises(
        ValueError, match="schema must be a JSON Schema, got an object of type dict: SchemaError"
    ):
        Schema({"type": "thing"})
    monkeypatch.setitem(__import__("sys").modules, "jsonschema", None)
    with pytest.raises(ImportError, match=r"pip install 'resilient-ml\[schema\]'"):
        Schema({"type": "object"})


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("[NaN]", "is not JSON: it has NaN"),
        ("[" * 100_000, "is JSON that is nested too deeply"),
        (b"\xff", "is not JSON: UnicodeDecodeError"),
        (b'{"a": 1}', None),
        ({"a": 1}, "is a dict, not the text of a JSON"),
    ],
)
def test_what_is_no_json_is_said_so(text, flaw):
    assert Schema().flaw(text) == flaw


def test_a_value_that_is_nested_too_deeply_does_not_fit():
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    class Deep:
        def validate(self, value):
            self.validate(value[0])

    class Deeper:
        def iter_errors(self, value):
            yield from self.iter_errors(value[0])

    assert Schema(Deep()).flaw(deep) == "does not fit: RecursionError"
    assert Schema(Deeper()).flaw(deep) == "is nested too deeply"


@pytest.mark.parametrize(
    ("text", "better"),
    [
        ('Sure! ```json\n{"a": 1}\n``` Enjoy.', '{"a": 1}'),
        ("The answer is [1, 2], as {x} said", "[1, 2]"),
        ("set {x} to [3]", "[3]"),
        ("nothing", "nothing"),
        (3, 3),
    ],
)
def test_the_json_is_taken_out_of_the_talk_around_it(text, better):
    assert Schema(then="repair").mend(text) == better


def test_a_stream_that_cannot_become_json_is_left_at_once():
    watch = Schema().watch(None)
    assert watch.take(" ") is None
    assert watch.take("Sure, here") == "is not JSON: no JSON begins so"
    long = Schema().watch(None)
    long.take("[" + " " * 300_000)
    assert long.end() == "is too long to be looked at in one piece"


# -- constructors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Length(-1), ValueError, "least must be at least 0"),
        (lambda: Length(5, 4), ValueError, "most must be at least 5, got 4"),
        (lambda: Length(blank=1), TypeError, "blank must be True or False"),
        (Pattern, ValueError, "must and never are both None"),
        (lambda: Pattern("("), ValueError, "must must be a regular expression, got '('"),
        (lambda: Pattern(never=3), TypeError, "never must be a regular expression, got 3"),
        (lambda: NoRepetition(1), ValueError, "times must be at least 2"),
        (lambda: NoRepetition(span=3), ValueError, "span must be at least 32"),
        (lambda: NoRepetition(share=0), ValueError, "share must be above 0"),
        (Script, ValueError, "scripts must name at least one script"),
        (lambda: Script("klingon"), ValueError, "scripts must be names that Unicode gives to letters"),
        (lambda: Script(3), ValueError, "scripts must be names that Unicode gives to letters, got 3"),
        (Language, ValueError, "languages must name at least one language"),
        (lambda: Language(3, detect=len), ValueError, "languages must name at least one language"),
        (lambda: Language("en", detect=3), TypeError, "detect must be callable"),
    ],
)
def test_what_a_rule_cannot_be_is_refused(make, kind, text):
    with pytest.raises(kind) as caught:
        make()
    assert text in str(caught.value)


def test_what_a_function_says_of_a_chunk_counts_on_a_stream():
    assert follow(Check(lambda chunk: chunk != "x"), "abx") == "is not good"


@given(
    st.lists(st.text(string.printable, max_size=9) | st.sampled_from(["Sorry", "sorry,", "a_b", "I'm"])),
    st.integers(1, 30),
)
@example(words=["", "0", "E"], times=25)
def test_plain_letters_are_judged_like_all_others(words: list[str], times: int) -> None:
    text = " ".join([*words, *(words[:7] * times)])
    rule = NoRepetition(times=1000, share=0.3)  # phrases alone
    # One word more, that is none of the others: of letters that are all ASCII, and that are not.
    assert rule.flaw("unprecedented " + text) == rule.flaw("unpr\u00e9cedented " + text)


def test_a_window_is_judged_whatever_is_said_around_it() -> None:
    draw = random.Random(1)
    fresh = [f"w{draw.getrandbits(40):x}" for _ in range(2000)]
    said = ["we", "will", "see", "what", "comes"] * 30  # 150 of 200 phrases
    rule = NoRepetition(times=1000)
    for before in (0, 100, 950, 1850):
        text = " ".join([*fresh[:before], *said, *fresh[before:]])
        assert "phrases of 4 words" in str(rule.flaw(text))
        assert rule.flaw(" ".join([*fresh[:before], *said[:80], *fresh[before:]])) is None


LETTERS = "aAbzZ_09\u00e4\u00c4\u0130i\u03a3\u03c3\u03c2\u0414\u0434\u1e9e\u00df\u1ea0\u1ea1\u023a\u2c65"
"""Small and large, of one and two characters in small, and one that depends on where it is."""
SIGNS = " .-'\u2019\u2014\u0307\u200d\ufe0f\ud800\uffff\U0001f600\u3002"
WORDS = "\u0e01\u0e4f\u4e00\u4e01\uac00\u304b\u30ab"
STRANGE = "\u212a\uff21\U00020000\U0001d400\u13a0"


@settings(max_examples=600, deadline=None)
@given(
    st.lists(
        st.text(LETTERS, max_size=3) | st.text(LETTERS + SIGNS + WORDS, max_size=4) | st.text(max_size=3),
        max_size=40,
    ).map(" ".join)
    | st.text(LETTERS + SIGNS + WORDS + STRANGE, max_size=60),
)
@example("\u4e00a b c d \u4e00e b c d")
@example("\u13a0\u13a0 \u13a0a \u13a0 b c")
@example("\u03a3\u03a3 b c d \u03c3\u03c2 b c d")
@example("b c d a\u4e00 b c d a\u4e01")
@example("".join(map(chr, range(0x2000, 0x2064))) + "a a a a a")
def test_phrases_that_are_the_same_have_the_same_number(text: str) -> None:
    words = _WORD.findall(text.lower())
    phrases = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    numbers = _alike(text).tolist()
    assert len(numbers) == len(phrases)
    assert len(set(zip(phrases, numbers, strict=True))) == len(set(phrases))


def test_each_letter_makes_words_like_its_small_one() -> None:
    for code in (*range(128, 0x10000), *range(0x1F000, 0x20100)):
        letter = chr(code)
        if letter == "\u0130":
            continue
        text = f"{letter}b c d{letter} e {letter.lower()}b c d{letter} e"
        words = _WORD.findall(text.lower())
        numbers = _words_alike(text).tolist()
        assert len(numbers) == len(words)
        assert len(set(zip(words, numbers, strict=True))) == len(set(words)), text


@pytest.mark.parametrize(
    "words",
    [["ab", "ac", "b", "cd"], ["\u00e4b", "\u00e4c", "b", "\u0434d"], list("\u4e00\u4e01\u4e02\u4e03")],
)
def test_most_phrases_that_differ_have_different_numbers(words: list[str]) -> None:
    said = random.Random(1).choices(words, k=400)
    phrases = set(zip(said, said[1:], said[2:], said[3:], strict=False))
    assert len(set(_alike(" ".join(said)).tolist())) == len(phrases)


def longest_loop(text: str, times: int, span: int) -> int | None:
    """The shortest period of a loop anywhere, found the slow way."""
    for period in range(1, min(512, len(text) // times) + 1):
        more = max(period * times, span) - period
        same = "".join(".x"[text[at] == text[at - period]] for at in range(period, len(text)))
        if "x" * more in same:
            return period
    return None


PIECES = st.text("ab -", min_size=1, max_size=60) | st.builds(
    "".join,
    st.lists(
        st.text("ab", min_size=1, max_size=9) | st.integers(1, 40).map("-".__mul__), min_size=1, max_size=6
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    before=st.lists(PIECES, max_size=6).map("".join),
    piece=PIECES,
    after=st.lists(PIECES, max_size=6).map("".join),
    times=st.sampled_from([2, 3, 6, 9]),
    span=st.sampled_from([32, 33, 50, 128, 300]),
    more=st.sampled_from([-2, -1, 0, 1, 30]),
)
@example(before="", piece="ab" + "-" * 40 + "c", after="", times=6, span=128, more=0)
@example(before="x" * 120, piece="-" * 30 + "ab" * 12 + "c", after="y", times=3, span=128, more=0)
def test_every_loop_is_found_and_nothing_else(
    before: str, piece: str, after: str, times: int, span: int, more: int
) -> None:
    length = max(len(piece) * times, span) + more
    text = before + (piece * (length // len(piece) + 1))[:length] + after
    found = NoRepetition(times, span=span, share=1).flaw(text)
    loop = longest_loop(text, times, span)
    assert (found is None) == (loop is None), loop


@pytest.mark.parametrize(
    "period", [1, 20, 21, 22, 39, 40, 42, 43, 76, 77, 85, 86, 150, 151, 170, 171, 297, 298, 512, 513]
)
def test_a_loop_of_any_period_is_found_wherever_it_begins(period: int) -> None:
    draw = random.Random(period)
    piece, before, after = (
        "".join(draw.choices(string.ascii_letters, k=size)) for size in (period, 700, 700)
    )
    length = max(6 * period, 128)
    for begin in range(600, 700):
        for short, found in ((0, period <= 512), (1, False)):
            text = (
                before[:begin] + "!" + (piece * (128 // period + 7))[: length - short] + "?" + after[begin:]
            )
            flaw = NoRepetition(share=1).flaw(text)
            assert (flaw is not None) == found, (begin, short)
            assert flaw is None or f" {period} character" in flaw


@pytest.mark.parametrize("period", [21, 150, 298, 400])
def test_a_loop_is_found_in_a_long_text_and_at_its_end(period: int) -> None:
    draw = random.Random(period)
    piece, fresh = ("".join(draw.choices(string.ascii_letters, k=size)) for size in (period, 12_000))
    loop = (piece * 7)[: max(6 * period, 128)]
    for begin in (*range(740), *range(740, 12_000, 97)):
        for after in ("", fresh[begin:]):
            assert NoRepetition(share=1).flaw(f"{fresh[:begin]}!{loop}" + ("?" + after if after else after))


def test_phrases_are_counted_to_the_last_one() -> None:
    words = [first + second for first in "abcdefgh" for second in "abcdefgh"]
    rule = NoRepetition(times=1000, share=0.5)
    for fresh, flaw in ((50, None), (49, "says 100 phrases of 4 words, of which 49 differ")):
        said = (words[:fresh] * 3)[:103]
        assert rule.flaw(" ".join([*said, "."])) == flaw
        assert rule.flaw(" ".join([*said, "\u2014"])) == flaw


def test_rows_that_are_too_short_for_a_loop_take_no_time() -> None:
    """Looks at *text* in a row go past all of it at once."""
    places = 0

    class Counted(NoRepetition):
        def _goes_on(self, *where: Any) -> bool:
            nonlocal places
            places += 1
            return super()._goes_on(*where)

    text = "".join("-" * 127 + letter * 60 for letter in "abcd")
    assert Counted().flaw(text) is None
    assert 0 < places < 15


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 12)), min_size=1, max_size=12),
    share=st.sampled_from([0.1, 0.3, 0.5, 0.65, 0.9]),
    fresh=st.integers(0, 60),
)
@example(parts=[(50, 2), (3, 1)], share=0.5, fresh=0)
@example(parts=[(5, 10), (3, 1)], share=0.65, fresh=0)
@example(parts=[(17, 3), (3, 1)], share=0.65, fresh=0)
def test_phrases_are_judged_in_every_window(parts: list[tuple[int, int]], share: float, fresh: int) -> None:
    words: list[str] = []
    for size, times in parts:
        words += [f"w{number}" for number in range(size)] * times
        words += [f"x{len(words)}y{number}" for number in range(fresh)]
    windows = [
        phrases[begin : begin + 200]
        for phrases in [list(zip(words, words[1:], words[2:], words[3:], strict=False))]
        for begin in range(0, len(phrases), 50)
    ]
    bad = any(len(one) >= 50 and 1 - len(set(one)) / len(one) > share for one in windows)
    rule = NoRepetition(times=1000, span=32, share=share)
    assert (rule.flaw(" ".join([*words, "."])) is not None) == bad
