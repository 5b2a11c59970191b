// Runs in the page under test: at each drawn frame, reads the number in the composited canvas and notes it beside the
// number that the overlay belongs to.
window.drawn = [];
const probe = new OffscreenCanvas(16, 2).getContext("2d", { willReadFrequently: true });
document.addEventListener("onlooker:drawn", (event) => {
  const scene = document.getElementById("scene");
  if (!scene.width) return;
  const half = (scene.height * 32) / 720;
  probe.imageSmoothingEnabled = false;
  // One pixel from the middle of each block, from the row of the code and from the row of its inverse.
  for (let bit = 0; bit < 16; bit++) {
    const x = ((bit + 0.5) * scene.width) / 16;
    probe.drawImage(scene, x, half / 2, 1, 1, bit, 0, 1, 1);
    probe.drawImage(scene, x, half * 1.5, 1, 1, bit, 1, 1, 1);
  }
  const { data } = probe.getImageData(0, 0, 16, 2);
  let number = 0;
  for (let bit = 0; bit < 16; bit++) {
    const upper = data[bit * 4 + 1];
    const lower = data[(16 + bit) * 4 + 1];
    if (Math.abs(upper - lower) < 50) number = NaN;
    else if (upper > lower) number += 1 << bit;
  }
  const { label, rtp, epoch, synced } = event.detail;
  window.drawn.push({ number: Number.isNaN(number) ? null : number, label, rtp, epoch, synced, at: performance.now(),
                      width: document.getElementById("video").videoWidth });
});
