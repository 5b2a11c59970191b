"""Everyday English, reduced to the few words that the facts answerer understands.

Question marks, contractions and politeness go; phrases become tokens in capitals; what is left are nouns, and words
of a class of their own (`CLASSES`), known to say nothing (`SAYS_NOTHING`), or not known at all. The words are in
`english.txt`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from importlib.resources import files

Table = tuple[tuple[re.Pattern[str], str], ...]

_AFTER_IS = (
    r"(?:the|a|an|this|that|these|my|your|it|he|she|they|everyone|everybody|anyone|anybody|someone|nobody|no|not|still"
    r"|here|there|in|on|at|by|near|next|under|above|below|back|away|now|already|closest|nearest|\w+ing)"
)
_CONTRACTIONS = (
    (r"\bwo(?:n't|nt)\b", "will not"), (r"\bca(?:n't|nt)\b", "can not"), (r"\bcannot\b", "can not"), (r"n't\b", " not"),
    (r"\b(who|what|where|when|how|that|there|he|she|which|here|anyone|anybody|someone|everyone|everybody)'?s\b(?!')",
     r"\1 is"),
    (r"\bit's\b|^its\b|\bits (?=still\b|not\b|gone\b|back\b|here\b|there\b|\w+ing\b)", "it is "),
    (r"\b(long|often|many|much|person|guy|one|people)'s (?=(?!been)\w+ing\b)", r"\1 is "),
    (r"\b(long|often|many|much)'s\b", r"\1 has"), (r"\bwhats\b", "what is"),
    (r"\b(who|what|where|when|how|it|he|she|they|we|you|i|there)'(?:ll)\b", r"\1 will"),
    (r"\b(who|what|where|when|how|it|he|she|they|we|you|i)'d\b", r"\1 did"),
    (r"\b(they|we|you|who|what|where|there)'re\b", r"\1 are"), (r"\b(they|we|you|who|i)'ve\b", r"\1 have"),
    (r"\b(?:teh|hte)\b", "the"), (r"\b(?:adn|nad)\b", "and"), (r"\b(?:waht|wath|whta)\b", "what"),
    (r"\bthsi\b", "this"), (r"\btaht\b", "that"), (r"\bu\b", "you"), (r"\br\b", "are"),
    (r"\b(?:pls|plz)\b", "please"), (r"\bppl\b", "people"),
    (r"\bi'm\b", "i am"), (r"\bim\b", "i am"), (r"\bgonna\b", "going to"), (r"\bwanna\b", "want to"),
    (r"\b(is|are|was|were|do|does|did|has|have|had|could|would)nt\b", r"\1 not"),
    (r"\b(\w+)'s (?=been\b|come\b|gone\b|left\b|moved\b|\w+ed\b)", r"\1 has "),
    (rf"\b(\w+)'s (?={_AFTER_IS}\b|#)", r"\1 is "), (r"\brn\b", "right now"), (r"\batm\b", "at the moment"),
    (r"([a-z])'s\b", r"\1 POSS"), (r"s'(?= )", "s POSS"),
)  # fmt: skip


def entries(section: str, file: str = "english.txt") -> Iterator[tuple[str, list[str]]]:
    """The names of a section of a file beside this one, and the lines that are written under each."""
    text = files(__package__).joinpath(file).read_text("utf-8")
    body = next(part for part in re.split(r"^== ", text, flags=re.MULTILINE) if part.startswith(section))
    for entry in re.split(r"^(?=\S)", body.split("\n", 1)[1], flags=re.MULTILINE):
        name, _, lines = entry.partition("\n")
        if lines.strip() and not name.startswith("#"):
            yield name, [" ".join(line.split()) for line in lines.splitlines() if line.strip()]


_PARTS = {name: f"(?:{' '.join(lines).replace(' | ', '|')})" for name, lines in entries("parts")}
_PICTURE = _PARTS["<picture>"]


def _phrases(lines: list[str]) -> str:
    pattern = "|".join(" ".join(lines).split(" | "))
    for part, words in _PARTS.items():
        pattern = pattern.replace(part, words)
    return f"(?:{pattern})"


def _table(section: str) -> Table:
    return tuple((re.compile(rf"\b{_phrases(lines)}\b"), f" {name} ") for name, lines in entries(section))


_QUESTIONS = _table("questions")
_DEEDS = _table("deeds")
_EDGES = {name: _phrases(lines) for name, lines in entries("edges")}
_LEADING = re.compile(rf"^{_EDGES['LEADING']}(?: |$|(?<= ))")
_TRAILING = re.compile(rf"(?:^| ){_EDGES['TRAILING']}$")
_WORDS = {name: frozenset(" ".join(lines).split()) for name, lines in entries("words")}
SAYS_NOTHING = _WORDS["SAYS_NOTHING"]
"""Words that change nothing about what is asked, wherever they stand."""
CLASSES = {word: name for name, lines in entries("classes") for word in " ".join(lines).split()}
"""The class of each word that is no thing, deed or place of its own."""
PRONOUNS, GENERIC, ANYBODY, DETERMINERS, NO_NOUNS = (
    _WORDS[name] for name in ("PRONOUNS", "GENERIC", "ANYBODY", "DETERMINERS", "NO_NOUNS")
)

_SIDE = {"left": "SLEFT", "right": "SRIGHT", "top": "STOP", "upper": "STOP", "bottom": "SBOTTOM", "lower": "SBOTTOM",
         "middle": "SMIDDLE", "centre": "SMIDDLE", "center": "SMIDDLE"}  # fmt: skip
_OR = r" or (?:(?:on|at|to|from) )?(?:the )?"
_LEFT_OR_RIGHT = re.compile(
    rf"\b(?:(?:on|at|to|from) )?(?:the )?(?:left{_OR}right|right{_OR}left|top{_OR}bottom|bottom{_OR}top)\b(?: side\b)?"
    rf"(?: of (?:the |this )?{_PICTURE}\b)?"
)
_PART = rf"(?: ?-?hand)?(?:[ -](?:side|half|part|corner|edge|third|area|border))?(?: of (?:the |this )?{_PICTURE})?"
_ASKING = re.compile(
    r"(?:(?:and|so|but|then|also|or) )*(?:for |since |from |at |in |to |on |until |by )?"
    r"(?:who|whom|whose|what|which|where|when|why|how|is|are|was|were|do|does|did|has|have|had|can|could|will|would"
    r"|any(?:one|body|thing)?|tell|show|give|list)(?:n't|'s|'re|s)?\b",
    re.IGNORECASE,
)
_AND_ASKS = re.compile(
    r",? (?:and|but|or) (?=(?:also |then )?"
    r"(?:(?:for |since |from |at |in |to |on )?(?:who|whose|what|which|where|when|how)"
    r"|(?:is|are|was|were|do|does|did|has|have|had|can|could)"
    r" (?:it|he|she|they|there|any|the|that|this|#|(?!not\b)\w+ (?!#)))\b)",
    re.IGNORECASE,
)
_REMAINING = re.compile(
    r"^(?:so |and |well )*(?:any|is|are|how many)\b(?!.*\b(?:when|before|after|since|until)\b)"
    r".*\b(?:left|remaining)(?: over)?$"
)
_ANY_TIME = re.compile(
    r"(?: (?:in total|(?:all )?in all|overall|altogether|so far|now|right now|at the moment|currently))+$"
)
_REMAINING_AT = re.compile(
    r"\b((?:who|what) is|(?:HOWMANY|which|what) (?:\w+ )?are) (?:left|remaining)(?: over)?"
    r"(?= (?:INPICTURE|here|there|(?:on|in|at|near|by) (?:the )?[NR]\d+)\b)"
)
_LEAVING = re.compile(
    r"\b(?:has|have|had|did|who)\b|^(?:any|some)(?:one|body|thing)\b|^how many (?:(?!is|are)\w+ ){0,2}left$"
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
_ALL_ABOUT = (
    r"\b(?:tell|show|give) (?:me |us )?(?:everything|all|something|anything|more|(?:a )?(?:bit|little)(?: more)?)"
    r"(?: you know| there is(?: to know)?| else)? (?:about|on)\b"
)
_IN_PLACE = (
    r"\b(?:still )?(?:(?:in|at|on) (?:the|its|his|her|their) (?:same|old|original) (?:place|spot|position|location)"
    r"|where (?:it|he|she|they) (?:was|were|stood|lay|sat|has been|have been)"
    r"(?: (?:left|put|dumped|placed|dropped|before|standing|lying|set down|put down|at first|originally))?)\b"
)
_DISTINCT = r"(?:different|distinct|unique|separate|individual)"
_SCREEN = r"(?:tv|tvs|television|telly|screen|screens|monitor|display|laptop|phone|clock|on)"
_ENDED = r"(?=(?: (?:here|now|right now|currently|at the moment|at present|just now|in total))*$)"
_TURNS = (
    (r" at all\b(?! times)", ""),
    (r"\b(?:has|have|had) got\b|\bgot\b(?= (?:in|on|at|there|here|around)\b)", "have"),
    (_IN_PLACE, "UNMOVED"),
    (r"\bchang(ed|es?|ing) (?:(?:its|his|her|their) )?(?:places?|positions?|spots?|locations?)\b", r"mov\1"),
    (r"\b(?:go|goes|going|went|come|comes|came) (?:and|to) (?=(?:pick|take|took|grab|get|carr|move|put))", ""),
    (r"\bvery (?=first|last|latest|same|beginning)", ""),
    (r"\b(is|are|was|were|did) just (?=#|the )", r"\1 only "),
    (r"(?<!^)\b(?:is|was) it (?:that|who|which) ", ""),
    (r"\b((?:tak|took|bring|brought|carr)\w*\b.*) (?:along )?with (?:him|her|them|it)(?:self|selves)?\b", r"\1"),
    (r"\bno more(?= (?:at|in|on|here|there|near|visible)\b)", "not"),
    (r"\b(could|can|did|does|do) one\b", r"\1 you"),
    (r" (?:with )?each (?:\w+ )?(?:counted|counting) (?:only )?(?:once|(?:one|1) time)$", ""),
    (r"\b(?:at|in) (?:its|his|her|their) (?:own )?(?:place|spot)\b", "stationary"),
    (r"\bas (?:the )?(first|last)(?: (?:one|person|thing|object))?\b", r"\1"),
    (r"\b(?:has|have|had) been here (?:but|and) (?=(?:is|are) not )", ""),
    (r" (?:young man|young lady|sir|madam|my friend|dear|guys|dude)$", ""),
    (r" (?:now|given|seeing) that .*$", ""),
    (r" before (?:coming|returning|(?:it|he|she|they) (?:came|returned))(?: back)?(?: again)?$", ""),
    (r"\b(how long\b.*) for$", r"\1"),
    (r"\bkeep(ing)? (?:track of|an eye on|tabs on)\b", r"watch\1"),
    (r"\bkept (?:track of|an eye on|tabs on)\b", "watched"),
    (r"^what (?:can|could|do|would) you (?:tell me|tell us|tell|say|know)(?: here)? about\b", "tell me about"),
    (rf"^(?!.*\b{_SCREEN}\b)(.*\b(?:are|is there|are there)\b(?: \w+)?) showing{_ENDED}", r"\1 visible"),
    (rf"^(is|are) (?!.*\b{_SCREEN}\b)(.+) showing{_ENDED}", r"\1 \2 visible"),
)
"""Turns of speech, and what they are in plain words."""
_MARKS = '"“”\u2018()[]{}<>!?;…*_~^|\\/'


def normalise(text: str) -> str:
    """Small letters, no contractions, no punctuation but in times and ids."""
    plain = unicodedata.normalize("NFKC", text[:2000]).casefold().replace("’", "'").replace("`", "'")
    for pattern, words in _CONTRACTIONS:
        plain = re.sub(pattern, words, plain)
    plain = plain.translate(dict.fromkeys(map(ord, _MARKS), " "))
    plain = re.sub(r"(?<!\d)[.:,-](?!\d)|[.:,-](?!\d)|(?<!\d)[.:,]|(?<=[^\d])-(?=\d)", " ", plain)
    plain = re.sub(r"\s+", " ", plain).strip()
    if re.match(r"(?:who|which|what)\b", plain) and " than " not in plain:
        # Of two, English says “nearer”.
        plain = re.sub(r"\b(near|clos|bigg|larg|tall|small|fast|quick|slow)er\b", r"\1est", plain)
        plain = re.sub(r"\bfurther (?:away )?from\b|\bfarther (?:away )?from\b", "farthest from", plain)
        plain = _FURTHER.sub(r"\1most", plain)
    plain = re.sub(r"\b(at least|at most|more than|less than|fewer than|exactly|only|just) one\b", r"\1 1", plain)
    plain = re.sub(r"\bin (here|there)\b", r"\1", plain)
    plain = re.sub(r"\b(?:would|could|can|might|should) (?:i|we|one) (find|see|look for)\b", r"do i \1", plain)
    plain = re.sub(
        rf"^(.*\bhow many {_DISTINCT} .+?) (?:in total|(?:all )?in all|overall|altogether)$", r"\1 so far", plain
    )
    plain = re.sub(rf"\bhow many {_DISTINCT} ", "how many ", plain)
    plain = re.sub(_ALL_ABOUT, "tell me about", plain)
    plain = re.sub(r"\bwho (?:or|and) what\b", "what", plain)
    for pattern, words in _TURNS:
        plain = re.sub(pattern, words, plain)
    plain = re.sub(r"\bno longer\b", "not", plain)
    plain = _ALONE.sub("left alone", _PASSING.sub(r"\1", plain))
    plain = re.sub(r"\b(?:have|has) (?:we|you) got\b", "is there", plain)
    plain = re.sub(r"(?<!in )\b(?:any |some )?(?:movements?|motion)\b", "anything moving", plain)
    return re.sub(r"^((?:can|could|would|will) you |please )?name (?=all|the|every|any|each|some)", "list ", plain)


_TAG = re.compile(
    r"^(?!(?:is|are|was|were|do|does|did|has|have|had|can|could|who|what|which|where|when|how|since)\b)(.+ .+)"
    r" (?:is|are|was|were|do|does|did|has|have|had|can|could)(?: not)? (?:it|he|she|they|there|you|we)(?: not)?$"
)
_RIGHT = re.compile(r"^(.+ .+) (?:right|correct|true|yeah|huh|eh)$")


def bare(text: str) -> tuple[str, bool]:
    """A normalised question without what leads to it and trails it, and whether it ended as “…, isn't it?” does."""
    tagged = _TAG.match(text)
    text = tagged[1] if tagged is not None else text
    right = (
        _RIGHT.match(text)
        if not re.search(r"\b(?:the|on|to|far|further|or|go|goes|went|going|move|moved|moving) right$", text)
        else None
    )
    text = right[1] if right is not None else text
    for pattern in (_LEADING, _TRAILING):
        while True:
            shorter = pattern.sub("", text, count=1).strip()
            if shorter == text or not shorter:
                break
            text = shorter
    return text, tagged is not None


