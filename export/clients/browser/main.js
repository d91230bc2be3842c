// The page: a picture goes in, what each signature answers comes out.
import {drawing} from "./drawing.js";
import {latest} from "./latest.js";
import {bring, isInverted, read} from "./picture.js";
import {paint} from "./pixels.js";

const $ = id => document.getElementById(id);
const OF_IMAGES = ["reconstruct", "encode", "score", "classify"];
let model, entry, shape, range, current = null;

function fail(error) {
  for (const id of ["f-seen", "f-reconstruction", "score", "classes", "code"]) show(id, false);
  $("error").textContent = error.message;
  $("error").hidden = false;
  $("status").textContent = "";
}

function show(id, there) { $(id).hidden = !there; return there; }

function bars(list, values) {
  const most = Math.max(...values.map(Math.abs)) || 1;
  list.replaceChildren(...values.map((value, index) => {
    const item = document.createElement("li"), bar = document.createElement("i");
    bar.style.width = `${100 * Math.abs(value) / most}%`;
    if (value < 0) bar.className = "less";
    const [name, middle, number] = [0, 0, 0].map(() => document.createElement("span"));
    name.textContent = index;
    middle.append(bar);
    number.textContent = value.toFixed(4);
    item.append(name, middle, number);
    return item;
  }));
}

const ask = latest(once), answer = () => ask().catch(fail);

async function once() {
  const [low, high] = range, invert = $("invert").checked;
  const values = Float32Array.from(current.data, v => low + (invert ? 1 - v : v) * (high - low));
  const result = {seen: Array.from(values)};
  for (const key of OF_IMAGES) {
    if (key in model.description.signatures) result[key] = await model.call(key, values);
  }
  paint($("seen"), values, shape, range);
  show("f-seen", true);
  show("hint", false);
  const first = key => result[key] && Object.values(result[key])[0];
  // A variational model gives the log of the variance besides.
  const code = result.encode && (result.encode.codes ?? result.encode.mean ?? first("encode"));
  const picture = first("reconstruct"), score = result.score?.score ?? first("score");
  const anomaly = result.score?.is_anomaly;
  if (show("code", code)) {
    $("code-about").textContent = `${code.data.length} numbers: ${code.meaning}`;
    bars($("code-bars"), code.data);
  }
  if (show("f-reconstruction", picture)) paint($("reconstruction"), picture.data, shape, range);
  if (show("score", score)) {
    const verdict = anomaly ? (anomaly.data[0] ? ", an anomaly" : ", no anomaly") : "";
    $("score-value").textContent = score.data[0].toPrecision(6) + verdict;
    $("score-meaning").textContent = score.meaning;
  }
  const chances = result.classify && Object.values(result.classify).find(o => o.shape.length === 1);
  if (show("classes", chances)) bars($("class-bars"), chances.data);
  window.answer = result;  // for whoever looks at the console
  $("status").textContent = score ? `Done. Score ${score.data[0].toPrecision(4)}.` : "Done.";
}

function take(pixels, isFile) {
  $("error").hidden = true;
  const {metadata} = model.description;
  current = bring(pixels, shape, metadata);
  $("invert").checked = isFile && isInverted(current, metadata);
  return answer();
}

async function sample() {
  const [noise] = Object.values(model.description.signatures.sample.inputs);
  const size = noise.shape.slice(1).reduce((a, b) => a * b, 1);
  const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) *
      Math.cos(2 * Math.PI * Math.random());
  const values = Float32Array.from({length: size}, normal);
  const [image] = Object.values(await model.call("sample", values));
  paint($("sampled"), image.data, shape, range);
}

async function start() {
  let load;
  try {
    ({load} = await import("./model.js"));
  } catch {
    throw new Error("onnxruntime-web is missing beside this page: make puts it into ort/. Start the " +
                    "page with make MODEL=FOLDER serve.");
  }
  model = await load("model/", [...OF_IMAGES, "sample"]);
  const {signatures, metadata} = model.description;
  const key = OF_IMAGES.find(name => name in signatures);
  if (!key) throw new Error("The model has no signature that takes an image.");
  [entry] = Object.values(signatures[key].inputs);
  shape = entry.shape.slice(1);
  range = entry.value_range;
  if (shape.length !== 3 || ![1, 3].includes(shape[2]) || !range) {
    throw new Error(`The model takes arrays of shape ${shape.join(" x ")}, not grey or colour ` +
                    "images with a known range.");
  }
  const kind = shape[2] === 1 ? "grey" : "colour";
  $("about").textContent += ` It takes ${shape[1]} x ${shape[0]} pixels, ${kind}.`;
  const pad = drawing($("canvas"), (metadata?.border ?? 0) > .5, () => {
    $("file").value = "";
    take(pad.pixels(), false);
  });
  $("clear").onclick = () => { $("file").value = ""; pad.clear(); take(pad.pixels(), false); };
  $("file").onchange = () => {
    if (!$("file").files[0]) return;
    pad.clear();
    read($("file").files[0], model.description.metadata).then(pixels => take(pixels, true)).catch(fail);
  };
  $("invert").onchange = () => current && answer();
  $("draw-sample").onclick = () => sample().catch(fail);
  if (show("sample", "sample" in signatures)) await sample();
  for (const id of ["file", "clear", "invert"]) $(id).disabled = false;
  $("status").textContent = "Ready.";
}

start().catch(fail);
