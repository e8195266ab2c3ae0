// The settings dialog: its fields show the preferences, and its lists come from the server and from
// the browser.

import { Microphone } from "./javascript/browser.js";
import { preferences, remember } from "./preferences.js";

const form = document.querySelector("#settings form");
const root = document.documentElement;

const AGAIN_MS = 3_000; // wait before the request to a server that did not answer is repeated
const UNNAMED = { ba: "Bashkir", bo: "Tibetan" }; // languages of Whisper that Chromium has no name for

/**
 * Fills in the dialog. `onChange(name)` is called for each field that the reader changes,
 * `onModel(name)` when the server has answered which model it runs.
 */
export async function setUp({ onChange, onModel }) {
  for (const field of form.elements) {
    if (!(field.name in preferences)) continue;
    if (field.type === "checkbox") field.checked = preferences[field.name];
    else if (field.type === "radio") field.checked = field.value === preferences[field.name];
    else field.value = preferences[field.name];
  }
  form.addEventListener("change", ({ target }) => {
    remember({ [target.name]: target.type === "checkbox" ? target.checked : target.value });
    apply();
    onChange(target.name);
  });
  form.elements.size.addEventListener("input", ({ target }) => {
    remember({ size: target.value });
    apply();
  });
  apply();
  navigator.mediaDevices?.addEventListener("devicechange", listMicrophones);
  await Promise.all([listMicrophones(), askServer(onModel)]);
}

/** Fills in the microphones; their names are known once the user has allowed one. */
export async function listMicrophones() {
  const devices = await Microphone.list();
  const named = devices.filter(({ name }) => name);
  options(form.elements.device, [["", "Default"], ...named.map(({ id, name }) => [id, name])]);
  form.elements.device.value = preferences.device;
  if (form.elements.device.selectedIndex < 0) form.elements.device.value = "";
}

async function askServer(onModel) {
  const answer = await fetch("v1/info", { cache: "no-store" }).catch(() => null);
  if (!answer?.ok) {
    setTimeout(askServer, AGAIN_MS, onModel); // it is still loading its model, or cannot be reached
    return;
  }
  const { model, models, languages } = await answer.json();
  const name = new Intl.DisplayNames(["en"], { type: "language" });
  const named = languages.map((code) => [code, known(name, code)]);
  named.sort(([, one], [, other]) => one.localeCompare(other));
  if (languages.length > 1) named.unshift(["auto", "Detect automatically"]);
  options(form.elements.language, named);
  form.elements.language.value = codeOf(wanted(), languages) || (languages.includes("en") ? "en" : languages[0]);
  if (form.elements.language.selectedIndex < 0) form.elements.language.selectedIndex = 0;
  options(form.elements.model, models.map((one) => [one, one]));
  form.elements.model.value = model;
  onModel(model);
}

/** Returns the language that the user chose; the server may not support it. */
function wanted() {
  return new URLSearchParams(location.search).get("language") || preferences.language;
}

/** Returns the server's code for a language that may be written as `EN`, `en-US` or `en_US`. */
function codeOf(language, codes) {
  const asked = (language ?? "").trim().toLowerCase();
  return [asked, asked.split(/[-_.]/)[0]].find((code) => code === "auto" || codes.includes(code)) ?? language;
}

function known(names, code) {
  try {
    const name = names.of(code);
    return name === code ? (UNNAMED[code] ?? code) : name;
  } catch {
    return code;
  }
}

/** Returns the settings of a stream, without the model, because the server's may have changed. */
export function streamSettings() {
  const language = form.elements.language.value || wanted();
  return language ? { language } : {};
}

export function microphoneSettings() {
  return {
    deviceId: form.elements.device.value,
    echoCancellation: preferences.echo,
    noiseSuppression: preferences.noise,
  };
}

function options(select, pairs) {
  const chosen = select.value;
  select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}

function apply() {
  root.dataset.theme = preferences.theme;
  root.dataset.contrast = preferences.contrast ? "high" : "normal";
  root.dataset.unsure = preferences.unsure ? "marked" : "plain";
  root.style.setProperty("--scale", (0.7 + 0.15 * preferences.size).toFixed(2));
}
