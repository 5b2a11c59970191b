"""One client's microphone from samples to what its words have become."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from agent.orders import Done
from agent.speech import guards
from agent.speech.ear import TAIL_S, Begun, Dropped, Ear, Happening, Spoken
from agent.speech.service import SpeechService, said
from agent.speech.types import F32, SAMPLE_RATE, Heard, Ignored, SpeechNews, SpeechState
from agent.speech.wake import after_wake_word
from agent.speech.wording import as_typed
from agent.types import AgentError
from stream.errors import OnlookerError, VoiceError
from stream.types import FrameRef

log = logging.getLogger(__name__)

LEVEL_EVERY_S = 0.12
MOST_NEWS = 64
MOST_WAITING = 4
OBEY_S = 10.0


@dataclass(frozen=True, slots=True)
class About:
    """What an utterance is about, as a question is."""

    track_ids: tuple[int, ...] = ()
    frame: FrameRef | None = None
    follows: str | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """How a client wants its microphone used."""

    open: bool = False
    muted: bool = False
    wake_word: str | None = None
    languages: tuple[str, ...] = ()
    """One is spoken; of several one is detected; none may be any."""


@dataclass(frozen=True, slots=True)
class _Work:
    spoken: Spoken
    about: About
    languages: tuple[str, ...]
    wake_word: str | None
    ended_s: float


@dataclass(frozen=True, slots=True)
class Order:
    """Words to be obeyed like typed ones."""

    text: str
    about: About
    language: str | None
    samples: F32 = field(repr=False)


class Listener:
    """`obey` does what words ask for and raises `OnlookerError` where it cannot; `now` names the frame that is seen
    now; `tell` sends news to the client. Event loop only; `run` it for as long as the client is there."""

    def __init__(
        self,
        service: SpeechService,
        obey: Callable[[Order], Awaitable[Done]],
        now: Callable[[], FrameRef | None],
        tell: Callable[[SpeechNews | Heard], Awaitable[None]],
    ) -> None:
        self._service = service
        self._obey = obey
        self._now = now
        self._tell = tell
        self._settings = Listening()
        self._about = About()
        self._ear: Ear | None = None
        self._utterance = 0
        self._cancelled = 0
        self._finish: asyncio.TimerHandle | None = None
        self._work: deque[_Work] = deque()
        self._working = False
        self._news: deque[SpeechNews | Heard] = deque()
        self._woken, self._told = asyncio.Event(), asyncio.Event()
        self._shown: tuple[SpeechState, bool, int | None] | None = None
        self._level_s = self._used_s = time.monotonic()

    # --- the microphone session -------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._ear is not None

    @property
    def unused_s(self) -> float:
        """How long nothing has been listened to."""
        return time.monotonic() - self._used_s

    def connect(self) -> None:
        """A session has begun."""
        self.disconnect()
        self._service.use()
        self._ear = Ear(self._service.detector(), utterance=self._utterance)
        self._used_s = time.monotonic()
        self._apply()

    def disconnect(self, error: AgentError | None = None) -> None:
        """The session has ended, or could not begin; what was being heard is lost."""
        ear, self._ear = self._ear, None
        if ear is not None:
            self._utterance = ear.utterance
            self._after(ear.cancel())
        elif error is None:
            return
        self._shown = None
        self._put(SpeechNews(SpeechState.OFF, self._settings.muted, error=error))

    def hear(self, samples: F32) -> None:
        """The next samples of the session."""
        ear = self._ear
        if ear is None:
            return
        self._after(ear.feed(samples))
        now_s = time.monotonic()
        if ear.state is SpeechState.IDLE:
            return
        self._used_s = now_s
        if now_s - self._level_s >= LEVEL_EVERY_S and len(self._news) < MOST_NEWS // 2:
            self._level_s = now_s
            self._put(self._state(level=ear.level))

    # --- what the client asks for -----------------------------------------------------------------------------

    def listen(self, settings: Listening) -> None:
        """Use the microphone so from now on. Raises `ModelMissing` where the microphone cannot be open: the settings
        are as before then."""
        if settings.open:
            self._service.require_detector()
        self._settings = settings
        self._used_s = time.monotonic()
        self._apply()

    def talk(self, on: bool, about: About, *, cancel: bool = False) -> None:
        """The key is pressed or released; `cancel` throws away what has been said and not been obeyed yet.

        Raises `VoiceError` (no_microphone) without a session.
        """
        ear = self._ear
        if ear is None:
            error = VoiceError("The microphone is not open.", action="Open a microphone session first.")
            error.code, error.retryable = "no_microphone", False
            raise error
        if on and self._settings.muted:
            raise VoiceError("The microphone is muted.", action="Unmute it first.")
        self._used_s = time.monotonic()
        self._cancel_timer()
        if on:
            self._about = about
            self._after(ear.press())
        elif cancel:
            self._cancelled = ear.utterance
            self._after(ear.cancel())
        else:
            self._about = _joined(self._about, about)
            if self._about.frame is None:
                self._about = replace(self._about, frame=self._now())
            ear.release()
            # Where nothing comes any more, the tail does not either.
            self._finish = asyncio.get_running_loop().call_later(2 * TAIL_S, self._finish_tail, ear)

    def _finish_tail(self, ear: Ear) -> None:
        if ear is self._ear:
            self._after(ear.finish())

    def _cancel_timer(self) -> None:
        if self._finish is not None:
            self._finish.cancel()
            self._finish = None

    def _apply(self) -> None:
        if self._ear is not None:
            self._after(self._ear.set(open=self._settings.open, muted=self._settings.muted))

    # --- what happens -----------------------------------------------------------------------------------------

    def _after(self, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            match happening:
                case Begun():
                    pass
                case Dropped(utterance, spoken_s):
                    self._put(Heard(utterance, "", spoken_s, ignored=Ignored.CANCELLED))
                case Spoken():
                    self._ended(happening)
        self._show()

    def _ended(self, spoken: Spoken) -> None:
        about, self._about = self._about, About()
        settings, ear = self._settings, self._ear
        self._cancel_timer()
        if about.frame is None:
            about = replace(about, frame=self._now())
        if len(self._work) >= MOST_WAITING:
            error = AgentError("busy", "Too much is waiting to be understood.", "Wait a moment, or type it.", True)
            self._put(Heard(spoken.utterance, "", len(spoken.samples) / SAMPLE_RATE, error=error))
            return
        wake_word = None if spoken.held else settings.wake_word
        languages = settings.languages or self._service.languages
        self._work.append(_Work(spoken, about, languages, wake_word, time.monotonic()))
        self._woken.set()
        if ear is not None:
            self._used_s = time.monotonic()

    def _state(self, level: float | None = None) -> SpeechNews:
        ear = self._ear
        assert ear is not None
        state: SpeechState = ear.state
        if state is not SpeechState.HEARING and (self._working or self._work):
            state = SpeechState.THINKING
        utterance = ear.utterance if state is SpeechState.HEARING else None
        return SpeechNews(state, self._settings.muted, level, utterance)

    def _show(self) -> None:
        """Tell the state where it has changed."""
        if self._ear is None:
            return
        news = self._state()
        shown = (news.state, news.muted, news.utterance)
        if shown != self._shown:
            self._shown = shown
            self._put(news)

    def _put(self, news: SpeechNews | Heard) -> None:
        if len(self._news) >= MOST_NEWS:  # the websocket stands still, and is closed for that soon
            return
        self._news.append(news)
        self._told.set()

    # --- words ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send())
                tasks.create_task(self._understand())
        finally:
            self._cancel_timer()

    async def _send(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            while self._news:
                await self._tell(self._news.popleft())

    async def _understand(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._work:
                work = self._work.popleft()
                self._working = True
                self._show()
                try:
                    heard = await self._heard(work)
                finally:
                    self._working = False
                self._put(heard)
                self._show()

    async def _heard(self, work: _Work) -> Heard:
        spoken = work.spoken
        spoken_s = len(spoken.samples) / SAMPLE_RATE - spoken.silence_s
        timings = {"endpoint": spoken.silence_s * 1000, "wait": _since_ms(work.ended_s)}
        heard = Heard(spoken.utterance, "", max(0.0, spoken_s), timings_ms=timings)
        ignored = guards.before(spoken.samples, spoken.speech_s)
        if ignored is not None:
            return replace(heard, ignored=ignored)
        start_s = time.monotonic()
        try:
            transcript = await self._service.transcribe(spoken.samples, languages=work.languages)
        except OnlookerError as error:
            return replace(heard, error=said(error))
        finally:
            timings["transcribe"] = _since_ms(start_s)
        language = transcript.language
        ignored = Ignored.CANCELLED if spoken.utterance <= self._cancelled else guards.after(transcript)
        heard = replace(heard, transcript=transcript.text, language=language, ignored=ignored)
        command: str | None = transcript.text
        if ignored is None and work.wake_word is not None:
            command = after_wake_word(transcript.text, work.wake_word)
        if ignored is None and not command:
            heard = replace(heard, ignored=Ignored.WAKE_WORD)
        if heard.ignored is not None or not command:
            return heard
        self._put(self._transcribed(heard))
        return await self._obeyed(heard, Order(as_typed(command), work.about, language, spoken.samples), timings)

    def _transcribed(self, heard: Heard) -> SpeechNews:
        news = self._state() if self._ear is not None else SpeechNews(SpeechState.OFF, self._settings.muted)
        return replace(
            news, utterance=heard.utterance, transcript=heard.transcript, final=True, language=heard.language
        )

    async def _obeyed(self, heard: Heard, order: Order, timings: dict[str, float]) -> Heard:
        start_s = time.monotonic()
        try:
            async with asyncio.timeout(OBEY_S):
                done = await self._obey(order)
        except TimeoutError:
            return replace(heard, error=AgentError("busy", "The engine is busy.", "Try again.", True))
        except OnlookerError as error:
            return replace(heard, error=said(error))
        except Exception:
            log.exception("what was said could not be done")
            return replace(heard, error=AgentError("internal_error", "Something went wrong.", "Type it.", True))
        finally:
            timings["obey"] = _since_ms(start_s)
        return replace(heard, done=done)


def _joined(first: About, then: About) -> About:
    return About(then.track_ids or first.track_ids, then.frame or first.frame, then.follows or first.follows)


def _since_ms(start_s: float) -> float:
    return (time.monotonic() - start_s) * 1000
