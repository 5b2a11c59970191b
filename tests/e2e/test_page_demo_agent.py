"""`onlooker demo` as it is started, with a model server that says what the test says: the whole way from the page to
what the model was sent, on real people that the real engine follows."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from kernels import cpu
from stream.models.store import ModelStore
from stream.sources.demo import demo_source
from stream.types import CLOCK_HZ
from tests.asking import PROBES, images, texts
from tests.demo import onlooker_demo
from tests.e2e.conftest import Faults
from tests.e2e.on_page import item, wait_for_picture
from tests.scripted_vlm import MODEL, ScriptedVlm, scripted_vlm

U8 = NDArray[np.uint8]
Message = dict[str, Any]
WAIT_S = 30.0
SIZE = (768, 576)
MARKED = 70
"""Black and white ink changes a pixel by more than this, a JPEG by less."""
CLIP_FPS = 10
IN_TABLE = r'#(\d+) "person", box'


class Demo:
    """The page of a demo, and all that its websocket was told."""

    def __init__(self, page: Page, vlm: ScriptedVlm) -> None:
        self.page = page
        self.vlm = vlm
        self.told: list[Message] = []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda text: self.told.append(json.loads(text))))

    def ask(self, text: str) -> Locator:
        """Free words; the turn that they begin, if they are a question."""
        field = self.page.get_by_role("textbox", name="Ask the scene")
        field.fill(text)
        field.press("Enter")
        return self.page.locator(".turn", has=self.page.get_by_text(text, exact=True)).last

    def until(self, found: Callable[[], Any], what: str) -> Any:
        """What `found` finds, as soon as it finds something."""
        deadline_s = time.monotonic() + WAIT_S
        while not (value := found()):
            assert time.monotonic() < deadline_s, f"not in time: {what}"
            self.page.wait_for_timeout(100)
        return value

    def people(self) -> set[int]:
        """Who has been followed, with a mask, on every picture of the last second: on a machine with too little time
        for the models a person just found is often let go at once."""
        told = [m for m in self.told if m["type"] == "tracks"]
        last_second = [m for m in told if told[-1]["pts"] - m["pts"] <= CLOCK_HZ]
        if not told or told[-1]["pts"] - last_second[0]["pts"] < 0.8 * CLOCK_HZ:
            return set()
        live = [{t["id"] for t in m["tracks"] if t["state"] == "live" and t.get("mask")} for m in last_second]
        return set.intersection(*live)

    def told_at(self, frame: Message) -> list[list[Message]]:
        """What the page was told of a frame, newest first: one that is looked at again is told again."""
        told = [
            m for m in self.told if m["type"] == "tracks" and (m["epoch"], m["rtp"]) == (frame["epoch"], frame["rtp"])
        ]
        return [[track for track in m["tracks"] if track.get("mask")] for m in reversed(told)]

    def question(self, text: str) -> Message:
        return next(m for m in reversed(self.told) if m["type"] == "question" and m["text"] == text)

    def asked(self, words: str) -> list[Message]:
        """The requests whose last message has these words, oldest first."""
        bodies = [entry["body"] for entry in self.vlm.requests]
        return [body for body in bodies if any(words in text for text in texts(last(body)))]


def last(body: Message) -> Message:
    message: Message = body["messages"][-1]
    return message if isinstance(message["content"], list) else {"content": []}


@pytest.fixture(scope="module")
def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory, model_store: ModelStore) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    with scripted_vlm() as vlm:
        vlm.script(*PROBES)
        with onlooker_demo(folder, model_store, vlm.url, vlm__describe="false") as url:
            page = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark").new_page()
            demo = Demo(page, vlm)
            page.goto(url)
            wait_for_picture(page)
            expect(page.locator("#ask-who")).to_have_text(MODEL, timeout=WAIT_S * 1000)
            demo.until(lambda: len(demo.people()) >= 2, "two people are followed")
            yield demo
            page.context.close()


@pytest.fixture(autouse=True)
def quiet(demo: Demo, faults: Faults) -> Iterator[None]:
    """Each test begins with no request noted and ends without a complaint of the browser."""
    demo.vlm.forget()
    faults.watch(demo.page)
    yield
    assert faults.seen == []


@pytest.fixture(scope="module")
def clip() -> list[U8]:
    """The demo clip's pictures, BGR, as they are decoded here."""
    with av.open(str(demo_source().path)) as container:
        return [np.asarray(picture.to_ndarray(format="bgr24")) for picture in container.decode(video=0)]


