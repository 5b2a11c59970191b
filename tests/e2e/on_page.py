"""What a person does on the page and sees there, in terms of the picture."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

# Two cores may be shared with a browser that draws without a GPU and with other tests.
expect.set_options(timeout=15_000)

PIXEL = """([x, y]) => {
  const scene = document.querySelector("#scene");
  return [...scene.getContext("2d").getImageData(x * scene.width, y * scene.height, 1, 1).data.slice(0, 3)];
}"""
RECORD = """() => {
  window.drawn = [];
  document.addEventListener("onlooker:drawn", (event) => window.drawn.push(event.detail));
}"""


def spot(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the picture, `x` and `y` in [0, 1], on the screen."""
    box = page.locator("#scene").bounding_box()
    assert box is not None
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def click(page: Page, x: float, y: float, *modifiers: str) -> None:
    for key in modifiers:
        page.keyboard.down(key)
    page.mouse.click(*spot(page, x, y))
    for key in modifiers:
        page.keyboard.up(key)


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*spot(page, *start))
    page.mouse.down()
    page.mouse.move(*spot(page, *end), steps=5)
    page.mouse.up()


def item(page: Page, track_id: int) -> Locator:
    return page.locator(f'#objects [data-id="{track_id}"]')


def tint(page: Page, x: float, y: float) -> int:
    """How coloured the picture is at a place: the webcam's clip is grey, so that any colour is an overlay's."""
    colours: list[int] = page.evaluate(PIXEL, [x, y])
    return max(colours) - min(colours)


def wait_for_tint(page: Page, x: float, y: float, *, coloured: bool) -> None:
    page.wait_for_function(
        f"([x, y, coloured]) => {{ const p = ({PIXEL})([x, y]);"
        " return (Math.max(...p) - Math.min(...p) > 12) === coloured; }",
        arg=[x, y, coloured],
    )


def wait_for_picture(page: Page) -> None:
    """Until a frame with its own overlay, or at least its own empty result, has been drawn."""
    expect(page.locator("#status-sync")).to_have_text("exact")


def use_webcam(page: Page, url: str) -> None:
    page.goto(url)
    page.get_by_role("button", name="Use my webcam").first.click()
    expect(page.locator("#start")).to_be_hidden()
    wait_for_picture(page)


def drawn(page: Page) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = page.evaluate("() => window.drawn")
    return events
