/** The page: a photo goes to the server, what it answers is shown, and the mix is played. */
import * as address from "./address.js";
import { Bank } from "./bank.js";
import { mediaKeys, openTab, paint, tabs, transport } from "./controls.js";
import { $, drawIcons, element, say, soundIcon, toast } from "./dom.js";
import * as following from "./following.js";
import { glow } from "./glow.js";
import { heat } from "./heat.js";
import { keepForm } from "./keep.js";
import { keys } from "./keys.js";
import * as mixes from "./mix.js";
import { mixer } from "./mixer.js";
import { NOTHING, inHistory, matched, mixOf, why } from "./moment.js";
import { listen } from "./photo.js";
import { Places } from "./places.js";
import { Player } from "./player.js";
import { ask, unask } from "./question.js";
import { showReasons } from "./reasons.js";
import { showSeen } from "./seen.js";
import * as server from "./server.js";
import { landscape } from "./landscape.js";
import { pixels, shrunk } from "./shrink.js";
import * as stage from "./stage.js";
import { examples, palette } from "./start.js";
import * as store from "./store.js";
import { timers } from "./timers.js";
import { live, save } from "./tools.js";
import { Undo } from "./undo.js";

/** @typedef {import("./moment.js").Moment} Moment */

/** Rate of the shipped sounds, so that none is resampled when it is decoded. */
const SAMPLE_RATE = 44100;

/**
 * Seconds of sound that the browser asks for at a time. By itself ("playback") Chromium takes half of
 * that, and wakes the processor twice as often for it; much more, and sliders answer late.
 */
const LATENCY_S = 0.05;

const N_ALTERNATIVES = 4;

/** A kept place is changed when a slider has come to rest. */
const KEEP_AFTER_MS = 800;

/** @type {Moment} What is shown. */
let now = NOTHING;
/** @type {Moment} What sounds: the same, unless a sound is still on its way, or was lost. */
let sounding = NOTHING;
/** @type {Undo<Moment>} */
const undo = new Undo();
/** @type {AbortController | null} */
let asking = null;

/** @type {Player} */
export let player;
/** @type {Bank} */
let bank;
/** @type {Places} */
let places;
let board, announce, unpoint;

function trouble(error) {
  say(error instanceof server.Trouble ? error.message : "Something went wrong in the page. Load it again.");
  if (!(error instanceof server.Trouble)) console.error(error);
}

/* What is shown */

/** What the photo on the stage is, and whose readings are shown. */
const shown = { picture: null, seen: null };

/** Show a moment: the photo, what is seen in it, and the mix. */
function show(moment, touched = false) {
  const { seen, mix } = moment;
  now = moment;
  const name = mixes.inWords(mix, bank.sounds);
  $("words").textContent = name;
  document.title = mix.size ? `${name} · deepmersion` : "deepmersion";
  announce(name);
  showWhy();
  if (!touched) board.show(mix);
  showReadings(seen);
  showPicture(moment);
  showAlternatives();
  $("keep").disabled = !mix.size;
  settle();
}

function showWhy() {
  const blocked = player.context.state !== "running" && !navigator.userActivation?.hasBeenActive;
  const text = why(now);
  $("why-text").textContent = blocked && now.mix.size ? `${text} Press play to hear it.` : text;
  $("anew").hidden = now.origin !== "place" || !now.seen;
}

/** Show what is seen in a photo, and why its first mix was chosen. */
function showReadings(seen) {
  if (seen === shown.seen) return;
  shown.seen = seen;
  unpoint();
  document.body.classList.toggle("with-photo", Boolean(seen));
  if (!seen) return;
  const { without } = seen.wanted;
  showSeen(seen.record, without, {
    strike: (label) => look({ without: [...without, label] }),
    putBack: (label) => look({ without: without.filter((other) => other !== label) }),
  });
  showReasons(seen.record, bank.sounds);
  showWanted(seen.wanted);
}

/** Show the photo, or the thumbnail of a kept place. */
async function showPicture({ seen, place }) {
  const picture = seen?.photo ?? place?.thumbnail ?? null;
  if (picture === shown.picture) return;
  shown.picture = picture;
  const blob = typeof picture === "string" ? await server.thumbnail(picture).catch(() => null) : picture;
  const image = blob && await pixels(blob);
  if (shown.picture === picture) stage.show(image);
  image?.close();
}

