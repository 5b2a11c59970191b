"""Free words, understood without a model: a prompt, a removal, a watch, a name, an undo, or else a question. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from agent.labels import category
from stream.engines.vocabulary import COLOURS
from stream.engines.words import resolve
from stream.errors import UnknownWord


class Wish(StrEnum):
    TRACK = "track"
    """Follow what `text` names, or the objects of `track_ids`."""
    UNTRACK = "untrack"
    """Stop following what `text` names, or the objects of `track_ids`; with neither, everything."""
    RESTORE = "restore"
    RENAME = "rename"
    WATCH = "watch"
    UNWATCH = "unwatch"
    STOP = "stop"
    """Stop answering."""
    UNDO = "undo"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Command:
    """What is wanted; `text` is its object in the user's words: a noun phrase, a condition, a name or a question."""

    wish: Wish
    text: str = ""
    track_ids: tuple[int, ...] = ()


_POLITE = re.compile(
    r"^(?:(?:please|now|ok|okay|hey|hi|hello|onlooker|so|and|just|also)\b[ ,!.]*|"
    r"(?:can|could|will|would) you (?:please )?|i(?: woul|')d like you to |i want you to |you (?:should|can|may) )+",
    re.I,
)
_IDS = re.compile(r"\[?(?:#|\bnumber |\bobject |\bobject number )(\d{1,9})\b\]?", re.I)
_TELL = (
    r"(?:tell|alert|notify|warn|inform|ping|message|remind|call) (?:me|us)|let (?:me|us) know|"
    r"(?:give|send) (?:me|us) (?:an? )?(?:alert|alarm|warning|message|notification)|raise an alarm|speak up|shout|beep"
)
_ONCE = r"when(?:ever)?|if|as soon as|once|every time|each time|the moment"
_PAST = re.compile(r"\b(?:did|was|were|had|has been|came|went|arrived|entered|appeared|happened|last)\b", re.I)
_UNTRACK = (
    r"(?:stop|quit|cease|end) (?:following|tracking|watching|highlighting|showing|marking|looking at|segmenting)|"
    r"(?:don'?t|do not) (?:follow|track|highlight|show|mark|watch)|forget(?: about)?|untrack|unfollow|remove|drop|"
    r"ignore|let go of|get rid of|hide|delete|clear"
)
_TRACK = (
    r"(?:start |keep |begin )?(?:to )?(?:follow(?:ing)?|track(?:ing)?|highlight(?:ing)?|mark(?:ing)?|segment(?:ing)?|"
    r"detect(?:ing)?|outlin(?:e|ing))|find|look for|search for|show(?: me)?|spot|locate|watch|keep an eye on|add|select"
)
_AGAIN = r"(?: (?:any ?more|any longer|again|now|please|for me|too|instead))*[.! ]*$"


def understand(text: str) -> Command:
    """What somebody wants. What is nothing else is a question, which a model or the tracks answer."""
    said = " ".join(text.replace("’", "'").split())
    plain = _POLITE.sub("", said).strip()
    for read in (_short, _watch, _unwatch, _renamed, _restored, _untracked, _tracked, _bare):
        found = read(plain)
        if found is not None:
            return found
    return Command(Wish.ASK, said)


def _short(text: str) -> Command | None:
    if re.fullmatch(
        r"(?:undo|revert|take (?:that|it) back|undo (?:that|it|the last (?:one|thing|step)))[.! ]*", text, re.I
    ):
        return Command(Wish.UNDO)
    silent = (
        r"stop(?: it| that| talking| answering)?|(?:be )?quiet|never ?mind|cancel|forget (?:it|that)|shut up|enough"
    )
    return Command(Wish.STOP) if re.fullmatch(rf"(?:{silent})[.! ]*", text, re.I) else None