_SHORT = 4
_WHILE = re.compile(
    r"(?:when|after|before|since|while|until|once) (?!is|are|was|were|did|do|does|has|have|when|how)", re.IGNORECASE
)
_ADVERBIAL = re.compile(
    r"(?:(?:and|so|but|then|hi|hey|ok|okay|well) )*(?:(?:at|in|on|during|within|throughout|by|until|till|up|as|since"
    r"|before|after|between|from|around|about|for|over|near|next|under|right|just|only|yesterday|today|tonight|earlier"
    r"|later|previously|originally|meanwhile|afterwards?|(?:last|this|next) (?:time|second|minute|hour|night|morning"
    r"|afternoon|evening|day|week|month|year|\w+day))\b)"
    r"|(?:(?:about|around|a|an|the|few|couple|of|half|and|some|several|many|good|little|long|short|quite|one|two|three"
    r"|four|five|ten|twenty|thirty|\d+|seconds?|secs?|minutes?|mins?|hours?|moments?|while|bit|time) )+"
    r"(?:ago|later|earlier|before|afterwards?)$"
)
_REMARK = re.compile(r"(?:i|we|my|sorry|thanks|thank you|cheers|please|just)\b", re.IGNORECASE)
_SAYS_NOTHING = re.compile(
    r"\W*(?:(?:ok|okay|hi|hey|hello|well|so|and|please|thanks|right|now|yes|no)\W*)*$", re.IGNORECASE
)
_AFTER_OBJECT = re.compile(
    r"\b(CARRY|BRING|TAKE|PUT) (N\d+) (?:out|off|INSIDE|in|along|up|down|over|VANISH|there|here|LEAVE)\b"
    r"(?: of\b)?(?: INPICTURE)?"
)
"""“Took the cup away” is as “took away the cup”."""


