// Runs in the page under test: at each drawn frame, reads the number in the composited canvas and notes it beside the
// number that the overlay belongs to.
window.drawn = [];
document.addEventListener("onlooker:drawn", (event) => {
  const scene = event.target;
  const { label, rtp, epoch, synced, repeated } = event.detail;
  if (repeated || !scene.width) return;
  const context = scene.getContext("2d");
  const half = (scene.height * 32) / 720;
  const code = context.getImageData(0, Math.floor(half / 2), scene.width, 1).data;
  const inverse = context.getImageData(0, Math.floor(half * 1.5), scene.width, 1).data;
  let number = 0;
  for (let bit = 0; bit < 16; bit++) {
    const green = Math.floor(((bit + 0.5) * scene.width) / 16) * 4 + 1;
    const difference = code[green] - inverse[green];
    if (Math.abs(difference) < 50) number = NaN;
    else if (difference > 0) number += 1 << bit;
  }
  window.drawn.push({
    number: Number.isNaN(number) ? null : number,
    label, rtp, epoch, synced,
    at: performance.now(),
    stream: scene.closest("[data-id]")?.dataset.id ?? null,
    width: scene.parentElement.querySelector("video").videoWidth,
  });
});
