/** The photo on the stage, and where in it a sound comes from. */
import { $ } from "./dom.js";

/** Longest side of what is shown, in pixels. */
const SHOWN_SIDE = 1600;

/** Longest side of what fills the space beside a photo: so few pixels are blurred by being stretched. */
const BEHIND_SIDE = 24;
const BEHIND_SHADE = "rgb(0 0 0 / 30%)";

/** A photo that would lose more than this share of itself is shown whole instead. */
const CROPPED_SHARE = 0.32;

/** How dark it gets where a sound does not come from. */
const SHADE = 0.78;
const SHADE_RGB = [9, 16, 14];

const LAYERS = ["photo", "heat"];

/** @param {HTMLCanvasElement} canvas */
function draw(canvas, image, side) {
  const scale = Math.min(1, side / Math.max(image.width, image.height));
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
}

function darken(canvas) {
  const context = canvas.getContext("2d");
  context.fillStyle = BEHIND_SHADE;
  context.fillRect(0, 0, canvas.width, canvas.height);
}

/** Fill the stage with the photo, or show all of it where too much would be lost. */
function fit() {
  const { width, height } = $("photo");
  const { clientWidth, clientHeight } = $("stage");
  const [a, b] = [width / height, clientWidth / clientHeight];
  const whole = Math.min(a, b) / Math.max(a, b) < 1 - CROPPED_SHARE;
  for (const layer of LAYERS) $(layer).classList.toggle("whole", whole);
}

new ResizeObserver(fit).observe($("stage"));

/**
 * Show a photo, or the hills where there is none.
 * @param {ImageBitmap | null} image
 */
export function show(image) {
  shade(null);
  for (const layer of ["photo", "behind"]) $(layer).hidden = !image;
  if (!image) return;
  draw($("photo"), image, SHOWN_SIDE);
  draw($("behind"), image, BEHIND_SIDE);
  darken($("behind"));
  fit();
}

/**
 * Darken the photo where a sound does not come from; not at all without a map.
 * @param {number[][] | null} map - Over the whole photo, row by row, from 0 to 1.
 * @param {string} [words] - What is shown there.
 */
export function shade(map, words = "") {
  $("heat").hidden = $("heat-words").hidden = !map;
  if (!map) return;
  const [rows, columns] = [map.length, map[0].length];
  const small = new ImageData(columns, rows);
  map.flat().forEach((value, i) => {
    small.data.set([...SHADE_RGB, Math.round(255 * SHADE * (1 - value))], 4 * i);
  });
  const source = new OffscreenCanvas(columns, rows);
  source.getContext("2d").putImageData(small, 0, 0);
  const heat = $("heat");
  heat.width = Math.max(1, Math.round($("photo").width / 4));
  heat.height = Math.max(1, Math.round($("photo").height / 4));
  const context = heat.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, heat.width, heat.height);
  $("heat-words").textContent = words;
}
