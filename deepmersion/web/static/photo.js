/** Ways in for a photo: dropped, chosen, pasted, or taken with the camera. */
import { Trouble } from "./server.js";

const $ = (id) => document.getElementById(id);

/** Longest side of what is shown, in pixels. */
const SHOWN_SIDE = 1600;

const JPEG_QUALITY = 0.92;

/**
 * Listen for photos.
 * @param {(photo: Blob) => void} onPhoto
 * @param {(error: Error) => void} onTrouble
 */
export function listen(onPhoto, onTrouble) {
  const stage = $("stage");
  const take = (files) => {
    const photo = [...files].find((file) => file.type.startsWith("image/")) ?? files[0];
    if (photo) onPhoto(photo);
  };
  $("choose").addEventListener("click", () => $("file").click());
  for (const input of [$("file"), $("capture")]) {
    input.addEventListener("change", () => {
      take([...input.files]);
      input.value = "";
    });
  }
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    stage.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) stage.classList.remove("dragging");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    stage.classList.remove("dragging");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData.files));
  $("camera").addEventListener("click", async () => {
    // Browsers offer a live camera to safe addresses only; a phone's own camera goes everywhere.
    if (!navigator.mediaDevices) return $("capture").click();
    try {
      const photo = await viewfinder();
      if (photo) onPhoto(photo);
    } catch (error) {
      onTrouble(error);
    }
  });
}

/** Open the camera, or say in plain words why not. */
async function openCamera() {
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    throw new Trouble(denied ? "The browser was not allowed to use the camera." : "No camera was found.");
  }
}

function close(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** Return what a video shows just now as a JPEG. */
function picture(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY));
}

/** Let somebody aim and take a picture; null when they do not. */
async function viewfinder() {
  const stream = await openCamera();
  const dialog = $("viewfinder");
  const video = dialog.querySelector("video");
  video.srcObject = stream;
  try {
    const taken = await new Promise((resolve, reject) => {
      // It may be closed before there is a picture; pressed before that, the button takes the first one.
      const showing = video.play();
      showing.catch(reject);
      $("take").onclick = () => showing.then(() => resolve(true), reject);
      $("leave").onclick = () => resolve(false);
      dialog.addEventListener("close", () => resolve(false), { once: true });
      dialog.showModal();
    });
    return taken ? await picture(video) : null;
  } finally {
    close(stream);
    dialog.close();
  }
}

/**
 * Take a picture without asking; the camera is on for no longer than it takes.
 * @returns {Promise<Blob>}
 */
export async function snapshot() {
  if (!navigator.mediaDevices) throw new Trouble("Browsers offer the camera to pages on this machine only.");
  const stream = await openCamera();
  try {
    const video = document.createElement("video");
    video.muted = video.playsInline = true;
    video.srcObject = stream;
    await video.play();
    return await picture(video);
  } finally {
    close(stream);
  }
}

let latest = null;

/**
 * Show a photo on the stage, as far as the browser can, unless another has followed meanwhile.
 * @param {Blob} photo
 */
export async function show(photo) {
  latest = photo;
  const canvas = $("photo");
  const image = await createImageBitmap(photo).catch(() => null);
  if (photo !== latest) return image?.close();
  if (!image) {
    canvas.hidden = true; // the server may read what the browser cannot
    return;
  }
  const scale = Math.min(1, SHOWN_SIDE / Math.max(image.width, image.height));
  canvas.width = Math.round(image.width * scale);
  canvas.height = Math.round(image.height * scale);
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  image.close();
  canvas.hidden = false;
}
