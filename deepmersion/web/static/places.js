/** My places: photos that were kept with their mix and a name. */
import { $, download, element, toast } from "./dom.js";
import { fromText, inWords, toText } from "./mix.js";
import * as server from "./server.js";

/** @typedef {import("./server.js").Place} Place */

const EXPORTED = "deepmersion-places.json";

export class Places {
  /** @type {Place[]} */ all = [];
  /** Whether this server keeps places. */
  offered = false;

  /**
   * @param {Map<string, {title: string}>} sounds
   * @param {{play: (place: Place) => void, changed: (place: Place) => string,
   *   gone: (place: Place) => void, trouble: (error: Error) => void}} on - `changed` gives the mix
   *   that plays, as text.
   */
  constructor(sounds, on) {
    this.sounds = sounds;
    this.on = on;
    $("places-export").addEventListener("click", () => this.attempt(async () => {
      download(await server.exportedPlaces(), EXPORTED);
      toast("Your places are in a file now.");
    }));
    $("places-import").addEventListener("click", () => $("places-file").click());
    $("places-file").addEventListener("change", ({ target }) => {
      const [file] = target.files;
      if (file) this.attempt(() => this.read(file));
      target.value = "";
    });
  }

  /** Do something that the server takes part in. */
  async attempt(action) {
    try {
      return await action();
    } catch (error) {
      this.on.trouble(error);
      return undefined;
    }
  }

  /** Read what is kept. */
  async load() {
    try {
      const { where, places } = await server.places();
      this.offered = where !== null;
      this.all = places;
      $("places-where").textContent = where === null
        ? "This server keeps no places."
        : `Kept in ${where}, and nowhere else.`;
    } catch (error) {
      if (error.status !== 404) this.on.trouble(error);
    }
    this.show();
  }

  /** Keep a photo with its mix. */
  async keep(photo, name, mix) {
    const place = await server.keep(photo, name, toText(mix));
    await this.load();
    toast(`Kept as “${name}”.`);
    return place;
  }

  /**
   * Give a place another name or mix.
   * @param {Place} place
   * @param {{name?: string, mix?: string}} changed
   */
  async change(place, changed) {
    await server.changePlace(place.id, changed);
    Object.assign(place, changed);
    await this.load();
  }

  async read(file) {
    const { added, skipped } = await server.importPlaces(file);
    await this.load();
    const left = skipped.map(({ name, why }) => `${name} (${why})`).join(", ");
    toast(`${added.length} added${left ? `; left out: ${left}` : ""}.`);
  }

  show() {
    for (const part of document.querySelectorAll("[data-places]")) part.hidden = !this.offered;
    $("places-start").hidden = !this.all.length;
    $("places-none").hidden = this.all.length > 0;
    $("places-export").disabled = !this.all.length;
    $("places-tiles").replaceChildren(...this.all.map((place, i) => element("li", {}, this.tile(place, i))));
    $("places").replaceChildren(...this.all.map((place, i) => this.row(place, i)));
  }

  tile(place, i) {
    const picture = element("img", { alt: "", width: 240, height: 180 });
    picture.src = server.at(place.thumbnail);
    const number = element("kbd", { ariaHidden: "true" }, i < 9 ? String(i + 1) : "");
    const button = element("button", { type: "button", className: "tile" }, picture, element("span", {}, place.name), number);
    button.title = this.words(place);
    button.addEventListener("click", () => this.on.play(place));
    return button;
  }

  /** @returns {Place | undefined} */
  of = (id) => this.all.find((place) => place.id === id);

  /** Whether there are the very sounds that a place was kept with. */
  playable(place) {
    if (place.problem) return false;
    try {
      return fromText(place.mix, [...this.sounds.keys()]).size > 0;
    } catch {
      return false;
    }
  }

  words(place) {
    if (place.problem) return `Cannot be played here: ${place.problem}.`;
    try {
      return inWords(fromText(place.mix, [...this.sounds.keys()]), this.sounds);
    } catch (error) {
      return error.message;
    }
  }

  /** A tile with what can be done to the place. */
  row(place, i) {
    const name = element("input", { type: "text", value: place.name, maxLength: 60, required: true, ariaLabel: `New name of ${place.name}` });
    const rename = element("form", { className: "row" }, name, element("button", {}, "Rename"));
    rename.addEventListener("submit", (event) => {
      event.preventDefault();
      this.attempt(() => this.change(place, { name: name.value.trim() }));
    });
    const set = element("button", { type: "button" }, "Keep what plays now");
    set.addEventListener("click", () => this.attempt(async () => {
      await this.change(place, { mix: this.on.changed(place) });
      toast(`“${place.name}” plays this from now on.`);
    }));
    const forget = element("button", { type: "button", className: "alarming" }, "Delete");
    forget.addEventListener("click", () => this.attempt(async () => {
      if (forget.textContent === "Delete") {
        forget.textContent = "Delete for good";
        return;
      }
      await server.forgetPlace(place.id);
      this.on.gone(place);
      await this.load();
      toast(`“${place.name}” is deleted.`);
    }));
    forget.addEventListener("blur", () => { forget.textContent = "Delete"; });
    return element(
      "li", { className: "place" },
      this.tile(place, i),
      element("div", { className: "about" },
        element("p", { className: "quiet" }, this.words(place)),
        element("details", {}, element("summary", {}, "Change"), rename, element("div", { className: "row" }, set, forget))),
    );
  }
}