def clauses(text: str) -> tuple[str, tuple[str, ...]]:
    """What leads to the questions, and the questions: `"I cannot see the dog, where is it?"`. Nothing is taken for an
    introduction that asks something itself, and what does not clearly ask twice is one question."""
    text = re.sub(r"\bif (?:so|yes|there is|there are|any),? ", "", text, flags=re.IGNORECASE)
    text = re.sub(r"[,.;] *(?:right|correct|ok|okay|please|thanks|thank you)[ ?!.]*$", "?", text.strip()[:2000])
    parts = [part for part in re.split(r"[,;.!?:]+\s+|\s+[-–—]+\s+", text) if part.strip()]
    if len(text.split()) <= _SHORT:
        # “The dog, where?”
        return "", tuple(clause for clause in _AND_ASKS.split(text) if not _SAYS_NOTHING.match(clause)) or (text,)
    if len(parts) == 2 and _WHILE.match(parts[0]) and _ASKING.match(parts[1].strip()):
        # “When the dog left, who was here?”
        return "", (f"{parts[1].strip(' ?!.')} {parts[0].strip()}",)
    while len(parts) > 1 and _REMARK.match(parts[-1].strip()) and not re.search(r"\d|\bago\b", parts[-1]):
        parts.pop()
    asking = [_ASKING.match(part.strip()) is not None for part in parts]
    first = asking.index(True) if True in asking else 0
    if not all(asking[first:]) or (len(parts) > 1 and _is_tag(parts[-1])):
        first, parts = 0, [text]
    asked = [clause for part in parts[first:] for clause in _AND_ASKS.split(part) if not _SAYS_NOTHING.match(clause)]
    return " ".join(parts[:first]), tuple(asked) or (text,)


