/** A picture for a mix that is kept without a photo: the page's hills, in colours of its own. */
import { jpeg } from "./shrink.js";

const [WIDTH, HEIGHT] = [640, 480];

/** Saturation and lightness of the sky above and below, then of the hills from far to near, in %. */
const SKY = [[30, 80], [55, 88]];
const HILLS = [[22, 66], [26, 52], [32, 36]];

/** Return a hue, in degrees, that a text always has. */
const hueOf = (text) => [...text].reduce((hue, letter) => (hue * 31 + letter.codePointAt(0)) % 360, 0);

/**
 * Draw the picture.
 * @param {string} mix - As text.
 * @returns {Promise<Blob>}
 */
export function landscape(mix) {
  const hue = hueOf(mix);
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT);
  const context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, 0, HEIGHT);
  SKY.forEach(([s, l], i) => sky.addColorStop(i, `hsl(${hue + 30 * i} ${s}% ${l}%)`));
  context.fillStyle = sky;
  context.fillRect(0, 0, WIDTH, HEIGHT);
  const hills = document.querySelectorAll(".hills path");
  context.translate(0, HEIGHT / 3);
  context.scale(WIDTH / 1200, HEIGHT / 540);
  hills.forEach((hill, i) => {
    const [s, l] = HILLS[i];
    context.fillStyle = `hsl(${hue} ${s}% ${l}%)`;
    context.fill(new Path2D(hill.getAttribute("d")));
  });
  return jpeg(canvas);
}
