import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMask, decodeRuns } from "../../web/static/rle.js";
import { outlines } from "../../web/static/contour.js";

/** COCO's compression, written down from its definition and not from the decoder. */
function encode(runs) {
  let text = "";
  runs.forEach((run, i) => {
    let value = i > 2 ? run - runs[i - 2] : run;
    for (let more = true; more; ) {
      let code = value & 0x1f;
      value >>= 5;
      more = code & 0x10 ? value !== -1 : value !== 0;
      text += String.fromCharCode((more ? code | 0x20 : code) + 48);
    }
  });
  return text;
}

/** Runs of a mask given as rows. */
function runsOf(rows) {
  const [height, width] = [rows.length, rows[0].length];
  const cells = Array.from({ length: height * width }, (_, i) => Number(rows[i % height][Math.floor(i / height)]));
  const runs = [];
  let value = 0;
  let length = 0;
  for (const cell of cells) {
    if (cell !== value) {
      runs.push(length);
      [value, length] = [cell, 0];
    }
    length += 1;
  }
  return [...runs, length];
}

function rowsOf(mask, height, width) {
  const rows = Array.from({ length: height }, () => Array(width).fill("0"));
  for (let x = 1; x < mask.columns - 1; x++) {
    for (let y = 1; y < mask.rows - 1; y++) {
      if (mask.cells[x * mask.rows + y]) rows[mask.y + y - 1][mask.x + x - 1] = "1";
    }
  }
  return rows.map((row) => row.join(""));
}

/** Signed area of closed outlines, in cells. */
function area(lines, height, width) {
  let sum = 0;
  for (const line of lines) {
    for (let i = 0; i < line.length; i += 2) {
      const j = (i + 2) % line.length;
      sum += (line[i] * line[j + 1] - line[j] * line[i + 1]) / 2;
    }
  }
  return sum * height * width;
}

function disc(size, radius, hole = 0) {
  return Array.from({ length: size }, (_, y) =>
    Array.from({ length: size }, (_, x) => {
      const distance = Math.hypot(x - size / 2 + 0.5, y - size / 2 + 0.5);
      return distance <= radius && distance > hole ? "1" : "0";
    }).join(""),
  );
}

test("a string of pycocotools gives its runs", () => {
  // pycocotools' own string for runs 3, 4, 5, 1000, 1: the last two are coded as differences.
  assert.deepEqual(decodeRuns(encode([3, 4, 5, 1000, 1])), [3, 4, 5, 1000, 1]);
  assert.deepEqual(decodeRuns("52203"), [5, 2, 2, 2, 5]);
});

test("masks of every shape come back cell by cell", () => {
  const masks = [
    ["1"],
    ["010", "111", "010"],
    ["1111", "1001", "1111"],
    ["0000", "0110", "0110", "0000"],
    ["10", "01"],
    ["11111", "00000", "11111"],
    disc(40, 15, 6),
  ];
  for (const rows of masks) {
    const [height, width] = [rows.length, rows[0].length];
    const mask = decodeMask([height, width], encode(runsOf(rows)));
    assert.deepEqual(rowsOf(mask, height, width), rows);
  }
});

test("a mask that touches every column end to end stays in its columns", () => {
  const rows = ["0011", "0111", "1110"];
  const mask = decodeMask([3, 4], encode(runsOf(rows)));
  assert.deepEqual(rowsOf(mask, 3, 4), rows);
});

test("an empty mask is null", () => {
  assert.equal(decodeMask([4, 4], encode([16])), null);
});

test("broken strings are refused, never looped over", () => {
  for (const counts of ["o", "ooooooooooo", "\u0000", "é", encode([3, 9999])]) {
    assert.throws(() => decodeMask([4, 4], counts), RangeError, JSON.stringify(counts));
  }
});

test("the outline of a disc keeps its area and is round", () => {
  const size = [80, 80];
  const mask = decodeMask(size, encode(runsOf(disc(80, 25))));
  const lines = outlines(mask, size);
  assert.equal(lines.length, 1);
  const expected = Math.PI * 25 ** 2;
  assert.ok(Math.abs(area(lines, 80, 80) - expected) < 0.03 * expected);
  const radii = [];
  for (let i = 0; i < lines[0].length; i += 2) radii.push(Math.hypot(lines[0][i] * 80 - 40, lines[0][i + 1] * 80 - 40));
  assert.ok(Math.max(...radii) - Math.min(...radii) < 1.2);
});

test("a hole is an outline of its own that runs the other way", () => {
  const size = [80, 80];
  const lines = outlines(decodeMask(size, encode(runsOf(disc(80, 25, 10)))), size);
  assert.equal(lines.length, 2);
  const areas = lines.map((line) => Math.sign(area([line], 80, 80)));
  assert.deepEqual(areas.sort(), [-1, 1]);
});

test("cells that touch at a corner become outlines of their own", () => {
  const rows = ["1100", "1100", "0011", "0011"];
  const lines = outlines(decodeMask([4, 4], encode(runsOf(rows))), [4, 4]);
  assert.equal(lines.length, 2);
});