def nearest(clip: list[U8], picture: U8) -> U8:
    """The picture of the clip that a marked one was made from."""

    def small(image: U8) -> NDArray[np.int16]:
        return cv2.resize(image, (96, 72), interpolation=cv2.INTER_AREA).astype(np.int16)

    wanted = small(picture)
    return min(clip, key=lambda image: int(np.abs(small(image) - wanted).sum()))


def full_mask(track: Message) -> U8:
    """`(576, 768)` uint8 of 0 and 1."""
    mask = cpu.rle_decode(tuple(track["mask"]["size"]), track["mask"]["counts"])
    return np.asarray(cv2.resize(mask, SIZE, interpolation=cv2.INTER_NEAREST), np.uint8)


def middle(mask: U8) -> tuple[int, int]:
    """The place inside a mask that is farthest from its border."""
    _, _, _, (x, y) = cv2.minMaxLoc(cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 3))
    return int(x), int(y)


def assert_marked(picture: U8, clean: U8, tracks: list[Message]) -> None:
    """Ink lies on the contour and the middle of every track, and nowhere else."""
    ink = np.abs(picture.astype(np.int16) - clean).max(axis=2) > MARKED
    allowed = np.zeros(ink.shape, bool)
    for track in tracks:
        mask = full_mask(track)
        rim = (cv2.dilate(mask, np.ones((9, 9))) > 0) & (cv2.erode(mask, np.ones((9, 9))) == 0)
        assert ink[rim].sum() > np.sqrt(mask.sum()), f"a contour round #{track['id']}"
        x, y = middle(mask)
        box = picture[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7]
        assert box.max() > 200, "white on"
        assert box.min() < 50, f"black in the middle of #{track['id']}"
        allowed |= rim
        allowed[max(0, y - 20) : y + 21, max(0, x - 24) : x + 25] = True
    assert (ink & ~allowed).sum() < 0.02 * ink.sum(), "no ink elsewhere"


def is_marked(picture: U8, clean: U8, tracks: list[Message]) -> bool:
    with contextlib.suppress(AssertionError):
        assert_marked(picture, clean, tracks)
        return True
    return False


def is_table(rows: dict[int, list[int]], tracks: list[Message]) -> bool:
    """Whether `rows`, `(y0, x0, y1, x1)` by id in thousandths of the picture, are all these tracks."""
    boxes = {track["id"]: 1000 * np.array(track["box_xyxy"])[[1, 0, 3, 2]] for track in tracks}
    return set(rows) == set(boxes) and all(np.abs(box - rows[number]).max() < 1 for number, box in boxes.items())


