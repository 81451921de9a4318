/** The page: a photo goes to the server, what it answers is shown, and the mix is played. */
import { Bank } from "./bank.js";
import { mediaKeys, paint, say, sliders, tabs, transport } from "./controls.js";
import * as mixes from "./mix.js";
import { listen, show } from "./photo.js";
import { Player } from "./player.js";
import { because, element, showReasons, showSeen } from "./seen.js";
import * as server from "./server.js";
import { live, save, timer } from "./tools.js";

const $ = (id) => document.getElementById(id);

/** Rate of the shipped sounds, so that none is resampled when it is decoded. */
const SAMPLE_RATE = 44100;

const N_ALTERNATIVES = 4;

/** The page's state. */
const state = {
  /** @type {Blob | null} */ photo: null,
  /** @type {object | null} What was answered for it. */ record: null,
  /** @type {import("./mix.js").Mix} What plays. */ mix: new Map(),
  /** Which of the record's mixes that is, or -1. */ chosen: -1,
  /** @type {AbortController | null} */ asking: null,
};

/** @type {Player} */
export let player;
/** @type {Bank} */
let bank;
let showSliders, announce;

const mixOf = (match) => new Map(Object.entries(match.sounds));

function trouble(error) {
  say(error instanceof server.Trouble ? error.message : "Something went wrong in the page. Load it again.");
  if (!(error instanceof server.Trouble)) console.error(error);
}

/**
 * Play a mix, and say so.
 * @param {import("./mix.js").Mix} mix
 * @param {string} why
 * @param {{touched?: boolean, rebase?: boolean, live?: boolean}} how - Whether a slider is being
 *   moved, whether the mix is to have the common loudness, and whether the camera asked for it:
 *   then what was paused, or ended by the timer, stays so.
 */
async function play(mix, why, { touched = false, rebase = false, live = false } = {}) {
  const paused = state.mix.size > 0 && !player.playing;
  state.mix = mix;
  mixes.putInAddress(mix);
  const words = mixes.inWords(mix, bank.sounds);
  $("words").textContent = words;
  const blocked = player.context.state !== "running" && !navigator.userActivation?.hasBeenActive;
  $("why").textContent = blocked ? `${why} Press play to hear it.` : why;
  if (!touched) showSliders(mix);
  document.title = `${words} · deepmersion`;
  announce(words);
  if (!touched) $("status").textContent = `${words}. ${$("why").textContent}`;
  try {
    const changing = player.setMix(mix, { touched, rebase });
    if (!(live && paused)) player.play();
    await changing;
  } catch (error) {
    trouble(error);
  }
}

/** Choose one of the mixes that were answered, or the first one for the live camera. */
function choose(rank, live = false) {
  const first = state.record.matches[0];
  const match = state.record.matches[rank];
  state.chosen = rank;
  showAlternatives();
  const behind = (match.score - first.score).toFixed(1);
  const chatter = $("chatter-on").checked;
  const why = rank === 0 ? because(state.record, chatter)
    : chatter ? "One of the mixes that fit best."
    : Number(behind) ? `Fits less well: ${behind} nats behind the first mix.` : "Fits as well as the first mix.";
  return play(mixOf(match), why, { rebase: true, live });
}

/** Show the mixes that do not play. The focus stays where it was. */
function showAlternatives() {
  if (!state.record) return;
  const group = $("alternatives");
  const focused = [...group.children].indexOf(document.activeElement);
  const ranks = [...state.record.matches.keys()].filter((rank) => rank !== state.chosen);
  group.replaceChildren(...ranks.slice(0, N_ALTERNATIVES).map((rank) => {
    const words = mixes.inWords(mixOf(state.record.matches[rank]), bank.sounds);
    const button = element("button", { type: "button" }, element("span", {}, words));
    button.addEventListener("click", () => choose(rank));
    return button;
  }));
  group.children[focused]?.focus();
}

function wanted() {
  const use = ["objects", "scenes"].filter((name) => $(`use-${name}`).checked).join(",");
  const chatter = $("chatter-on").checked ? Number($("chatter").value) : null;
  return { use, chatter, top: 1 + N_ALTERNATIVES };
}