def is_adverbial(introduction: str) -> bool:
    """Whether it says when, where or how of what is asked after it: `"in the first minute"`. It is not a remark then,
    and a part of the question."""
    polite = _LEADING.sub("", f"{introduction} ", count=1).strip() == ""
    return _ADVERBIAL.match(introduction) is not None and not polite


def _is_tag(part: str) -> bool:
    return re.fullmatch(r"\w+(?:n't| not)? (?:it|he|she|they|there|you|we)(?: not)?\W*", part.casefold()) is not None


def spelt(word: str, names: Iterable[str]) -> str | None:
    """The one word that this must be a slip of the pen for: a letter too many or too few, or two that changed places;
    in a long word also a wrong one. None where there is none, or more than one."""
    known = {*_WORDS["SPELT"], *(name for name in names if len(name) > 3)}
    near = {right for right in known if _slipped(word, right)}
    return near.pop() if len(near) == 1 else None


def _slipped(word: str, right: str) -> bool:
    if word[:1] != right[:1] or min(len(word), len(right)) < 4:
        return False
    if len(word) == len(right):
        wrong = [i for i, (a, b) in enumerate(zip(word, right, strict=True)) if a != b]
        if len(wrong) == 1:
            return len(word) > 6
        changed = len(wrong) == 2 and wrong[1] == wrong[0] + 1
        return changed and word[wrong[0]] == right[wrong[1]] and word[wrong[1]] == right[wrong[0]]
    short, long = sorted((word, right), key=len)
    return len(short) > 3 and any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


