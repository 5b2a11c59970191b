"""What clients send."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from agent.conversation import MAX_QUESTION_CHARS
from stream.prompts import MAX_LABEL_CHARS
from web.protocol.parts import MAX_ASKED_TRACKS, FrameRef, Id, Language, PromptBody, Ref, Shape, Uuid


class Request(Shape):
    ref: Annotated[Ref | None, Field(description="Comes back in the one `ok` or `error` that answers.")] = None


class PromptAdd(PromptBody, Request):
    type: Literal["prompt.add"]


class PromptRemove(Request):
    type: Literal["prompt.remove"]
    prompt_id: Id


class PromptRestore(Request):
    """Undoes `prompt.remove` within 60 s."""

    type: Literal["prompt.restore"]
    prompt_id: Id


class TrackRemove(Request):
    type: Literal["track.remove"]
    track_id: Id


class TrackRestore(Request):
    """Undoes `track.remove` within 60 s."""

    type: Literal["track.restore"]
    track_id: Id


class TrackRename(Request):
    type: Literal["track.rename"]
    track_id: Id
    label: Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_LABEL_CHARS})]


class QuestionBody(Shape):
    """`track_ids`: the objects that it is about; `frame`: the one under the pointer; `follows`: the question that it
    goes on from."""

    text: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARS)]
    track_ids: Annotated[list[Id], Field(max_length=MAX_ASKED_TRACKS)] | None = None
    frame: FrameRef | None = None
    follows: Uuid | None = None


class Ask(QuestionBody, Request):
    type: Literal["ask"]


class AskStop(Request):
    """Stops one question, or all that this client has asked."""

    type: Literal["ask.stop"]
    question_id: Uuid | None = None


class Command(QuestionBody, Request):
    """Free words: a prompt, a removal, a watch, an undo or a question. The `ok` names what it has become."""

    type: Literal["command"]


class Talk(Request):
    """Push-to-talk, pressed or released: what is said between is one utterance. With `cancel` it is thrown away, and so
    is what was said before and is still being understood.

    What the utterance is about, as with a question, may come with either edge; the later one counts. Needs this
    client's microphone session (`microphone` in `hello`).
    """

    type: Literal["talk"]
    on: bool
    cancel: bool = False
    track_ids: Annotated[list[Id], Field(max_length=MAX_ASKED_TRACKS)] | None = None
    frame: FrameRef | None = None
    follows: Uuid | None = None


class Listen(Request):
    """How this client's microphone is used; all of it is replaced. `open`: every utterance counts, not only between
    the edges of `talk`. `muted`: nothing is heard, whatever the other says.

    `wake_word`: with an open microphone, only what begins with it counts. `language` is a code such as "de"; without
    one it is detected, among `languages` if there are any: those that the user knows, such as the browser's.
    """

    type: Literal["listen"]
    open: bool = False
    muted: bool = False
    wake_word: Annotated[str, Field(min_length=2, max_length=40)] | None = None
    language: Language | None = None
    languages: Annotated[list[Language], Field(max_length=8)] | None = None


class ViewRequest(Request):
    """`session` is the id of this page's WHEP session; answered by `view`."""

    type: Literal["view"]
    session: Annotated[str, Field(max_length=64)]


class Describe(Request):
    """Whether the stream's objects are described by themselves, for all who watch it."""

    type: Literal["describe"]
    on: bool


class Set(Request):
    """`ack`: at most 4 `tracks` messages are sent beyond the last one acknowledged."""

    type: Literal["set"]
    masks: bool | None = None
    max_fps: Annotated[int, Field(ge=1, le=60)] | None = None
    ack: bool | None = None


class Ack(Shape):
    """`seq` of a `tracks` message that has been drawn; it covers those before it."""

    type: Literal["ack"]
    seq: Id


class Ping(Request):
    type: Literal["ping"]
    t: float


ClientMessage = Annotated[
    PromptAdd | PromptRemove | PromptRestore | TrackRemove | TrackRestore | TrackRename
    | Ask | AskStop | Command | Describe | Talk | Listen | ViewRequest | Set | Ack | Ping,
    Field(discriminator="type"),
]  # fmt: skip