def _watch(text: str) -> Command | None:
    if text.endswith("?") and _PAST.search(text):
        return None
    found = (
        re.fullmatch(rf"(?:{_TELL}),? (?:{_ONCE}) (?P<what>.+)", text, re.I)
        or re.fullmatch(rf"(?:{_ONCE}) (?P<what>.+?),? (?:then )?(?:please )?(?:{_TELL})[.! ]*", text, re.I)
        or re.fullmatch(r"(?:watch|look|keep watch) (?:out )?(?:for|whether|if|until) (?P<what>.+)", text, re.I)
        or re.fullmatch(rf"(?:{_TELL}) (?:about|of) (?P<what>(?:any|every|new|each) .+)", text, re.I)
    )
    if found is None or re.match(r"look for ", text, re.I) or _PAST.search(found["what"]) or _left(found["what"]):
        return None
    return Command(Wish.WATCH, _trimmed(found["what"]))


def _left(condition: str) -> bool:
    """Whether “left” says that it is over: “when the dog left”, not “is left behind”."""
    return (
        re.search(r"(?<!is )(?<!are )(?<!gets )(?<!be )(?<!the )\bleft\b(?! behind| alone| unattended)", condition)
        is not None
    )


def _unwatch(text: str) -> Command | None:
    found = re.fullmatch(
        rf"(?:stop|quit) (?:watching (?:out )?for|telling me|alerting me|notifying me|warning me|looking out for)"
        rf"(?: (?:{_ONCE}|about|of))? ?(?P<what>.*)|"
        rf"(?:don'?t|do not) (?:{_TELL})(?: any ?more)?(?: (?:{_ONCE}|about|of))? (?P<no>.+)|"
        r"(?:remove|delete|cancel|forget|drop|stop) the (?:watch|alert|alarm)"
        r"(?: (?:for|about|on|when|if))? ?(?P<the>.*)",
        text,
        re.I,
    )
    if found is None:
        return None
    return Command(Wish.UNWATCH, _trimmed(found["what"] or found["no"] or found["the"] or ""))


def _renamed(text: str) -> Command | None:
    found = re.fullmatch(
        r"(?:rename|call|name|label) (?P<who>\[?#?\w+[^ ]*\]?(?: \d+)?) (?:to |as )?(?P<name>.+)", text, re.I
    )
    ids = _ids(found["who"]) if found else ()
    return Command(Wish.RENAME, _trimmed(found["name"]), ids) if found and len(ids) == 1 else None


def _restored(text: str) -> Command | None:
    found = re.fullmatch(r"(?:restore|bring back|recover|unhide) (?P<what>.+)|bring (?P<mid>.+) back[.! ]*", text, re.I)
    if found is None:
        return None
    ids = _ids(found["what"] or found["mid"])
    return Command(Wish.RESTORE, track_ids=ids) if ids else Command(Wish.UNDO)


def _untracked(text: str) -> Command | None:
    found = re.fullmatch(rf"(?:{_UNTRACK})(?: (?P<what>.+))?", text, re.I)
    if found is None:
        return None
    what = _trimmed(found["what"] or "")
    if what.casefold() in (
        "",
        "everything",
        "all",
        "all of it",
        "all of them",
        "all objects",
        "it all",
        "every object",
    ):
        return Command(Wish.UNTRACK)
    return Command(Wish.UNTRACK, "" if _ids(what) else what, _ids(what))


def _tracked(text: str) -> Command | None:
    found = re.fullmatch(rf"(?:{_TRACK}) (?P<what>.+)", text, re.I)
    if found is None or re.match(r"(?:me|us|what|how|why|where|who|when|which|whether|if)\b", found["what"], re.I):
        return None
    if re.search(rf"\b(?:{_TELL})\b", text, re.I):
        return None  # two wishes at once: a model may call tools for both
    what = _trimmed(found["what"])
    ids = _ids(what)
    return Command(Wish.TRACK, "" if ids else what, ids)


def _bare(text: str) -> Command | None:
    """“red cup”: nothing but the name of a thing."""
    if text.endswith("?"):
        return None
    what = _trimmed(text)
    try:
        concept = resolve(what)
    except UnknownWord:
        return Command(Wish.TRACK, what) if category(what) is not None else None
    return Command(Wish.TRACK, what) if set(concept.ignored) <= COLOURS else None


def _ids(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(int(number) for number in _IDS.findall(text)))


def _trimmed(text: str) -> str:
    return re.sub(_AGAIN, "", text.strip(), flags=re.I).strip(' .!,?"“”')