/** Show the other mixes that fit. The focus stays where it was. */
function showAlternatives() {
  const group = $("alternatives");
  const matches = now.seen?.record.matches ?? [];
  const playing = mixes.toText(now.mix);
  const ranks = [...matches.keys()]
    .filter((rank) => rank !== now.chosen && mixes.toText(mixOf(matches[rank])) !== playing)
    .slice(0, N_ALTERNATIVES);
  $("others").hidden = !ranks.length && now.origin !== "nothing";
  const focused = [...group.children].indexOf(document.activeElement);
  group.replaceChildren(...ranks.map((rank) => {
    const mix = mixOf(matches[rank]);
    const drawings = element("span", { className: "drawings" }, ...[...mix.keys()].slice(0, 2).map(soundIcon));
    const button = element("button", { type: "button" }, drawings, element("span", { className: "name" }, mixes.inWords(mix, bank.sounds)));
    button.addEventListener("click", () => choose(rank));
    return button;
  }));
  group.children[focused]?.focus();
}

/** Show that the networks are idle. */
function settle() {
  const focused = $("working").contains(document.activeElement);
  $("working").hidden = true;
  document.body.dataset.state = now.origin === "nothing" ? "empty" : "ready";
  if (focused) $(now.origin === "nothing" ? "choose" : "play").focus();
}

/* What sounds */

/**
 * Go over to another moment. Where a sound of it cannot be had, everything stays as it was.
 * @param {Moment} moment
 * @param {object} how
 * @param {string} [how.move] - The sound whose slider is being moved.
 * @param {boolean} [how.live] - Whether the camera asked for it: then what was paused, or ended by
 *   the timer, stays so.
 * @param {boolean} [how.again] - Whether it is an earlier moment, brought back.
 * @param {boolean} [how.written] - Whether the address says so already.
 */
async function enter(moment, { move, live = false, again = false, written = false } = {}) {
  const before = now;
  const paused = before.mix.size > 0 && !player.playing;
  if (!again && before !== NOTHING) undo.leave(before, move);
  unask();
  // The sounds are on their way before anything is drawn.
  const changing = perform(moment, Boolean(move));
  show(moment, Boolean(move));
  try {
    if (!written) write(moment, !live && !again && !(move && before.origin === "hand"));
    if (!move) $("status").textContent = `${$("words").textContent}. ${$("why-text").textContent}`;
    if (!(live && paused) && !(again && paused)) player.play();
    await changing;
    if (now === moment) sounding = moment;
  } catch (error) {
    if (now === moment) fallBack(error);
  }
}

/** Let the player play a moment's mix. */
function perform(moment, touched) {
  const rebase = moment.trim === undefined && moment.origin !== "hand";
  if (moment.trim !== undefined) player.trim = moment.trim;
  const changing = player.setMix(moment.mix, { touched, rebase });
  moment.trim = player.trim;
  board.showMuted(player.mutedSounds);
  return changing;
}

/** A sound was not to be had: show what plays on, or that nothing does. */
function fallBack(error) {
  trouble(error);
  unask();
  if (sounding === NOTHING) return player.pause();
  const { seen } = now;
  const goesOn = seen === sounding.seen ? {} : { seen, origin: "before", chosen: -1 };
  sounding = { ...sounding, ...goesOn };
  show(sounding);
  write(sounding, false);
  perform(sounding, false).catch(trouble);
}

function write(moment, another) {
  address.write(mixes.toText(moment.mix), moment.seen?.id ?? null, inHistory(moment), another);
}

/** Play or pause; after a sound was lost, try again to have it. */
function toggle() {
  if (player.heard) return player.pause();
  player.play();
  if (now !== sounding) enter(now, { again: true, written: true });
}

/** Play one of the mixes that were answered. */
function choose(rank) {
  enter(matched(now.seen, rank, now.place));
  correct();
}

/** Choose the next or the previous of the mixes. */
function step(by) {
  const n = now.seen?.record.matches.length;
  if (n > 1) choose((Math.max(0, now.chosen) + by + n) % n);
  else toast("No other mix fits this as well.");
}

