// A slider for each number of the code: those that vary most at once, the rest when they are asked for.
import {short} from "./picker.js";

const SHOWN = 12, STEPS = 200;

// Returns show(code), which sets all sliders; changed(dimension, value) is called when one is moved.
export function sliders({names, low, high, variance, order}, first, rest, changed) {
  const made = new Map();
  function make(dimension, parent) {
    const label = document.createElement("label"), name = document.createElement("span");
    const value = document.createElement("span"), range = document.createElement("input");
    const least = low[dimension], most = high[dimension] > least ? high[dimension] : least + 1;
    label.className = "slider";
    name.textContent = names[dimension];
    value.className = "value";
    value.setAttribute("aria-hidden", "true");  // the slider says it
    label.title = `variance ${short(variance[dimension])}`;
    Object.assign(range, {type: "range", min: least, max: most, step: (most - least) / STEPS});
    range.addEventListener("input", () => changed(dimension, Number(range.value)));
    label.append(name, value, range);
    parent.append(label);
    made.set(dimension, {range, value});
  }
  order.slice(0, SHOWN).forEach(dimension => make(dimension, first));
  const left = order.slice(SHOWN);
  rest.hidden = !left.length;
  rest.querySelector("summary").textContent =
      `${left.length} more, ${left.filter(d => variance[d] > 0).length} of which vary`;
  let code = null;
  const show = given => {
    code = given;
    for (const [dimension, {range, value}] of made) {
      range.value = code[dimension];
      value.textContent = short(code[dimension]);
      range.setAttribute("aria-valuetext", short(code[dimension]));
    }
  };
  rest.addEventListener("toggle", () => {
    if (!rest.open || made.size > SHOWN) return;
    left.forEach(dimension => make(dimension, rest.lastElementChild));
    show(code);
  });
  return show;
}
