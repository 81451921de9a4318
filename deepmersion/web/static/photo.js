/** Ways in for a photo: dropped, chosen, pasted, or taken with the camera. */
import { $ } from "./dom.js";
import { Trouble } from "./server.js";

/** Fingers, not a mouse: a phone has a camera at hand, and nothing is dropped on it. */
const TOUCH = matchMedia("(hover: none) and (pointer: coarse)");

const JPEG_QUALITY = 0.92;

/**
 * Listen for photos.
 * @param {(photo: Blob) => void} onPhoto
 * @param {(error: Error) => void} onTrouble
 */
export function listen(onPhoto, onTrouble) {
  const stage = $("stage");
  if (TOUCH.matches) {
    $("sources").prepend($("camera"));
    $("camera").classList.add("primary");
    $("choose").classList.remove("primary");
    $("camera-words").textContent = "Take a photo";
  }
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
    // A phone's own camera is the better one, and browsers offer a live one to safe addresses only.
    if (TOUCH.matches || !navigator.mediaDevices) return $("capture").click();
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