def test_a_question_streams_links_and_is_sent_with_the_people_marked(demo: Demo, clip: list[U8]) -> None:
    tokens = ["Someone ", "walks: ", "[#<1>]", *[" word"] * 20]
    reply: dict[str, Any] = {"reading": IN_TABLE, "tokens": tokens, "every_s": 0.1}
    demo.vlm.script(reply)
    demo.until(lambda: len(demo.people()) >= 2, "two people are followed")
    turn = demo.ask("Who is walking there?")
    expect(turn.locator(".said")).to_contain_text("Someone walks")
    expect(turn).to_have_attribute("data-state", "open")
    link = turn.locator(".object-link")
    number = int(link.inner_text().removeprefix("#"))
    expect(turn).to_have_attribute("data-state", "done")
    link.hover()
    row = item(demo.page, number)
    demo.until(
        lambda: row.count() == 0 or "marked" in (row.get_attribute("class") or ""), "it is shown, if still there"
    )
    (body,) = demo.asked("Who is walking there?")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    (marked,) = images(last(body))
    assert marked.shape == (SIZE[1], SIZE[0], 3)
    table = next(text for text in texts(last(body)) if text.startswith("Tracks"))
    rows = {int(row[1]): json.loads(row[2]) for row in re.finditer(IN_TABLE + r"_2d (\[[\d, ]+\])", table)}
    assert number in rows
    told = demo.told_at(demo.question("Who is walking there?")["frame"])
    known = [tracks for tracks in told if is_table(rows, tracks)]
    assert known, f"{rows} is not what the page was told: {told}"
    clean = nearest(clip, marked)
    assert_marked(marked, clean, next((tracks for tracks in known if is_marked(marked, clean, tracks)), known[0]))
    assert texts(last(body))[-1] == "Who is walking there?"


def test_an_answer_is_stopped_and_the_model_with_it(demo: Demo) -> None:
    demo.vlm.script({"tokens": ["word "] * 400, "every_s": 0.05})
    turn = demo.ask("Tell me a long story")
    expect(turn.locator(".said")).to_contain_text("word word")
    demo.page.get_by_role("button", name="Stop the answer").click()
    expect(turn).to_have_attribute("data-state", "stopped")
    demo.until(lambda: demo.vlm.requests[0]["gone"], "the server was hung up on")


def test_a_follow_up_and_one_person_explained_by_a_clean_crop(demo: Demo, clip: list[U8]) -> None:
    demo.vlm.script({"tokens": ["A yard."]}, {"tokens": ["Grey."]}, {"tokens": ["A walker."]})
    expect(demo.ask("What place is this?").locator(".said")).to_have_text("A yard.")
    expect(demo.ask("Which colour is the ground?").locator(".said")).to_have_text("Grey.")
    demo.page.locator("#objects .object[data-state='live']").first.get_by_role("button", name="More about").click()
    demo.page.get_by_role("button", name="Explain this").click()
    explained = demo.page.locator(".turn").last
    expect(explained.locator(".said")).to_have_text("A walker.")
    (follow_up,) = demo.asked("Which colour is the ground?")
    said = [message["content"] for message in follow_up["messages"][1:-1]]
    assert said[-2:] == ["What place is this?", "A yard."]
    (body,) = demo.asked("The question is about")
    about = int(re.search(r"about #(\d+) alone", "\n".join(texts(last(body))))[1])  # type: ignore[index]
    marked, crop = images(last(body))
    clean = nearest(clip, marked)
    # The crop is a piece of the unmarked picture.
    found = cv2.minMaxLoc(cv2.matchTemplate(clean, crop, cv2.TM_CCOEFF_NORMED))
    assert found[1] > 0.98
    question = next(m for m in reversed(demo.told) if m["type"] == "question" and about in m["track_ids"])
    told = demo.told_at(question["frame"])
    assert told
    here = [middle(full_mask(track)) for tracks in told for track in tracks if track["id"] == about]
    left, top = found[3]
    inside = [left <= x < left + crop.shape[1] and top <= y < top + crop.shape[0] for x, y in here]
    assert any(inside) or not here, "the crop is of another place"


