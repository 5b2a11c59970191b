"""A browser that offers three sizes at once, as conference software does."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Served
from tests.e2e.on_page import click, item, use_webcam, wait_for_tint

THREE_SIZES = """
  const addTransceiver = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (track, init) {
    if (init.direction === "sendonly") {
      init.sendEncodings = [4, 2, 1].map((scale, at) => ({ rid: "qhf"[at], scaleResolutionDownBy: scale }));
    }
    const transceiver = addTransceiver.call(this, track, init);
    window.sender = transceiver.sender;
    return transceiver;
  };
"""
SENT = """async () => {
  const stats = [...(await window.sender.getStats()).values()];
  return stats.filter((one) => one.type === "outbound-rtp" && one.packetsSent > 0).length;
}"""


def test_one_of_three_sizes_is_sent_and_tracked(page: Page, served: Served) -> None:
    page.add_init_script(THREE_SIZES)
    use_webcam(page, served.url)
    click(page, 0.3, 0.6)
    expect(item(page, 1)).to_contain_text("thing")
    wait_for_tint(page, 0.3, 0.6, coloured=True)
    assert page.evaluate(SENT) == 1
