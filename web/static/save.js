// Pictures to keep: the frame with its overlay, or one object cut out along its mask.
import { paint, paintPicture, pathOf } from "./paint.js";

/** @param {number} width @param {number} height */
function sheet(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser draws no canvas");
  return { canvas, context };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 */
function download(canvas, name) {
  canvas.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

/** A file name that sorts by time. */
function stamp() {
  return new Date().toISOString().slice(0, 19).replaceAll(":", "-");
}

/**
 * The picture on screen with its overlay, at its own size.
 * @param {import("./stage.js").Stage} stage
 */
export function saveSnapshot(stage) {
  const drawn = stage.drawn;
  if (!drawn?.shot.image) return false;
  const { canvas, context } = sheet(drawn.shot.width, drawn.shot.height);
  if (drawn.result) paint(context, stage.scene(drawn.shot.image, drawn.result), drawn.shot.width / 960);
  else paintPicture(context, drawn.shot.image, stage.look.mirrored());
  download(canvas, `onlooker-${stamp()}.png`);
  return true;
}

/**
 * One object of the picture on screen, everything else transparent.
 * @param {import("./stage.js").Stage} stage
 * @param {number} id
 */
export function saveCutOut(stage, id) {
  const drawn = stage.drawn;
  const outline = drawn?.result?.outlines.get(id);
  if (!drawn?.shot.image || !outline?.length) return false;
  const { width, height } = drawn.shot;
  const xs = outline.flatMap((line) => [...line].filter((_, i) => i % 2 === 0));
  const ys = outline.flatMap((line) => [...line].filter((_, i) => i % 2 === 1));
  const left = Math.max(0, Math.floor(Math.min(...xs) * width) - 1);
  const top = Math.max(0, Math.floor(Math.min(...ys) * height) - 1);
  const right = Math.min(width, Math.ceil(Math.max(...xs) * width) + 1);
  const bottom = Math.min(height, Math.ceil(Math.max(...ys) * height) + 1);
  const { canvas, context } = sheet(right - left, bottom - top);
  context.translate(-left, -top);
  context.clip(pathOf(outline, width, height), "evenodd");
  context.drawImage(drawn.shot.image, 0, 0, width, height);
  download(canvas, `onlooker-object-${id}-${stamp()}.png`);
  return true;
}
