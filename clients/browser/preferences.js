// The preferences of the reader, stored in the browser only.

const KEY = "distil-stream";

const DEFAULTS = {
  language: "",
  device: "",
  echo: false,
  noise: false,
  size: 2,
  theme: "auto",
  contrast: false,
  unsure: true,
};

export const preferences = { ...DEFAULTS, ...read() };

export function remember(changes) {
  Object.assign(preferences, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // A private window may not allow it; then they last as long as the page.
  }
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}
