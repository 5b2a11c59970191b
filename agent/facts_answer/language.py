"""Everyday English, reduced to the few words that the facts answerer understands.

Question marks, contractions and politeness go; phrases become tokens in capitals; what is left are nouns, and words
that are either known to say nothing (`FILLERS`) or not known at all. The words are in `english.txt`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from importlib.resources import files

Table = tuple[tuple[re.Pattern[str], str], ...]

_CONTRACTIONS = (
    (r"\bwon't\b", "will not"), (r"\bcan't\b", "can not"), (r"\bcannot\b", "can not"), (r"n't\b", " not"),
    (r"\b(who|what|where|when|how|that|there|it|he|she|which|here|anyone|anybody|someone|everyone|everybody)'?s\b(?!')",
     r"\1 is"),
    (r"\bwhats\b", "what is"), (r"\b(who|what|where|when|how|it|he|she|they|we|you|i|there)'(?:ll)\b", r"\1 will"),
    (r"\b(who|what|where|when|how|it|he|she|they|we|you|i)'d\b", r"\1 did"),
    (r"\b(they|we|you|who|what|where|there)'re\b", r"\1 are"), (r"\b(they|we|you|who|i)'ve\b", r"\1 have"),
    (r"\bi'm\b", "i am"), (r"\bim\b", "i am"), (r"\bgonna\b", "going to"), (r"\bwanna\b", "want to"),
    (r"([a-z])'s\b", r"\1 POSS"), (r"s'(?= )", "s POSS"),
)  # fmt: skip


def _entries(section: str) -> Iterator[tuple[str, str]]:
    """The names of a section of `english.txt` and what is written under them."""
    text = files(__package__).joinpath("english.txt").read_text("utf-8")
    body = next(part for part in re.split(r"^== ", text, flags=re.MULTILINE) if part.startswith(section))
    for entry in re.split(r"^(?=\S)", body.split("\n", 1)[1], flags=re.MULTILINE):
        name, _, lines = entry.partition("\n")
        if lines.strip() and not name.startswith("#"):
            yield name, " ".join(lines.split())


_PARTS = {name: f"(?:{entry.replace(' | ', '|')})" for name, entry in _entries("parts")}
_PICTURE = _PARTS["<picture>"]


def _table(section: str) -> Table:
    rows = []
    for name, entry in _entries(section):
        pattern = "|".join(entry.split(" | "))
        for part, words in _PARTS.items():
            pattern = pattern.replace(part, words)
        rows.append((re.compile(rf"\b(?:{pattern})\b"), f" {name} "))
    return tuple(rows)


_QUESTIONS = _table("questions")
_DEEDS = _table("deeds")
_WORDS = {name: frozenset(entry.split()) for name, entry in _entries("words")}
FILLERS = _WORDS["FILLERS"]
"""Words that change nothing about what is asked once the rest is understood."""
POSTURES = _WORDS["POSTURES"]
"""They say where something is, and also how: that is not known."""
PRONOUNS, GENERIC, ANYBODY, DETERMINERS, NO_NOUNS = (
    _WORDS[name] for name in ("PRONOUNS", "GENERIC", "ANYBODY", "DETERMINERS", "NO_NOUNS")
)

_SIDE = {"left": "SLEFT", "right": "SRIGHT", "top": "STOP", "upper": "STOP", "bottom": "SBOTTOM", "lower": "SBOTTOM",
         "middle": "SMIDDLE", "centre": "SMIDDLE", "center": "SMIDDLE"}  # fmt: skip
_PART = rf"(?: ?-?hand)?(?:[ -](?:side|half|part|corner|edge|third|area|border))?(?: of (?:the |this )?{_PICTURE})?"
_ASKING = re.compile(
    r"(?:and |so |but |then )?(?:who|whom|whose|what|which|where|when|why|how|since when|is|are|was|were|do|does|did"
    r"|has|have|had|can|could|will|any|tell|show|give|list)(?:n't|'s|'re)?\b",
    re.IGNORECASE,
)
_REMAINING = re.compile(r"^(?:so |and |well )*(?:any|is|are|how many)\b.*\b(?:left|remaining)(?: over)?$")
_REMAINING_AT = re.compile(
    r"\b((?:who|what) is|(?:HOWMANY|which|what) (?:\w+ )?are) (?:left|remaining)(?: over)?"
    r"(?= (?:INPICTURE|here|there|(?:on|in|at|near|by) (?:the )?[NR]\d+)\b)"
)
_LEAVING = re.compile(
    r"\b(?:has|have|had|did|who)\b|^(?:any|some)(?:one|body|thing)\b|^how many (?:(?!is|are)\w+ ){1,2}left$"
)
"""“Any cups left?” is about what remains, “How many people left?” is not."""
_FURTHER = re.compile(
    r"\b(?:further|farther|furthest|farthest|more)(?: over)?(?: (?:to|on) the)? (left|right)\b(?! of)"
)
_ALONE = re.compile(
    r"\b(?:sit|sat|stand|stood|ly|lie|lay|been|left|wait)\w*(?: (?:here|there|around))?(?: all)?"
    r" (?:on it(?:s| is) own|by itself)\b"
)
_PASSING = re.compile(r"((?:\b(?:is|are)\b.*)\b(?:running|walking|moving|driving)) (?:through|past|by|along|across)$")
"""“Who is that running through?” is about who moves, not about who came in."""
_MARKS = '"“”\u2018()[]{}<>!?;…*_~^|\\/'


def normalise(text: str) -> str:
    """Small letters, no contractions, no punctuation but in times and ids."""
    plain = unicodedata.normalize("NFKC", text[:2000]).casefold().replace("’", "'").replace("`", "'")
    for pattern, words in _CONTRACTIONS:
        plain = re.sub(pattern, words, plain)
    plain = plain.translate(dict.fromkeys(map(ord, _MARKS), " "))
    plain = re.sub(r"(?<!\d)[.:,-](?!\d)|[.:,-](?!\d)|(?<!\d)[.:,]|(?<=[^\d])-(?=\d)", " ", plain)
    plain = re.sub(r"\s+", " ", plain).strip()
    plain = re.sub(r"^(?:(?:ok|okay|alright|hello|hey|hi|well|so) )+", "", plain)
    if re.match(r"(?:who|which|what)\b", plain) and " than " not in plain:
        # Of two, English says “nearer”.
        plain = re.sub(r"\b(near|clos|bigg|larg|tall|small|fast|quick|slow)er\b", r"\1est", plain)
        plain = _FURTHER.sub(r"\1most", plain)
    plain = re.sub(r"\b(at least|at most|more than|less than|fewer than|exactly|only|just) one\b", r"\1 1", plain)
    plain = re.sub(r"\bin (here|there)\b", r"\1", plain)
    plain = _ALONE.sub("left alone", _PASSING.sub(r"\1", plain))
    plain = re.sub(r"\b(?:have|has) (?:we|you) got\b", "is there", plain)
    plain = re.sub(r"(?<!in )\b(?:any |some )?(?:movements?|motion)\b", "anything moving", plain)
    return re.sub(r"^((?:can|could|would|will) you |please )?name (?=all|the|every|any|each|some)", "list ", plain)


def clauses(text: str) -> tuple[str, str]:
    """What leads to a question, and the question: `"I cannot see the dog, where is it?"`. Nothing is taken for an
    introduction that asks something itself."""
    text = re.sub(r"[,.;] *(?:right|correct|ok|okay|please|thanks|thank you)[ ?!.]*$", "?", text)
    parts = [part for part in re.split(r"[,;.!?]+\s+", text.strip()[:2000]) if part.strip()]
    if len(parts) < 2 or any(_ASKING.match(part.strip()) for part in parts[:-1]) or not _ASKING.match(parts[-1]):
        return "", text
    return " ".join(parts[:-1]), parts[-1]


def mark_questions(text: str) -> str:
    """Question words, relations and parts of the picture as tokens."""
    text = _sub(_QUESTIONS, _in_picture(text))
    ends = r"(left|right|top|bottom)"
    text = re.sub(rf"\bfrom (?:the )?{ends}(?: side)? to (?:the )?{ends}(?: side)?\b", r"to the \2", text)
    corner = r"(?:the )?(top|upper|bottom|lower)[ -](left|right|middle|centre|center)"
    text = re.sub(rf"\b(?:(?:in|at|on|to|from|towards?) )?{corner}{_PART}", _two_sides, text)
    side = r"(left|right|top|upper|bottom|lower|middle|centre|center)"
    text = re.sub(rf"\b(?:in|at|on|to|from|towards?|over) (?:the |its )?{side}{_PART}\b", _one_side, text)
    text = re.sub(rf"\b(?:the )?{side} (?:side|half|part|edge|third)\b{_PART}", _one_side, text)
    text = re.sub(r"\b(left) or (right)\b|\b(right) or (left)\b", " SLEFT or SRIGHT ", text)
    return re.sub(r"\bto (?:its|his|her|their) (left|right)\b", _one_side, text)


def mark_deeds(text: str, question: str) -> str:
    """Verbs, superlatives and the other phrases as tokens. `question` is all that was said."""
    if _REMAINING.search(question) and not _LEAVING.search(question):
        text = re.sub(r"\b(?:left|remaining)(?: over)?$", "", text)
    text = _REMAINING_AT.sub(r"\1", text)
    return _sub(_DEEDS, text)


def _sub(table: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str:
    for pattern, token in table:
        text = re.sub(r"\s+", " ", pattern.sub(token, text)).strip()
    return text


def _in_picture(text: str) -> str:
    text = re.sub(
        rf"\b(?:the|this) (?:whole |entire )?{_PICTURE}\b(?! of)",
        " INPICTURE ",
        re.sub(
            rf"\b(?:in|on|onto|into|inside|within|from|of) ?(?:the |this |that |my |your )?{_PICTURE}\b",
            " INPICTURE ",
            text,
        ),
    )
    return re.sub(r"\s+", " ", text)


def _one_side(found: re.Match[str]) -> str:
    return f" {_SIDE[found[1]]} "


def _two_sides(found: re.Match[str]) -> str:
    return f" {_SIDE[found[1]]} {_SIDE[found[2]]} "