/** Set the level of a sound by hand. */
function move(name, gain) {
  const mix = new Map([...now.mix, [name, gain]].filter(([, some]) => some > 0));
  const { seen, place } = now;
  enter({ seen, mix, origin: "hand", chosen: -1, place }, { move: name });
  correct();
}

function mute(name, muted) {
  player.muteSound(name, muted).catch(trouble);
  board.showMuted(player.mutedSounds);
  toast(`${bank.sounds.get(name).title} ${muted ? "muted" : "heard again"}.`);
}

/** Go back or forth in the mixes that played. */
function go(moment, words) {
  if (!moment) return toast(`Nothing to ${words}.`);
  toast(words === "undo" ? "Undone." : "Done again.");
  return enter(moment, { again: true });
}

/* Photos */

/** Return what counts when a photo is matched. */
function wanted() {
  const use = ["objects", "scenes"].filter((name) => $(`use-${name}`).checked).join(",");
  const chatter = $("chatter-on").checked ? Number($("chatter").value) : null;
  return { use, chatter, top: 1 + N_ALTERNATIVES, without: [], places: true };
}

/** Show what counts: something of a photo has to. */
function showSettings() {
  paint($("chatter"));
  $("chatter").disabled = !$("chatter-on").checked;
  $("use-objects").disabled = !$("use-scenes").checked;
  $("use-scenes").disabled = !$("use-objects").checked;
}

function showWanted({ use, chatter }) {
  for (const name of ["objects", "scenes"]) $(`use-${name}`).checked = use.split(",").includes(name);
  $("chatter-on").checked = chatter !== null;
  if (chatter !== null) $("chatter").value = chatter;
  showSettings();
}

/** Stop waiting for the server. What was there before stays. */
function cancel() {
  say("");
  if (!asking) return;
  asking.abort();
  asking = null;
  back();
  toast("Cancelled.");
}

/** Show what was there before a photo was asked about. */
function back() {
  settle();
  if (now.seen) showWanted(now.seen.wanted);
  shown.picture = undefined;
  showPicture(now);
}

/**
 * Let the photo be looked at again, with something set otherwise.
 * @param {Partial<import("./server.js").Wanted>} changed
 */
function look(changed = {}) {
  if (!now.seen) return undefined;
  const { without, places } = now.seen.wanted;
  return match(now.seen.photo, { ...wanted(), without, places, ...changed }, now.seen.id);
}

/**
 * Take a photo, and play what belongs to it.
 * @param {Blob} photo
 * @param {boolean} live - Whether it came by itself.
 */
async function take(photo, live = false) {
  performance.mark("photo");
  busy();
  const mine = asking;
  shown.picture = photo;
  const decoding = pixels(photo);
  decoding.then((image) => { if (shown.picture === photo) stage.show(image); });
  const sent = await shrunk(photo, decoding);
  decoding.then((image) => image?.close());
  if (asking !== mine) return;
  shown.picture = sent;
  await match(sent, wanted(), Date.now().toString(36), live);
}

/** Show that something is on its way, which takes the place of whatever was. */
function busy() {
  asking?.abort();
  asking = new AbortController();
  const focused = $("start").contains(document.activeElement);
  document.body.dataset.state = "busy";
  $("working").hidden = false;
  if (focused) $("cancel").focus();
}

/**
 * Ask for the mixes of a photo, and play what fits: the place that it shows, or the first.
 * @param {Blob} photo
 * @param {import("./server.js").Wanted} counts
 * @param {string} id
 * @param {boolean} live - Whether the camera asked for it: what plays goes on as long as the first
 *   mix stays the same, and what was chosen by hand as long as nobody says otherwise.
 */
async function match(photo, counts, id, live = false) {
  busy();
  const mine = asking;
  try {
    const record = await server.match(photo, counts, mine.signal);
    if (record.place && !places.of(record.place.id)) await places.load(); // kept elsewhere
    if (asking !== mine) return;
    asking = null;
    say("");
    const seen = { id, photo, record, wanted: counts, live, at: Date.now() };
    const following = follow(seen, live);
    store.remember(seen); // not once its sounds are here: a reload before that brings it back too
    await following;
  } catch (error) {
    if (asking !== mine) return;
    asking = null;
    back();
    if (error.name !== "AbortError") trouble(error);
  }
}