def mark_questions(text: str) -> str:
    """Question words, relations and parts of the picture as tokens."""
    text = _sub(_QUESTIONS, _in_picture(text))
    ends = r"(left|right|top|bottom)"
    text = re.sub(rf"\bfrom (?:the )?{ends}(?: side)? to (?:the )?{ends}(?: side)?\b", r"to the \2", text)
    corner = r"(?:the )?(top|upper|bottom|lower)[ -](left|right|middle|centre|center)"
    text = re.sub(rf"\b(?:(?:in|at|on|to|from|towards?) )?(?:very |far |extreme )?{corner}{_PART}", _two_sides, text)
    text = _LEFT_OR_RIGHT.sub(" SLEFT or SRIGHT ", text)
    side = r"(left|right|top|upper|bottom|lower|middle|centre|center)"
    text = re.sub(
        rf"\b(?:in|at|on|to|from|towards?|over) (?:the |its )?(?:very |far |extreme )?{side}{_PART}\b", _one_side, text
    )
    text = re.sub(rf"\b(?:the )?{side} (?:side|half|part|edge|third)\b{_PART}", _one_side, text)
    text = re.sub(r"\b(left|right)wards?\b", lambda found: f" TOWARDS {_SIDE[found[1]]} ", text)
    return re.sub(r"\bto (?:its|his|her|their) (left|right)\b", _one_side, text)


def mark_deeds(text: str, question: str) -> str:
    """Verbs, superlatives and the other phrases as tokens. `question` is all that was said."""
    question = _ANY_TIME.sub("", question)
    if _REMAINING.search(question) and not _LEAVING.search(question):
        text = re.sub(r"\b(?:left|remaining)(?: over)?$", "", text)
    text = _REMAINING_AT.sub(r"\1", text)
    text = re.sub(r"\bbefore (?=N\d+$)", "EARLIER than ", text)
    text = re.sub(r"\bafter (?=N\d+$)", "LATER than ", text)
    text = _AFTER_OBJECT.sub(r"\1 \2", _sub(_DEEDS, text))
    return re.sub(r"\b(?:start(?:ed|s)?|began|begin)(?: to)? (?=(?:CARRY|TAKE|BRING|MOVE) N\d)", "", text)


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
    towards = " TOWARDS" if re.match(r"to(?:wards?)? ", found[0]) else ""
    return f"{towards} {_SIDE[found[1]]} "


def _two_sides(found: re.Match[str]) -> str:
    return f" {_SIDE[found[1]]} {_SIDE[found[2]]} "
