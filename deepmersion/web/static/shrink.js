/** Photos made smaller before they are sent: cameras' 108 megapixels, and formats only the browser reads. */

import { IS_LOCAL } from "./server.js";

/** Longest side that is sent, in pixels. The networks look at 224 to 448 of them. */
const SENT_SIDE = 1280;

/** Bytes of a file that is sent as it is, without waiting until it is decoded. */
const SMALL_BYTES = 2 ** 20;

/**
 * Bytes of a JPEG that a server on this machine gets as it is: it decodes it at an eighth of its size,
 * sooner than a browser makes it smaller.
 */
const LOCAL_JPEG_BYTES = 2 ** 22;

const JPEG_QUALITY = 0.92;

/** What servers read as it is; anything else that the browser reads is sent as a JPEG. */
const COMMON = new Set(["image/jpeg", "image/png", "image/webp"]);

/**
 * Return a photo's pixels upright, or null where the browser cannot read it; the server may.
 * @param {Blob} photo
 * @returns {Promise<ImageBitmap | null>}
 */
export const pixels = (photo) => createImageBitmap(photo).catch(() => null);

/**
 * Return a photo as it is sent.
 * @param {Blob} photo
 * @param {Promise<ImageBitmap | null>} decoding - Its pixels.
 * @returns {Promise<Blob>} The photo itself when it is small, or the browser cannot read it.
 */
export async function shrunk(photo, decoding) {
  const isLight = IS_LOCAL && photo.type === "image/jpeg";
  if (photo.size <= (isLight ? LOCAL_JPEG_BYTES : SMALL_BYTES) && COMMON.has(photo.type)) return photo;
  const image = await decoding;
  if (!image) return photo;
  return (await jpeg(image, Math.min(1, SENT_SIDE / Math.max(image.width, image.height)))) ?? photo;
}

/**
 * Return a picture as a JPEG.
 * @param {CanvasImageSource & {width: number, height: number}} image
 * @param {number} scale
 * @returns {Promise<Blob | null>}
 */
export function jpeg(image, scale = 1) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d", { alpha: false });
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#7f7f7f"; // where a picture is transparent, as the server has it
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}
