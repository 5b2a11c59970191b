"""Times in questions, and times in answers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from agent.facts_answer.meaning import Window

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_NUMBERS: dict[str, float] = {
    **{word: number for number, word in enumerate(_SMALL.split(" "))},
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "ninety": 90,
    "a": 1,
    "an": 1,
    "few": 3,
    "couple of": 2,
    "couple": 2,
    "half": 0.5,
    "half a": 0.5,
    "half an": 0.5,
}
_UNITS = {"s": 1, "sec": 1, "second": 1, "m": 60, "min": 60, "minute": 60, "h": 3600, "hour": 3600}

_AMOUNT = r"(?:\d+(?:\.\d+)?|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")"
_UNIT = r"(?:seconds?|secs?|minutes?|mins?|hours?|s|m|h)"
_SPAN = rf"(?:(?:{_AMOUNT}) ?)?{_UNIT}"
_CLOCK = r"(?:\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]m)?|\d{1,2} ?[ap]m|\d{1,2} o'?clock)"
_DURING = r"(?:in|during|within|over|for|throughout|from|of|since)"
_ABOUT = r"(?:about|around|roughly)"
_LAST = r"(?:last|past|previous|recent|preceding|latest)"

_PATTERNS = {
    "last": rf"\b(?:{_DURING} )?(?:the |these |this )?{_LAST} ({_SPAN})\b",
    "past": rf"\b(?:in|during|within|over|throughout|since) (?:the )?({_AMOUNT} ?{_UNIT})\b",
    "ago": rf"\b(since |until |till |after |before )?(?:{_ABOUT} )?({_AMOUNT} ?{_UNIT}) (?:ago|before now|earlier)\b",
    "between": rf"\b(?:between|from) ({_CLOCK}) (?:and|to|until|till) ({_CLOCK})\b",
    "since": rf"\b(?:since|after|from|starting at) ({_CLOCK})(?: on(?:wards)?)?\b",
    "until": rf"\b(?:up until|until|till|before|by|up to|as of) ({_CLOCK})\b",
    "clock": rf"\b(?:exactly )?(?:at |around |about )?({_CLOCK})\b",
    "recently": r"\b(?:(?<!most )recently|lately|just now|a moment ago|a while ago|moments ago|in the last while)\b",
    "now": r"\b(?:(?:(?:at|in) )?this (?:very )?(?:second|moment|minute|instant)|at this point|right now|at the moment"
    r"|at present|currently|current|presently|now|today|at the minute)\b",
    "all": r"\b(?:for )?(?:the (?:whole|entire) time|all the time|all along)\b",
    "start": r"\b(?:since|from) the (?:very )?(?:start|beginning)(?: on)?\b",
    "outset": r"\b(?:(?:at|in) the (?:very )?(?:start|beginning)|at first|initially|originally)\b",
    "ever": r"\b(?:so far|ever|until now|till now|up to now|to date|overall|all in all|altogether|in all|in total"
    r"|at any time)\b",
}  # fmt: skip
_RECENT_S = 60.0
_LIMITS = {"more than": ">", "longer than": ">", "over": ">", "at least": ">=", "less than": "<", "shorter than": "<",
           "under": "<", "fewer than": "<", "at most": "<=", "up to": "<="}  # fmt: skip
_LASTING = re.compile(
    rf"\b(?:for )?({'|'.join(_LIMITS)}) ({_AMOUNT} ?{_UNIT})\b(?! ago)"
    rf"|\bfor (?:{_ABOUT} )?({_AMOUNT} ?{_UNIT})\b(?! ago)"
)


def lasting(text: str) -> tuple[str, tuple[str, float] | None]:
    """Take “for more than 20 seconds” out of a question: what is left of it, how it compares, and the seconds."""
    found = _LASTING.search(text)
    if found is None:
        return text, None
    compare = _LIMITS[found[1]] if found[1] is not None else ">="
    return f"{text[: found.start()]} {text[found.end() :]}", (compare, _span_s(found[2] or found[3]))


def parse(text: str, now: datetime, zone: tzinfo | None) -> tuple[str, Window]:
    """Take the times out of a question: what is left of it, and the window."""
    for name in ("between", "since", "until", "last", "ago", "past", "clock", "recently"):
        found = re.search(_PATTERNS[name], text)
        if found is None:
            continue
        window = _window(name, found, now, zone)
        if window is not None:
            text = f"{text[: found.start()]} {text[found.end() :]}"
            return _flags(text, window)
    return _flags(text, Window())


def only(text: str) -> bool:
    """Whether a text says a time and nothing else: `"at 10:00:24"`, `"20 seconds ago"`, `"so far"`."""
    words = re.sub(r"^(?:(?:and|so|but|then|well|ok|okay|hi|hey|hello|please) )+", "", text.strip())
    return any(re.fullmatch(pattern, words) for pattern in _PATTERNS.values())


def _flags(text: str, window: Window) -> tuple[str, Window]:
    text, ever = re.subn(_PATTERNS["ever"], " ", text)
    text, now = re.subn(_PATTERNS["now"], " ", text)
    through = next((name for name in ("all", "start", "outset") if re.search(_PATTERNS[name], text)), "")
    if through:
        text = re.sub(_PATTERNS[through], " ", text)
    return text, replace(window, ever=bool(ever or through), now=bool(now), through=through)


def _window(name: str, found: re.Match[str], now: datetime, zone: tzinfo | None) -> Window | None:
    if name in ("last", "past"):
        return Window(since=now - timedelta(seconds=_span_s(found[1])))
    if name == "recently":
        return Window(since=now - timedelta(seconds=_RECENT_S))
    if name == "ago":
        when = now - timedelta(seconds=_span_s(found[2]))
        return _from_word((found[1] or "").strip(), when)
    first = _clock(found[1], now, zone)
    if first is None:
        return None
    if name == "between":
        last = _clock(found[2], now, zone)
        return None if last is None else Window(since=min(first, last), until=max(first, last))
    return _from_word({"since": "since", "until": "until", "clock": ""}[name], first)


def _from_word(word: str, when: datetime) -> Window:
    if word in ("since", "after"):
        return Window(since=when)
    if word in ("until", "till", "before"):
        return Window(until=when)
    return Window(since=when, until=when, instant=True)


def _span_s(text: str) -> float:
    found = re.fullmatch(rf"(?:({_AMOUNT}) ?)?({_UNIT})", text.strip())
    assert found is not None
    said, unit = found[1], found[2]
    amount = 1.0 if said is None else number(said)
    singular = unit if unit in _UNITS else unit.removesuffix("s")
    return amount * _UNITS[singular]


def _clock(text: str, now: datetime, zone: tzinfo | None) -> datetime | None:
    """The last time before now when clocks in `zone` showed `text`."""
    found = re.fullmatch(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2}))? ?(am|pm|o'?clock)?", text.strip())
    if found is None:
        return None
    hour, minute, second = int(found[1]), int(found[2] or 0), int(found[3] or 0)
    if found[4] in ("am", "pm"):
        hour = hour % 12 + (12 if found[4] == "pm" else 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    local = now.astimezone(zone)
    then = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return then if then <= local else then - timedelta(days=1)


NUMBER_WORDS = tuple(word for word in _SMALL.split(" ") if word not in ("zero", "one"))


def number(text: str) -> float:
    """Of digits or of a word."""
    return _NUMBERS[text] if text in _NUMBERS else float(text)


def clock(when: datetime, zone: tzinfo | None) -> str:
    """`"10:00:05"`, in `zone` or the machine's own."""
    return when.astimezone(zone).strftime("%H:%M:%S")


def duration(span: timedelta) -> str:
    """`"8 s"`, `"1 min 20 s"`, `"2 h 5 min"`."""
    total = max(0, round(span.total_seconds()))
    if total < 60:
        return f"{total} s"
    minutes, seconds = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
