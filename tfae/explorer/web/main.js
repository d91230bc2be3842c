// The explorer: a point of the latent space, what is decoded there, and images that are brought to it.
import * as ort from "onnxruntime-web";
import {interpolation} from "./interpolation.js";
import {latest} from "./latest.js";
import {open} from "./model.js";
import {nearest, part, examples as unpack} from "./parts.js";
import {picker, short} from "./picker.js";
import {paint} from "./pixels.js";
import {plane as planeOn} from "./plane.js";
import {sliders} from "./sliders.js";

const $ = id => document.getElementById(id);
const NEIGHBOURS = 8, QUIET_MS = 400, SETTLED_MS = 120;
const KEYS = ["decode", "encode", "reconstruct", "score"];
// name, signatures, metadata: of the export; prior: whether its codes are standard normal; codes: names, mean, low, high, variance of their
// numbers, order: the numbers by falling variance; scores, labels: of the examples, or null; classes: [label, name, colour]; white: of pixels.
const facts = JSON.parse($("facts").textContent);
const seen = window.explorer = {busy: 0};  // for whoever looks at the console

const brief = value => Number(value.toPrecision(2)).toString();
const first = values => Object.values(values)[0];
const codeOf = values => (values.codes ?? values.mean ?? first(values)).data;

function fail(error) {
  $("error").textContent = error.message;
  $("error").hidden = false;
  $("error").scrollIntoView({block: "nearest"});  // what failed may be a screen further down
  $("status").textContent = "";
}

// What runs; a failure is said.
function run(promise) {
  seen.busy++;
  promise.catch(fail).finally(() => { seen.busy--; });
}

const later = ms => new Promise(resolve => setTimeout(resolve, ms));

function normal() { return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()); }

