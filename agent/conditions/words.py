"""The words of watches, as patterns over words in small letters, set apart by single blanks."""

from __future__ import annotations

import re

BACK = r"(?:come|comes|came|coming|is|are|get|gets) back|return(?:s|ed|ing)?"
GOING = (
    r"(?:go|goes|going|gone|went|walk|walks|drive|drives|run|runs|ride|rides|move|moves|fly|flies|step|steps) "
    r"(?:away|off|out)(?: of)?|is gone|are gone|gone|went|(?<!the )(?:leave|leaves|leaving|left)|exit(?:s|ed|ing)?|"
    r"disappear(?:s|ed|ing)?|vanish(?:es|ed|ing)?|missing|(?:is |are )?no longer(?: there| here| visible)?|"
    r"(?:is |are )?not (?:there|here) any ?more|out of sight"
)
COMING = (
    r"(?:come|comes|came|coming)(?: in| into| inside| along| over| here| up)?(?! near| close)|"
    r"enter(?:s|ed|ing)?|arriv(?:e|es|ed|ing)|appear(?:s|ed|ing)?|(?:show|shows|showed|turn|turns|turned) up|"
    r"(?:walk|walks|drive|drives|step|steps|go|goes|run|runs|get|gets|move|moves|ride|rides) (?:into|inside|in)"
)
CROSSING = (
    r"cross(?:es|ed|ing)?(?: over)?|pass(?:es|ed|ing)?(?: through| over| by)?|"
    r"(?:go|goes|walk|walks|drive|drives|run|runs|move|moves|get|gets|step|steps) (?:over|through|past|across)"
)
THROUGH = r"over|through|across"
STAYING = (
    r"(?:stay|wait|stand|remain|linger|loiter)(?:s|ed|ing)?|stood|(?:hang|hangs|hanging) (?:around|about)|"
    r"(?:is |are )?park(?:s|ed|ing)?|(?:has |have )?been"
)
LOITERING = r"(?:loiter|linger|wait|stay|remain)(?:s|ed|ing)?|(?:hang|hangs|hanging) (?:around|about)"
POSTURES = r"sit|sits|sitting"
"""Are ways to stay that no rule can tell from others."""
NEARING = (
    r"(?:(?:come|comes|came|coming|go|goes|going|get|gets|getting|walk|walks|move|moves) )?"
    r"(?:too |very )?(?:near|close) ?(?:to )?(?:each other)?|next to(?: each other)?|beside|"
    r"approach(?:es|ed|ing)?|meet(?:s|ing)?|met"
)
TAKING = (
    r"(?:take|takes|taking|took|taken|steal|steals|stole|stolen|stealing|grab|grabs|grabbed|remove|removes|removed)"
    r"(?: away)?|(?:pick|picks|picked) up"
)
LEAVING = r"leave|leaves|left|leaving|drop|drops|dropped|forget|forgets|forgot|forgotten|put down|puts down"
ALONE = r"left (?:all )?behind|(?:left (?:all )?)?(?:unattended|abandoned|alone|forgotten|without (?:its |an? )?owner)"
EMPTY = r"empty|unoccupied|deserted|vacant|unmanned"
CROWD = r"crowds?|(?:groups?|bunch) of people"
EVERYONE = r"everyone|everybody|all(?: of)?(?: the)?(?= people)|they all"
NOT = r"not|never|neither|nor|cannot|no longer"
NEGATIVE = r"nobody|no ?one|not anybody|not anyone"

_AT, _HOUR = r"(?:after|before|from|until|till|since|around|by|at|between)", r"\d{1,2}(?: \d\d)?"
TIMES = (
    rf"{_AT} {_HOUR} ?(?:am|pm|oclock)(?: (?:and|to|until|till) {_HOUR}(?: ?(?:am|pm|oclock))?)?",
    rf"{_AT} {_HOUR}(?: (?:and|to|until|till) {_HOUR}(?: ?(?:am|pm|oclock))?)?(?=$| (?:in|on|at|every|each)\b)",
    r"(?:at|around|after|before|by) (?:night|noon|midnight|dawn|dusk|dark)",
    r"(?:after|before) (?:lunch|work|hours|closing)",
    r"(?:in|during|over) the (?:early |late )?(?:morning|afternoon|evening|night|day|week|weekend)",
    r"(?:on|every|at|this|next)(?: the)? (?:(?:mon|tues|wednes|thurs|fri|satur|sun)days?|weekends?|day|night|morning)",
    r"(?:outside|during|after)(?: of)? (?:the )?(?:business|opening|office|working|school) hours",
    r"tonight|tomorrow|today|daily|nightly",
)  # fmt: skip
SOUNDS = (
    r"hear|hears|sounds?|noises?|noisy|loud|bark\w*|ring|rings|ringing|scream\w*|shout\w*|yell\w*|knock\w*|whistl\w*|"
    r"beep\w*|meow\w*|sing|sings|singing|music|bang|gunshots?"
)

_UP_TO_TWELVE = re.findall(r"\w+", "zero one two three four five six seven eight nine ten eleven twelve")
NUMBERS = {word: float(value) for value, word in enumerate(_UP_TO_TWELVE)} | {
    "fifteen": 15.0,
    "twenty": 20.0,
    "thirty": 30.0,
    "forty": 40.0,
    "forty five": 45.0,
    "sixty": 60.0,
    "ninety": 90.0,
}
NUMBER = r"\d+(?:\.\d+)?|" + "|".join(sorted(NUMBERS, key=len, reverse=True))
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
UNIT = r"(?:s|secs?|seconds?|m|mins?|minutes?|h|hours?)"
DURATION = (
    r"(?:(?:already |for )?(?:more than|longer than|over|at least|about|for)"
    r"(?: more than| longer than| over| at least)? )?"
    rf"(?:(?P<n>{NUMBER}|an?|a couple of|half an?|a quarter of an) (?P<unit>{UNIT}))(?: or (?:more|longer))?"
)
PARTS = {"a": 1.0, "an": 1.0, "a couple of": 2.0, "half a": 0.5, "half an": 0.5, "a quarter of an": 0.25}
COUNT = (
    rf"(?P<op>more than|over|at least|fewer than|less than|exactly|only) (?P<n>{NUMBER})|"
    rf"(?P<least>{NUMBER}) or more|(?P<plain>{NUMBER})"
)
RANGE = rf"between (?:{NUMBER}) and (?:{NUMBER})"
OPS = {"more than": ">", "over": ">", "at least": ">=", "fewer than": "<", "less than": "<", "exactly": "==",
       "only": "=="}  # fmt: skip

PEOPLE = frozenset({"someone", "somebody", "anyone", "anybody", "person", "persons", "people"})
THINGS = frozenset({"something", "anything", "object", "objects", "thing", "things"})
FILLING = frozenset(
    re.findall(
        r"\w+",
        "tell me us when whenever if once as soon alert notify warn inform let know please you i we see sees seen spot "
        "detect detects watch for a an the is are was were be there theres here any some of my your our his her their "
        "its this that these those it he she they at in into inside on to by from and or has have had been does do "
        "gets got room picture frame scene view sight camera area zone place again suddenly ever each other",
    )
)
ORDER = r"then|while|before|after|until|but"
"""Two things must happen, one beside or after the other."""
