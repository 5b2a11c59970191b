// Runs in the page under test: at each drawn frame, live or of a clip, reads the number in the composited canvas and
// notes it beside the number that the overlay belongs to.
window.drawn = [];
window.clipDrawn = [];
window.numberIn = (canvas) => {
  const context = canvas.getContext("2d");
  const half = (canvas.height * 32) / 720;
  const code = context.getImageData(0, Math.floor(half / 2), canvas.width, 1).data;
  const inverse = context.getImageData(0, Math.floor(half * 1.5), canvas.width, 1).data;
  let number = 0;
  for (let bit = 0; bit < 16; bit++) {
    const green = Math.floor(((bit + 0.5) * canvas.width) / 16) * 4 + 1;
    const difference = code[green] - inverse[green];
    if (Math.abs(difference) < 50) return null;
    if (difference > 0) number += 1 << bit;
  }
  return number;
};
document.addEventListener("onlooker:drawn", (event) => {
  const scene = event.target;
  const { label, rtp, epoch, synced, repeated } = event.detail;
  if (repeated || !scene.width) return;
  window.drawn.push({
    number: window.numberIn(scene),
    label, rtp, epoch, synced,
    at: performance.now(),
    stream: scene.closest("[data-id]")?.dataset.id ?? null,
    width: scene.parentElement.querySelector("video").videoWidth,
  });
});
document.addEventListener("onlooker:clip-drawn", (event) => {
  window.clipDrawn.push({ number: window.numberIn(document.querySelector(".clip-stage canvas")), ...event.detail });
});