/** Return what a photo asks for: the place it shows, or the mix that fits best. */
function best(seen) {
  const place = seen.record.place && places.of(seen.record.place.id);
  if (!place || !places.playable(place)) return matched(seen, 0);
  return { seen, mix: mixes.fromText(place.mix, bank.names), origin: "place", chosen: -1, place };
}

/** Play what a photo asks for; what the camera sees by itself does not replace what was chosen. */
async function follow(seen, live) {
  const wish = best(seen);
  if (!live || now.origin === "nothing") return enter(wish, { live });
  if (now.seen?.live) store.forget(now.seen.id);
  const { goesOn, asks } = following.beside(now, now.seen && best(now.seen), wish);
  if (!goesOn) return enter(wish, { live });
  goOnWith(goesOn);
  if (asks && await following.wanted(wish.mix, mixes.inWords(wish.mix, bank.sounds))) return enter(wish);
  return undefined;
}

/** Show another moment in which the same mix plays. */
function goOnWith(moment) {
  const settled = sounding === now;
  show({ ...moment, mix: now.mix, trim: now.trim });
  if (settled) sounding = now;
  write(now, false);
}

/* Places */

/** Which places are to follow what is changed while they play, by their id. */
const follows = new Map();
let keeping;

/** What is changed for a kept place changes what is kept, once that was asked. */
async function correct() {
  const { place } = now;
  if (!place) return;
  if (!follows.has(place.id)) {
    const answer = await ask(`Keep this for “${place.name}” from now on?`, "Keep it", "Only now");
    if (answer === null) return;
    follows.set(place.id, answer);
  }
  if (!follows.get(place.id)) return;
  clearTimeout(keeping);
  keeping = setTimeout(() => {
    if (now.place?.id !== place.id) return;
    places.attempt(async () => {
      await places.change(place, { mix: mixes.toText(now.mix) });
      toast(`Kept for “${place.name}”.`);
    });
  }, KEEP_AFTER_MS);
}

/** Play a kept place. */
function playPlace(place) {
  if (place.problem) return say(places.words(place));
  try {
    asking?.abort();
    asking = null;
    return enter({ seen: null, mix: mixes.fromText(place.mix, bank.names), origin: "place", chosen: -1, place });
  } catch (error) {
    return say(error.message);
  }
}

/** Keep the photo and the mix under a name. */
async function keep(name) {
  const { seen, mix } = now;
  const place = await places.keep(seen?.photo ?? (await landscape(mixes.toText(mix))), name, mix);
  if (now.seen === seen) goOnWith({ ...now, place });
  return place;
}

/* The address and the history */

/**
 * Bring back what the address says, if it says something.
 * @param {object | null} state - What the history kept with it.
 */
async function bringBack(state) {
  address.drop();
  const { mix: text, photo } = address.read();
  if (text === null) {
    if (now === NOTHING) return;
    asking?.abort();
    asking = null;
    player.pause();
    sounding = NOTHING;
    show(NOTHING);
    return;
  }
  if (text === mixes.toText(now.mix) && (photo ?? null) === (now.seen?.id ?? null)) return;
  try {
    const mix = mixes.fromText(text, bank.names);
    const seen = photo === (now.seen?.id ?? null) || (!photo && !state) ? now.seen : photo && await store.recall(photo);
    const rest = state?.origin && (seen || state.chosen === -1) ? state : guessed(text, seen);
    await enter({ seen: seen ?? null, mix, ...rest }, { written: true, again: now === NOTHING });
  } catch (error) {
    say(error.message);
  }
}

/** Return the rest of a moment that somebody wrote into the address. */
function guessed(text, seen) {
  const chosen = seen ? seen.record.matches.findIndex((some) => mixes.toText(mixOf(some)) === text) : -1;
  return chosen < 0 ? { origin: "address", chosen, place: null, trim: 1 } : { origin: "match", chosen, place: null };
}

async function share() {
  const url = address.shared();
  try {
    if (navigator.share) await navigator.share({ title: document.title, url });
    else {
      await navigator.clipboard.writeText(url);
      toast("The address of this mix is copied.");
    }
  } catch (error) {
    if (error.name !== "AbortError") toast("Copy the page’s address: it holds the mix.");
  }
}

