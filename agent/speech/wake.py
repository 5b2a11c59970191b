"""Whether an utterance begins with the word that the client wants it to begin with. Pure.

The word is matched on the transcript, where a name that no dictionary has comes back spelled in some other way, or in
two words: “on looker”, “unlooker”.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher

ALIKE = 0.72
"""How alike the letters have to be, 1 being the same."""
_GREETINGS = frozenset({"hey", "hi", "hello", "ok", "okay", "so", "um", "uh", "well", "please", "and", "oh", "a"})
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SOUNDS = (("ph", "f"), ("ck", "k"), ("c", "k"), ("q", "k"), ("z", "s"), ("y", "i"), ("w", "v"))


def after_wake_word(transcript: str, wake_word: str) -> str | None:
    """What comes after the wake word, which may be nothing; None where the utterance does not begin with it."""
    wanted = _sound(wake_word)
    words = list(_WORD.finditer(transcript))
    if not wanted or not words:
        return None
    greeted = 0
    while greeted < min(2, len(words)) and words[greeted][0].casefold() in _GREETINGS:
        greeted += 1
    most = len(_WORD.findall(wake_word)) + 1
    best, end = 0.0, 0
    for first in range(greeted + 1):
        for count in range(1, most + 1):
            heard = "".join(_sound(word[0]) for word in words[first : first + count])
            alike = SequenceMatcher(None, wanted, heard, autojunk=False).ratio()
            if alike > best:
                best, end = alike, words[min(first + count, len(words)) - 1].end()
    return transcript[end:].lstrip(" ,.!?;:–-") if best >= ALIKE else None


def _sound(text: str) -> str:
    """The letters of `text` without marks, spelled more as it sounds, none twice in a row."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(character for character in plain if character.isalnum())
    for spelled, sounded in _SOUNDS:
        letters = letters.replace(spelled, sounded)
    return re.sub(r"(.)\1+", r"\1", letters)