/**
 * Ask for the mixes of the photo, and play the first.
 * @param {boolean} live - Whether the camera asked for it: what plays goes on as long as the first
 *   mix stays the same.
 */
async function look(live = false) {
  state.asking?.abort();
  const asking = (state.asking = new AbortController());
  document.body.dataset.state = "busy";
  $("working").hidden = false;
  try {
    const record = await server.match(state.photo, wanted(), asking.signal);
    const first = (some) => some && mixes.toText(mixOf(some.matches[0]));
    const same = first(record) === first(state.record);
    state.record = record;
    say("");
    showSeen(record);
    showReasons(record, $("chatter-on").checked);
    settle();
    if (live && same) showAlternatives();
    else await choose(0, live);
  } catch (error) {
    if (error.name !== "AbortError") trouble(error);
  } finally {
    if (state.asking === asking) settle();
  }
}

/** Show that the networks are idle. */
function settle() {
  $("working").hidden = true;
  document.body.dataset.state = state.record || state.mix.size ? "ready" : "empty";
}

/**
 * @param {Blob} photo
 * @param {boolean} live - Whether it came by itself.
 */
async function take(photo, live = false) {
  performance.mark("photo");
  state.photo = photo;
  document.body.dataset.state = "busy";
  $("working").hidden = false;
  show(photo);
  await look(live);
}

/** Play what the address says, if it says something. */
function playAddress() {
  const text = mixes.inAddress();
  if (text === null || text === mixes.toText(state.mix)) return;
  try {
    const mix = mixes.fromText(text, bank.names);
    state.chosen = -1;
    showAlternatives();
    document.body.dataset.state = "ready";
    const why = "The mix in this page’s address.";
    play(mix, state.record ? why : `${why} Add a photo to see what else fits.`);
  } catch (error) {
    say(error.message);
  }
}

/** Choose the next or the previous of the mixes. */
function step(by) {
  const n = state.record?.matches.length;
  if (n) choose((Math.max(0, state.chosen) + by + n) % n);
}

/** Show what can be set: something of a photo has to count. */
function showSettings() {
  paint($("chatter"));
  $("chatter").disabled = !$("chatter-on").checked;
  $("use-objects").disabled = !$("use-scenes").checked;
  $("use-scenes").disabled = !$("use-objects").checked;
}

/** Let the photo be looked at again, with what was set anew. */
function again() {
  showSettings();
  if (state.photo) look();
}

function listenToControls() {
  $("randomise").addEventListener("click", () => {
    state.chosen = -1;
    showAlternatives();
    play(mixes.random(bank.names), "Drawn at random.", { rebase: true });
  });
  for (const id of ["use-objects", "use-scenes", "chatter-on", "chatter"]) {
    $(id).addEventListener("change", again);
  }
  $("chatter").addEventListener("input", () => paint($("chatter")));
  addEventListener("hashchange", playAddress);
  // Browsers let a page be heard only after somebody has touched it.
  for (const gesture of ["pointerdown", "keydown"]) {
    document.addEventListener(gesture, ({ target }) => {
      // The play button does so itself, and must not find it done.
      if (player.playing && !target.closest("#play")) player.context.resume();
    });
  }
}

async function begin() {
  tabs();
  const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: "playback" });
  try {
    bank = new Bank(context, await server.sounds());
  } catch (error) {
    return trouble(error);
  }
  player = new Player(context, bank);
  player.addEventListener("trouble", ({ detail }) => trouble(detail));
  context.addEventListener("statechange", () => player.changed());
  announce = mediaKeys(player, step);
  showSliders = sliders(bank.sounds, (mix) => {
    if (state.chosen !== -1) {
      state.chosen = -1;
      showAlternatives();
    }
    play(mix, "Set by hand.", { touched: true });
  });
  transport(player);
  listen(take, trouble);
  timer(player);
  live(take, trouble);
  save(() => mixes.toText(state.mix), trouble);
  listenToControls();
  showSettings();
  playAddress();
}

export const ready = begin();