async function start() {
  const weights = await part("weights");
  ort.env.wasm.wasmBinary = await part("wasm");
  const model = await open(facts, KEYS, part, {externalData: [{path: "weights", data: weights}]});
  const {shape: [, ...shape]} = first(facts.signatures.decode.outputs);
  const {value_range: range} = first(facts.signatures.encode.inputs);
  const examples = await unpack(facts, shape, range[1]);
  const {names, mean, order} = facts.codes, {size} = examples;
  const called = i => `example ${i}${facts.labels ? `, class ${examples.label(i)}` : ""}`;
  const picture = values => {
    const canvas = new OffscreenCanvas(1, 1);
    paint(canvas, values, shape, range);
    return canvas;
  };
  // [images, one array each] of codes.
  async function decode(codes) {
    const {data} = first(await model.call("decode", Float32Array.from(codes.flatMap(code => Array.from(code))),
                                          codes.length));
    const length = data.length / codes.length;
    return codes.map((_, i) => data.slice(i * length, (i + 1) * length));
  }

  // The point.
  let point = Float32Array.from(mean), [across, up] = size === 2 ? [0, 1] : order;
  let held = false, quiet = null;
  const ends = firstEnds(examples);
  const plane = planeOn($("plane"), {
    examples, facts, view: () => ({across, up, point, ways: [ends.a, ends.b]}),
    moved(x, y, down) {
      way.stop();
      const code = point.slice();
      [code[across], code[up]] = [x, y];
      go(code, down);
    },
    home: () => go(mean),
  });
  const showSliders = sliders(facts.codes, $("sliders"), $("rest"), (dimension, value) => {
    way.stop();
    const code = point.slice();
    code[dimension] = value;
    go(code);
  });
  const showPoint = latest(async code => {
    const [image] = await decode([code]), near = nearest(examples, code, NEIGHBOURS);
    paint($("decoded"), image, shape, range);
    showNeighbours(near);
    Object.assign(seen, {code: Array.from(code), decoded: image, neighbours: near});
    clearTimeout(quiet);
    if (held) return;
    quiet = setTimeout(() => {
      $("spoken").textContent = `${[across, up].map(i => `${names[i]} ${short(code[i])}`).join(", ")}. ` +
          `Nearest: ${called(near[0][0])}, at ${short(near[0][1])}.`;
    }, QUIET_MS);
  });
  // `down`: a pointer is, or nobody has moved the point, so that nothing is to be said yet.
  function go(code, down = false) {
    const elsewhere = code.some((value, i) => i !== across && i !== up && Math.fround(value) !== point[i]);
    point = Float32Array.from(code);
    held = down;
    showSliders(point);
    $("where").innerText = [across, up].map(
        i => `${names[i]} = ${short(point[i])}${plane.beyond(i) ? ", beyond the plane" : ""}`).join("\n");
    plane.draw();
    if (elsewhere) decodePlane();
    run(showPoint(point));
  }
  const cards = Array.from({length: Math.min(NEIGHBOURS, examples.count)}, () => {
    const [button, canvas, text] = ["button", "canvas", "span"].map(name => document.createElement(name));
    button.type = "button";
    button.append(canvas, text);
    $("neighbours").append(button);
    return {button, canvas, text};
  });
  function showNeighbours(near) {
    near.forEach(([i, distance], place) => {
      const {button, canvas, text} = cards[place];
      paint(canvas, examples.pixels(i), shape, range);
      text.textContent = examples.label(i) || brief(distance);
      button.title = `${called(i)}, at distance ${short(distance)}`;
      button.setAttribute("aria-label", `Take ${button.title}`);
      button.onclick = () => { forget(); take(examples.pixels(i)); };
    });
  }

  // Images decoded all over the plane, a row at a time, so that the point stays quick.
  let asked = 0;
  function decodePlane() {
    const mine = ++asked;
    if (!$("show-decoded").checked) return;
    run((async () => {
      await later(SETTLED_MS);
      for (let row = 0; row < plane.rows && mine === asked; row++) {
        plane.fill(row, (await decode(plane.row(row))).map(picture));
        await later(0);
      }
    })());
  }

  // An image.
  let code = null;
  const answer = latest(async values => {
    $("error").hidden = true;
    code = codeOf(await model.call("encode", values));
    seen.image = {values: Array.from(values), code};
    paint($("seen"), values, shape, range);
    if ("reconstruct" in facts.signatures) {
      seen.image.reconstruction = first(await model.call("reconstruct", values)).data;
      paint($("reconstruction"), seen.image.reconstruction, shape, range);
    }
    if ("score" in facts.signatures) showScore(await model.call("score", values));
    $("answer").hidden = false;
    go(code);
  });
  const take = values => { way.stop(); run(answer(values)); };
  const limit = side => `${side} the threshold ${short(facts.metadata.threshold.value)}`;
  function showScore({score: {data: [score], meaning}, is_anomaly: verdict}) {
    const below = facts.scores.filter(value => value < score).length;
    $("score-value").textContent = `Score ${short(score)}`;
    $("score-rank").textContent = `above ${Math.floor(100 * below / examples.count)} % of the examples`;
    $("score-meaning").textContent = meaning;
    $("score-anomaly").textContent = !verdict ? "" : verdict.data[0] ? `An anomaly: ${limit("above")}` :
        `No anomaly: ${limit("not above")}`;
    Object.assign(seen.image, {score, isAnomaly: verdict ? Boolean(verdict.data[0]) : null});
  }
  const forget = picker($, shape, facts.metadata, ({data}, invert) => take(Float32Array.from(
      data, value => range[0] + (invert ? 1 - value : value) * (range[1] - range[0]))), run);

  // From A to B.
  const way = interpolation($, ends, go, (name, at) => {
    run(decode([at]).then(([image]) => paint($(`image-${name}`), image, shape, range)));
    plane.draw();
  });

  for (const name of ["a", "b"]) $(`set-${name}`).onclick = () => way.set(name, point);
  const to = (id, there) => { $(id).onclick = () => { way.stop(); go(there()); }; };
  to("to-mean", () => mean);
  to("to-zero", () => new Float32Array(size));
  to("to-random", () => facts.prior ? Float32Array.from({length: size}, normal) :
      examples.code(Math.floor(Math.random() * examples.count)));
  to("to-code", () => code);
  const showLayers = () => {
    plane.show($("show-examples").checked, $("show-decoded").checked);
    decodePlane();
  };
  $("show-examples").onchange = $("show-decoded").onchange = showLayers;
  $("f-reconstruction").hidden = !("reconstruct" in facts.signatures);
  $("score").hidden = !("score" in facts.signatures);
  chooseAxes();
  showLegend(plane);
  showAbout(examples, shape);
  $("f-reconstruction").hidden = !("reconstruct" in facts.signatures);
  $("score").hidden = !("score" in facts.signatures);
  $("main").inert = false;
  showLayers();
  for (const name of ["b", "a"]) way.set(name, ends[name]);
  go(point, true);
  $("status").textContent = "";
  seen.ready = true;

  function chooseAxes() {
    const show = () => { [$("across-name").textContent, $("up-name").textContent] = [names[across], names[up]]; };
    const {variance} = facts.codes;
    for (const [id, chosen] of [["across", across], ["up", up]]) {
      $(id).append(...order.map(i => new Option(`${names[i]} (variance ${brief(variance[i])})`, i)));
      $(id).value = chosen;
      $(id).onchange = () => {
        const [x, y] = [Number($("across").value), Number($("up").value)];
        // The same dimension twice makes no plane: they change places.
        [across, up] = x !== y ? [x, y] : [up, across];
        [$("across").value, $("up").value] = [across, up];
        show();
        showLayers();
        go(point);
      };
    }
    $("axes").hidden = size === 2;
    show();
  }
}

// Two examples of different classes, or the first one and the one farthest from it.
function firstEnds(examples) {
  const a = examples.code(0);
  let other = facts.labels ? facts.labels.findIndex(label => label !== facts.labels[0]) : -1;
  if (other < 0) other = nearest(examples, a, examples.count).at(-1)[0];
  return {a, b: examples.code(other)};
}

// A button for each class, which shows its examples or not.
function showLegend(plane) {
  if (!facts.classes) return;
  $("legend").append(...facts.classes.map(([label, name, colour]) => {
    const button = document.createElement("button"), dot = document.createElement("i");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    dot.style.background = colour;
    button.append(dot, name);
    button.onclick = () => {
      const shown = plane.toggle(label);
      button.setAttribute("aria-pressed", String(shown));
    };
    return button;
  }));
  $("legend").hidden = false;
}

function showAbout(examples, [height, width, channels]) {
  document.title = `Latent explorer: ${facts.name}`;
  $("about").textContent = `${facts.name}: ${examples.size} numbers a code, images of ${width} × ${height} pixels, ` +
      `${channels === 1 ? "grey" : "colour"}; ${examples.count.toLocaleString("en")} examples. ` +
      "The model runs in this browser; nothing leaves the page.";
}

run(start());