def test_what_happened_is_asked_with_the_pictures_and_events_of_before(demo: Demo, clip: list[U8]) -> None:
    demo.vlm.script({"tokens": ["Some walked by."]})
    turn = demo.ask("What happened in the last minute?")
    expect(turn.locator(".said")).to_have_text("Some walked by.")
    (body,) = demo.asked("What happened in the last minute?")
    message = last(body)
    pictures, said = images(message), texts(message)
    assert 3 <= len(pictures) <= 7
    numbers = [clip_index(clip, picture) for picture in pictures]
    ages = [int(text[:2]) * 60 + int(text[3:5]) for text in said if re.fullmatch(r"\d\d:\d\d ago:", text)]
    assert ages == sorted(ages, reverse=True)
    assert len(ages) == len(pictures) - 1, "all but the present one"
    steps = [(later - earlier) % len(clip) for earlier, later in pairwise(numbers)]
    assert all(steps)
    assert abs(sum(steps) / CLIP_FPS - ages[0]) < 3, "they are as old as is said, in the order of the clip"
    assert said[0].startswith("What happened so far:")
    assert re.search(r"-\d+ s: .*\[#\d+\]", said[0])
    kinds = [part["type"] for part in message["content"]]
    assert kinds[0] == "text", "events first"
    assert kinds[-3:] == ["image_url", "text", "text"], "the present picture, the tracks, the question"


def clip_index(clip: list[U8], picture: U8) -> int:
    found = nearest(clip, picture)
    return next(index for index, image in enumerate(clip) if image is found)


def test_a_watch_that_the_model_decides_becomes_an_alert(demo: Demo) -> None:
    verdict = '{"verdict": "yes", "ids": [<1>], "reason": "holds a phone", "severity": "critical"}'
    reply = {"reading": r"reports: In the picture: person \[#(\d+)", "tokens": [verdict]}
    demo.vlm.script(reply, reply, reply)
    demo.ask("tell me when someone uses a phone")
    watch = demo.page.locator("#watches .watch")
    expect(watch).to_have_text("someone uses a phone")
    alert = demo.page.locator(".talk .alert")
    expect(alert).to_contain_text("someone uses a phone: holds a phone", timeout=WAIT_S * 1000)
    expect(alert).to_have_attribute("data-severity", "critical")
    expect(demo.page.locator(".mark[data-kind='alert']").first).to_be_attached()
    body = demo.asked("Someone wants to be told")[0]
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["verdict", "ids", "reason", "severity"]
    assert len(images(last(body))) >= 2, "pictures from before, and the present one"
    told = next(m["event"] for m in demo.told if m["type"] == "event" and m["event"]["kind"] == "alert")
    assert told["evidence"]["model"] == MODEL
    assert told["evidence"]["prompt"] == "someone uses a phone"
    assert f"[#{told['track_ids'][0]}]" in texts(last(body))[-1]
    watch.click()
    demo.page.get_by_role("dialog", name="Watch").get_by_role("button", name="Remove").click()
    expect(demo.page.locator("#watches")).to_be_hidden()


def test_a_phrase_that_says_which_is_chosen_by_the_model(demo: Demo, clip: list[U8]) -> None:
    demo.vlm.script({"reading": r"Which of the objects (\d+)", "tokens": ['{"ids": [<1>]}']})
    field = demo.page.get_by_role("combobox", name="Track a thing by its name")
    field.fill("the person in a red jacket")
    field.press("Enter")
    chip = demo.page.locator("#chips .chip", has_text="the person in a red jacket")
    took = re.compile(r"The model took #\d+(, #\d+)* for “the person in a red jacket”")
    expect(chip).to_have_attribute("title", took, timeout=WAIT_S * 1000)
    expect(demo.page.locator(".toast", has_text=took).first).to_be_attached()
    body = demo.asked("Which of the objects")[0]
    numbers = re.search(r"Which of the objects ([\d, ]+) are", texts(last(body))[-1])
    assert numbers is not None
    candidates = {int(number) for number in numbers[1].split(",")}
    (marked,) = images(last(body))
    clean = nearest(clip, marked)
    ink = np.abs(marked.astype(np.int16) - clean).max(axis=2) > MARKED
    assert ink.sum() > 100 * len(candidates), "the candidates are marked"
    assert body["response_format"]["json_schema"]["schema"]["required"] == ["ids"]
    chip.get_by_role("button").click()
    expect(chip).to_have_count(0)