function listenToControls() {
  $("randomise").addEventListener("click", () => {
    enter({ ...now, mix: mixes.random(bank.names), origin: "random", chosen: -1, trim: undefined });
    correct();
  });
  for (const id of ["use-objects", "use-scenes", "chatter-on", "chatter"]) {
    $(id).addEventListener("change", () => { showSettings(); look(); });
  }
  $("chatter").addEventListener("input", () => paint($("chatter")));
  $("cancel").addEventListener("click", cancel);
  $("anew").addEventListener("click", () => look({ places: false }));
  $("undo").addEventListener("click", () => go(undo.back(now), "undo"));
  $("redo").addEventListener("click", () => go(undo.forth(now), "redo"));
  undo.addEventListener("change", () => {
    $("undo").disabled = !undo.past.length;
    $("redo").disabled = !undo.future.length;
  });
  $("share").addEventListener("click", share);
  $("forget").addEventListener("click", async () => {
    await store.forgetAll();
    toast("This browser has forgotten the photos.");
  });
  addEventListener("popstate", ({ state }) => bringBack(state));
  addEventListener("hashchange", () => bringBack(history.state));
  // Browsers let a page be heard only after somebody has touched it.
  for (const gesture of ["pointerdown", "keydown"]) {
    document.addEventListener(gesture, ({ target, key }) => {
      // The play button does so itself, and must not find it done.
      if (player.playing && key !== " " && !target.closest("#play")) player.context.resume();
    });
  }
}

async function begin() {
  drawIcons();
  tabs();
  $("private").textContent = server.IS_LOCAL ? "Photos stay on this machine." : "Photos go to this server and no further.";
  $("promise").textContent = server.IS_LOCAL ? "It stays on this machine." : "It goes to this server and no further.";
  const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: LATENCY_S });
  try {
    bank = new Bank(context, await server.sounds());
  } catch (error) {
    return trouble(error);
  }
  player = new Player(context, bank);
  player.addEventListener("trouble", ({ detail }) => trouble(detail));
  player.addEventListener("change", showWhy);
  context.addEventListener("statechange", () => player.changed());
  announce = mediaKeys(player, step);
  board = mixer(bank.sounds, { move, mute });
  places = new Places(bank.sounds, {
    play: playPlace,
    changed: () => mixes.toText(now.mix),
    gone: (place) => { if (now.place?.id === place.id) goOnWith({ ...now, place: null, origin: "hand" }); },
    trouble,
  });
  unpoint = heat(findMaps, (name) => bank.sounds.get(name)?.title ?? name, trouble);
  const { louder } = transport(player, toggle);
  keys({
    toggle: () => (now.mix.size ? toggle() : toast("Choose a photo or a sound first.")),
    mute: () => { player.mute(!player.muted); toast(player.muted ? "Muted." : "Heard again."); },
    louder: (steps) => { louder(steps); toast(`Volume ${$("volume-value").textContent}`); },
    step, cancel,
    place: (n) => (places.all[n - 1] ? playPlace(places.all[n - 1]) : toast(`There is no place ${n} yet.`)),
    undo: () => go(undo.back(now), "undo"),
    redo: () => go(undo.forth(now), "redo"),
    keep: () => ($("keep").disabled || $("keep").hidden ? toast("There is nothing to keep yet.") : $("keep").click()),
  });
  listen(take, trouble);
  examples(take, trouble);
  palette(bank.sounds, (name) => {
    openTab("sliders");
    move(name, 1);
    board.show(now.mix);
    board.focus(name);
  });
  timers(player);
  live(take, trouble);
  save(() => mixes.toText(now.mix), trouble);
  glow(player);
  keepForm(() => now, (name) => places.attempt(() => keep(name)));
  listenToControls();
  showSettings();
  places.load();
  await bringBack(history.state);
}

/** @type {{seen: object, finding: Promise<object[]>} | null} */
let found = null;

/** Return where in the photo each sound comes from; asked for once for each photo. */
function findMaps() {
  const { seen } = now;
  if (!seen) return Promise.resolve([]);
  if (found?.seen !== seen) {
    const finding = server.maps(seen.photo, seen.wanted).then(({ maps }) => maps);
    found = { seen, finding };
    finding.catch(() => { found = null; });
  }
  return found.finding;
}

export const ready = begin();
